"""What a user may hand to Detect, MonitorDrift and Impute by mistake: one sentence says what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from river import anomaly, compose, drift, linear_model, preprocessing, stats

from streamflow import Detect, Flow, Impute, MonitorDrift
from streamflow.errors import FlowError
from streamflow.flow.check import check

FLOW = Flow("plant", sensors=["t", "p"])
TREES = anomaly.HalfSpaceTrees(n_trees=2, height=3, window_size=5, seed=7)
ROWS = [{"device": "a", "time": i, "t": i % 5 / 5, "p": i % 3 / 3} for i in range(60)]


def said(stage: Any) -> str:
    with pytest.raises(FlowError) as error:
        (FLOW | stage).plan()
    return str(error.value)


def warned(stage: Any) -> list[str]:
    return [found.text for found in check(FLOW | stage).findings if found.step == stage.step]


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (anomaly.HalfSpaceTrees, "HalfSpaceTrees"),
        (anomaly.ThresholdFilter(anomaly.HalfSpaceTrees, 0.9), "HalfSpaceTrees"),
        (compose.Pipeline(preprocessing.MinMaxScaler(), TREES).__class__, "Pipeline"),
    ],
)
def test_a_class_instead_of_an_object(estimator: Any, name: str) -> None:
    assert said(Detect(estimator)) == f"step 'detect': {name} is a class; give an object: {name}()"


def test_a_class_in_other_stages() -> None:
    assert said(MonitorDrift("t", drift.ADWIN)).endswith(
        "ADWIN is a class; give an object: ADWIN()"
    )
    text = "step 'impute': StatImputer is a class; give an object: StatImputer()"
    assert said(Impute(preprocessing.StatImputer)) == text


def test_no_detector() -> None:
    text = "step 'detect': MinMaxScaler is not an anomaly detector: it has no score_one"
    assert said(Detect(preprocessing.MinMaxScaler())).startswith(text)


@pytest.mark.parametrize(
    "estimator",
    [
        compose.Pipeline(linear_model.LinearRegression(), TREES),
        compose.Pipeline(preprocessing.MinMaxScaler(), linear_model.LinearRegression(), TREES),
    ],
)
def test_a_middle_step_that_transforms_nothing(estimator: Any) -> None:
    assert said(Detect(estimator)) == (
        "step 'detect': LinearRegression stands before HalfSpaceTrees, but transforms nothing; "
        "only transformers, such as MinMaxScaler(), can"
    )


def test_a_middle_step_without_a_kernel_works_and_is_said_to_be_slow() -> None:
    robust = preprocessing.RobustScaler() | TREES
    slow = "detect: RobustScaler has no kernel: it runs reading by reading, in River"
    assert warned(Detect(robust)) == [slow]
    own = preprocessing.RobustScaler() | TREES
    expected = []
    for row in ROWS:
        x = {"t": row["t"], "p": row["p"]}
        expected.append(own.score_one(x))
        own.learn_one(x)
    assert (FLOW | Detect(robust)).replay(ROWS).rows["score"].tolist() == expected


def test_an_imputer_behind_a_scaler() -> None:
    assert said(Detect(preprocessing.MinMaxScaler() | preprocessing.PreviousImputer() | TREES)) == (
        "step 'detect': PreviousImputer comes after MinMaxScaler, which passes no missing values "
        "on; put it first"
    )


def test_an_imputer_of_another_sensor() -> None:
    other = preprocessing.StatImputer(("q", stats.Mean()))
    text = "StatImputer imputes 'q', which is not among its sensors: t, p"
    assert said(Detect(other | TREES)) == f"step 'detect': {text}"
    assert said(Impute(other)) == f"step 'impute': {text}"


def test_no_imputer_and_no_duration() -> None:
    text = "MinMaxScaler is not an imputer of River; use PreviousImputer() or StatImputer(...)"
    assert said(Impute(preprocessing.MinMaxScaler())) == f"step 'impute': {text}"


def test_a_selection_of_what_does_not_exist() -> None:
    text = said(Detect(compose.Select("q") | TREES))
    assert "step 'detect': Select names the column 'q', which does not exist here" in text


def test_a_supervised_detector_without_its_target_and_a_target_for_another() -> None:
    text = "step 'detect': GaussianScorer scores one value given the others; say which: target=\""
    assert said(Detect(anomaly.GaussianScorer())).startswith(text)
    inside = preprocessing.StandardScaler() | anomaly.GaussianScorer()
    assert said(Detect(inside)).startswith(text)
    assert "HalfSpaceTrees takes no target" in said(Detect(TREES, target="t"))


def test_a_signed_score_is_warned_of() -> None:
    (text,) = (text for text in warned(Detect(anomaly.OneClassSVM())) if "signed" in text)
    assert "alert on abs(score)" in text


def test_sensors_of_mixed_types() -> None:
    with pytest.raises(FlowError, match="3 cannot name a field: names are strings"):
        Flow("plant", sensors=["t", 3])  # type: ignore[list-item]
    assert "sensors names the column 3, which does not exist here" in said(
        Detect(TREES, sensors=["t", 3])  # type: ignore[list-item]
    )


UNSEEDED = [
    Detect(anomaly.HalfSpaceTrees(n_trees=2, height=3, window_size=5)),
    Detect(preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(2, 3, 5)),
    Detect(anomaly.ThresholdFilter(anomaly.HalfSpaceTrees(2, 3, 5), 0.9)),
]


@pytest.mark.parametrize("detect", UNSEEDED, ids=["trees", "pipeline", "filter"])
def test_a_random_model_without_a_seed_gets_one_from_the_names(detect: Detect) -> None:
    first = (FLOW | detect).replay(ROWS).rows["score"]
    again = (FLOW | detect).replay(ROWS).rows["score"]
    assert first.tolist() == again.tolist()
    assert len(np.unique(first)) > 2
    elsewhere = (Flow("quay", sensors=["t", "p"]) | detect).replay(ROWS).rows["score"]
    assert first.tolist() != elsewhere.tolist()
    (text,) = (text for text in warned(detect) if "seed" in text)
    assert "HalfSpaceTrees has no seed, and an exact replay needs one: it is" in text
    assert not any("reading by reading" in text for text in warned(detect))


def test_a_drift_detector_without_a_seed_gets_one_too() -> None:
    bound = MonitorDrift("t", drift.KSWIN())
    (stage,) = (FLOW | bound).plan().stages
    assert stage.detector.seed is not None  # type: ignore[attr-defined]
    seeding, slow = warned(bound)
    assert slow == "monitor_drift: KSWIN has no kernel: it runs reading by reading, in River"
    assert seeding.startswith("KSWIN has no seed")


def test_a_seed_that_was_given_is_kept() -> None:
    (stage,) = (FLOW | Detect(TREES)).plan().stages
    assert stage.estimator.seed == 7  # type: ignore[attr-defined]
    assert not any("seed" in text for text in warned(Detect(TREES)))


def test_default_half_space_trees_need_at_most_12_kB_a_device() -> None:  # noqa: N802
    scaled = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=7)
    (stage,) = (FLOW | Detect(scaled)).plan().stages
    assert stage.bytes_per_device <= 12_000


def test_missing_values_are_filled_in_within_the_model() -> None:
    rows = [{"device": "a", "time": i, "t": float(i)} for i in range(6)]
    for row in rows[3:]:
        del row["t"]
    rows = [row | {"p": 1.0} for row in rows]
    model = preprocessing.StatImputer(("t", stats.Mean())) | TREES
    slow = preprocessing.StatImputer(("t", stats.Mean())) | anomaly.LocalOutlierFactor()
    for estimator in (model, slow):
        result = (FLOW | Detect(estimator)).replay(rows)
        assert not result.rejected
        assert not np.isnan(result.rows["score"]).any()
