from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from river import anomaly, linear_model, preprocessing
from river.base import AnomalyDetector

from streamflow import Alert, Detect, Flow, Gate, Impute, Sensor, Validate
from streamflow.errors import FlowError

FLOW = Flow("test", sensors=["t", "p"], tags=["site"])


class Tape(AnomalyDetector):
    """Scores a reading by its value of t, and remembers what it was given to learn."""

    learned: list[Any] = []  # noqa: RUF012
    scored: list[Any] = []  # noqa: RUF012

    def score_one(self, x: Any) -> float:
        Tape.scored.append(dict(x))
        return float(x.get("t", 0.0))

    def learn_one(self, x: Any) -> None:
        Tape.learned.append(dict(x))


@pytest.fixture(autouse=True)
def _empty_tape() -> None:
    Tape.learned.clear()
    Tape.scored.clear()


def rows(*values: Any, **more: Any) -> list[dict[str, Any]]:
    return [{"device": "a", "time": i, "t": t, **more} for i, t in enumerate(values)]


def learned(detect: Detect, *values: Any, **more: Any) -> list[Any]:
    (FLOW | detect).replay(rows(*values, **more))
    return [x["t"] for x in Tape.learned]


def test_each_reading_is_scored_and_then_learned_as_river_would() -> None:
    values = np.random.default_rng(1).random((2, 300)).round(3)
    own = {d: preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=1) for d in "ab"}
    expected = []
    dicts = []
    for i, (t, p) in enumerate(values.T.tolist()):
        device = "ab"[i % 3 == 0]
        expected.append(own[device].score_one({"t": t, "p": p}))
        own[device].learn_one({"t": t, "p": p})
        dicts.append({"device": device, "time": i, "t": t, "p": p})
    detector = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=1)
    assert (FLOW | Detect(detector)).replay(dicts).rows["score"].tolist() == expected


def test_the_estimator_given_is_never_changed() -> None:
    trees = anomaly.HalfSpaceTrees(seed=1, window_size=2)
    (FLOW | Detect(trees)).replay(rows(1, 2, 3, 4))
    assert trees.counter == 0


def test_a_missing_value_is_an_absent_key() -> None:
    (FLOW | Detect(Tape())).replay(rows(1.0))
    assert Tape.scored == Tape.learned == [{"t": 1.0}]


def test_a_reading_with_no_value_has_no_score_and_teaches_nothing() -> None:
    result = (FLOW | Detect(Tape())).replay(rows(1.0, None, 3.0))
    assert np.isnan(result.rows["score"]).tolist() == [False, True, False]
    assert len(Tape.learned) == 2


def test_imputed_values_are_scored_but_not_learned() -> None:
    (FLOW | Impute(hold="1h") | Detect(Tape())).replay(
        [{"device": "a", "time": 0, "t": 1.0, "p": 2.0}, {"device": "a", "time": 1, "t": 3.0}]
    )
    assert Tape.scored[1] == {"t": 3.0, "p": 2.0}
    assert Tape.learned[1] == {"t": 3.0}


def test_an_infinite_value_never_reaches_the_model() -> None:
    (FLOW | Detect(Tape())).replay(rows(float("inf"), p=2.0))
    assert Tape.scored == [{"p": 2.0}]


def test_a_value_that_cannot_be_true_is_neither_scored_nor_learned() -> None:
    flow = Flow("test", sensors={"t": Sensor(high=10), "p": Sensor()}) | Validate() | Detect(Tape())
    flow.replay(rows(99.0, p=2.0))
    assert Tape.scored == Tape.learned == [{"p": 2.0}]


def test_sensors_are_those_named() -> None:
    (FLOW | Detect(Tape(), sensors=["p"])).replay(rows(1.0, p=2.0))
    assert Tape.scored == [{"p": 2.0}]


def test_learn_false_only_scores() -> None:
    assert learned(Detect(Tape(), learn=False), 1, 2, 3) == []
    assert len(Tape.scored) == 3


def test_learn_by_the_score_and_by_columns() -> None:
    assert learned(Detect(Tape(), learn="score < 3"), 1, 5, 2) == [1, 2]
    Tape.learned.clear()
    condition = 'score < 3 and p > 0 and site == "n"'
    assert learned(Detect(Tape(), learn=condition), 1, 5, p=1.0, site="n") == [1]
    Tape.learned.clear()
    assert learned(Detect(Tape(), learn=condition), 1, p=1.0, site="s") == []


def test_the_gate_closes_on_an_alarm_and_opens_after_calm_readings() -> None:
    gate = Gate("score > 8", resume=3)
    assert learned(Detect(Tape(), gate=gate), 1, 2, 9, 3, 4, 5, 6) == [1, 2, 5, 6]


def test_an_alarm_during_the_calm_starts_it_anew() -> None:
    gate = Gate("score > 8", resume=3)
    assert learned(Detect(Tape(), gate=gate), 9, 1, 2, 9, 3, 4, 5, 6) == [5, 6]


