from __future__ import annotations

from typing import Any

import pytest
from river import anomaly, compose, drift, linear_model, preprocessing, stats

from streamflow import ValueNovelty
from streamflow.errors import FlowError
from streamflow.models.check import check_detector, check_drift_detector, seeded, warnings
from streamflow.models.record import detector_bytes, drift_detector_bytes
from streamflow.models.shape import final

HST = anomaly.HalfSpaceTrees(seed=1)
GAUSSIAN = anomaly.GaussianScorer()


def test_what_scores_is_found_inside_pipelines_and_filters() -> None:
    trees = anomaly.HalfSpaceTrees(seed=1)
    assert final(trees) is trees
    inside = final(preprocessing.MinMaxScaler() | anomaly.QuantileFilter(trees, q=0.9))
    assert isinstance(inside, anomaly.HalfSpaceTrees)


@pytest.mark.parametrize(
    ("estimator", "target"),
    [
        (HST, None),
        (preprocessing.MinMaxScaler() | HST, None),
        (compose.Select("t") | preprocessing.StandardScaler() | HST, None),
        (anomaly.QuantileFilter(HST, q=0.9), None),
        (anomaly.LocalOutlierFactor(), None),
        (ValueNovelty(), None),
        (GAUSSIAN, "t"),
        (anomaly.StandardAbsoluteDeviation(), "t"),
        (anomaly.PredictiveAnomalyDetection(linear_model.LinearRegression()), "t"),
    ],
)
def test_every_kind_of_detector_of_river_will_do(estimator: Any, target: str | None) -> None:
    check_detector("detect", estimator, target)
    assert detector_bytes(estimator, ["t", "p"], target) > 0


class Lookalike:
    def score_one(self, x: Any) -> float:
        return 0.0

    def learn_one(self, x: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("estimator", "target", "sentence"),
    [
        (anomaly.HalfSpaceTrees, None, "HalfSpaceTrees is a class; give an object: HalfSpaceTr"),
        (preprocessing.MinMaxScaler(), None, "MinMaxScaler is not an anomaly detector: it has no"),
        (HST | preprocessing.MinMaxScaler(), None, "MinMaxScaler is not an anomaly detector"),
        (linear_model.LinearRegression(), None, "LinearRegression is not an anomaly detector"),
        (stats.Mean(), None, "Mean is not an anomaly detector"),
        (None, None, "NoneType is not an anomaly detector"),
        ("HalfSpaceTrees", None, "str is not an anomaly detector"),
        (Lookalike(), None, "Lookalike is not a River estimator: it cannot be cloned"),
        (GAUSSIAN, None, 'scores one value given the others; say which: target="temperature"'),
        (HST, "t", "HalfSpaceTrees takes no target; leave target out"),
    ],
)
def test_what_is_no_detector_is_refused_with_what_to_do(
    estimator: Any, target: str | None, sentence: str
) -> None:
    with pytest.raises(FlowError) as error:
        check_detector("detect", estimator, target)
    assert str(error.value).startswith("step 'detect': ")
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("detector", "sentence"),
    [
        (drift.ADWIN, "ADWIN is a class; give an object: ADWIN()"),
        (HST, "HalfSpaceTrees is not a drift detector of River; use one, as in drift.ADWIN()"),
        (None, "NoneType is not a drift detector"),
    ],
)
def test_what_is_no_drift_detector_is_refused(detector: Any, sentence: str) -> None:
    with pytest.raises(FlowError) as error:
        check_drift_detector("monitor_drift", detector)
    assert sentence in str(error.value)


@pytest.mark.parametrize("detector", [drift.ADWIN(), drift.PageHinkley(), drift.KSWIN(seed=1)])
def test_drift_detectors_of_river_will_do(detector: Any) -> None:
    check_drift_detector("monitor_drift", detector)
    assert drift_detector_bytes(detector) > 0


def test_a_signed_score_is_warned_of() -> None:
    (text,) = warnings(preprocessing.StandardScaler() | anomaly.OneClassSVM())
    assert "signed" in text
    assert "abs(score)" in text


def test_a_missing_seed_is_made_of_the_names_wherever_it_is() -> None:
    given = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees()
    model, said = seeded(given, "plant", "detect")
    again, _ = seeded(preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(), "plant", "detect")
    other, _ = seeded(given, "plant", "second")
    assert final(given).seed is None
    assert final(model).seed == final(again).seed != final(other).seed
    assert said.startswith("HalfSpaceTrees has no seed, and an exact replay needs one: it is ")
    assert f"seed={final(model).seed}" in said
    assert seeded(HST, "plant", "detect") == (HST, "")


def test_measuring_a_model_does_not_train_it() -> None:
    model = anomaly.HalfSpaceTrees(n_trees=2, height=3, window_size=2, seed=1)
    detector_bytes(model, ["t"], None)
    assert model.counter == 0
