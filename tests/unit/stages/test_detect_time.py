"""Detect("auto"), and detectors that look at the time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from river import anomaly, compose, preprocessing
from river.base import AnomalyDetector

from streamflow import AutoDetector, Detect, Flow, SeasonalNovelty
from streamflow.errors import FlowError

START = 1_767_225_600  # a midnight, UTC
HOUR = 3600
ROWS = [
    {"device": "a", "time": START + i * HOUR, "t": 30.0 if 6 <= i % 24 < 18 else 10.0}
    for i in range(1000)
]
ODD = {"device": "a", "time": START + 1008 * HOUR, "t": 30.0}  # midnight, with the value of noon


class Clock(AnomalyDetector):
    """Scores what it finds under the name of the time; has no kernel."""

    def __init__(self, time: str = "when") -> None:
        self.time = time

    def score_one(self, x: Any) -> float:
        return float(x[self.time])

    def learn_one(self, x: Any) -> None:
        assert self.time in x


def scores(estimator: Any, rows: Any = ROWS) -> np.ndarray:
    return (Flow("test", sensors=["t"]) | Detect(estimator)).replay(rows).rows["score"]


def test_auto_is_the_auto_detector_and_compiled() -> None:
    stage = Detect("auto")
    assert type(stage.estimator) is AutoDetector
    assert stage == Detect(AutoDetector())
    plan = (Flow("test", sensors=["t", "p"]) | stage).plan()
    assert plan is not None
    np.testing.assert_array_equal(scores("auto"), scores(AutoDetector()))


def test_another_name_is_an_error_that_says_which_there_is() -> None:
    with pytest.raises(FlowError, match=r"no estimator 'forest'.*\"auto\""):
        Detect("forest")


def test_the_event_time_arrives_in_seconds_with_and_without_a_kernel() -> None:
    assert scores(Clock(), ROWS[:3]).tolist() == [START + i * HOUR for i in range(3)]
    model, expected = SeasonalNovelty(), []
    for row in ROWS:
        x = {"t": row["t"], "time": row["time"]}
        expected.append(model.score_one(x))
        model.learn_one(x)
    assert scores(SeasonalNovelty()).tolist() == expected


def test_a_value_of_noon_at_midnight_is_an_onset_only_if_the_hour_is_known() -> None:
    assert scores(SeasonalNovelty(), [*ROWS, ODD])[-1] > SeasonalNovelty.ALERT_LIMIT
    assert scores(SeasonalNovelty(time=None), [*ROWS, ODD])[-1] < SeasonalNovelty.ALERT_LIMIT


def test_a_reading_without_values_has_no_score_though_it_has_a_time() -> None:
    rows = [*ROWS[:5], {**ROWS[5], "t": float("nan")}]
    for estimator in (Clock(), SeasonalNovelty(), anomaly.ThresholdFilter(SeasonalNovelty(), 0.5)):
        assert np.isnan(scores(estimator, rows)[-1])


@pytest.mark.parametrize(
    ("estimator", "text"),
    [
        (preprocessing.MinMaxScaler() | AutoDetector(), "MinMaxScaler before it would change it"),
        (compose.Select("t") | AutoDetector(), 'Select does not let through.*"time"'),
        (SeasonalNovelty(time="t"), "under the name of a sensor, 't'"),
    ],
)
def test_what_hides_or_changes_the_time_is_refused(estimator: Any, text: str) -> None:
    with pytest.raises(FlowError, match=text):
        (Flow("test", sensors=["t"]) | Detect(estimator)).plan()


def test_what_lets_the_time_through_gives_the_same() -> None:
    plain = scores(AutoDetector())
    np.testing.assert_array_equal(scores(compose.Select("t", "time") | AutoDetector()), plain)
    np.testing.assert_array_equal(scores(preprocessing.PreviousImputer() | AutoDetector()), plain)
    without = preprocessing.MinMaxScaler() | AutoDetector(time=None)
    assert np.isfinite(scores(without)).all()