def test_after_its_limit_the_gate_gives_in() -> None:
    gate = Gate("score > 8", resume=2, limit=3)
    assert learned(Detect(Tape(), gate=gate), 1, 9, 9.1, 9.2, 9.3, 9.4) == [1, 9.3, 9.4]


def test_a_calm_spell_sets_the_limit_back() -> None:
    gate = Gate("score > 8", resume=1, limit=2)
    assert learned(Detect(Tape(), gate=gate), 9, 9, 1, 9, 9, 9.5) == [1, 9.5]


def test_gate_and_learn_both_have_to_allow() -> None:
    detect = Detect(Tape(), learn="score < 5", gate=Gate("score > 8", resume=2))
    assert learned(detect, 1, 6, 9, 2, 3, 7) == [1, 3]


def test_a_gate_may_look_at_columns() -> None:
    detect = Detect(Tape(), gate=Gate("score > 8 and p > 0", resume=2))
    assert learned(detect, 9, p=0.0) == [9]
    Tape.learned.clear()
    assert learned(detect, 9, p=1.0) == []


def test_devices_have_gates_of_their_own() -> None:
    flow = FLOW | Detect(Tape(), gate=Gate("score > 8", resume=5))
    flow.replay([{"device": d, "time": 0, "t": t} for d, t in [("a", 9), ("b", 1), ("a", 2)]])
    assert [x["t"] for x in Tape.learned] == [1]


def test_a_supervised_detector_scores_its_target_given_the_others() -> None:
    model = anomaly.PredictiveAnomalyDetection(linear_model.LinearRegression(), horizon=1)
    result = (FLOW | Detect(model, target="t")).replay(
        [{"device": "a", "time": i, "t": float(i % 7), "p": float(i % 7)} for i in range(50)]
    )
    own = anomaly.PredictiveAnomalyDetection(linear_model.LinearRegression(), horizon=1)
    expected = []
    for i in range(50):
        expected.append(own.score_one({"p": float(i % 7)}, float(i % 7)))
        own.learn_one({"p": float(i % 7)}, float(i % 7))
    assert result.rows["score"].tolist() == expected


def test_without_its_target_a_reading_has_no_score() -> None:
    result = (FLOW | Detect(anomaly.GaussianScorer(), target="t")).replay(rows(1.0, None, p=1.0))
    assert np.isnan(result.rows["score"]).tolist() == [False, True]


class Broken(Tape):
    def learn_one(self, x: Any) -> None:
        if x["t"] == 2:
            raise ValueError("cannot learn this")


def test_an_exception_of_the_model_rejects_its_reading_and_the_flow_goes_on() -> None:
    result = (FLOW | Detect(Broken())).replay(rows(1.0, 2.0, 3.0))
    assert result.rows["score"].tolist() == [1.0, 3.0]
    (aside,) = result.rejected
    assert "ValueError" in aside["reason"]
    assert result.balance.adds_up


@pytest.mark.parametrize(
    ("detect", "sentence"),
    [
        (Detect(anomaly.HalfSpaceTrees), "HalfSpaceTrees is a class; give an object"),
        (Detect(preprocessing.MinMaxScaler()), "MinMaxScaler is not an anomaly detector"),
        (Detect(anomaly.GaussianScorer()), 'say which: target="temperature"'),
        (Detect(anomaly.GaussianScorer(), target="tt"), "target names the column 'tt'"),
        (Detect(anomaly.HalfSpaceTrees(), sensors=["tt"]), "sensors names the column 'tt'"),
        (Detect(anomaly.HalfSpaceTrees(), learn="scor < 1"), "learn='scor < 1' uses 'scor'"),
        (Detect(anomaly.HalfSpaceTrees(), gate=Gate("x > 1")), "gate='x > 1' uses 'x'"),
        (Detect(anomaly.HalfSpaceTrees(), learn="score < t"), "known reading by reading only"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(detect: Detect, sentence: str) -> None:
    with pytest.raises(FlowError) as error:
        (FLOW | detect).plan()
    assert sentence in str(error.value)


def test_a_second_detector_wants_a_name_and_sees_the_first() -> None:
    flow = (
        FLOW | Detect(Tape()) | Detect(Tape(), name="x", sensors=["score"]) | Alert("x_score > 9")
    )
    assert flow.replay(rows(1.0)).rows["x_score"].tolist() == [0.0]
    with pytest.raises(FlowError, match="two steps are called 'detect'"):
        (FLOW | Detect(Tape()) | Detect(Tape())).plan()


def test_two_are_equal_when_their_estimators_are_written_alike() -> None:
    assert Detect(anomaly.HalfSpaceTrees(seed=1)) == Detect(anomaly.HalfSpaceTrees(seed=1))
    assert Detect(anomaly.HalfSpaceTrees(seed=1)) != Detect(anomaly.HalfSpaceTrees(seed=2))
