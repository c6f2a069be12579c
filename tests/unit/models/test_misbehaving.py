"""Where River raises, panics or shares what it should not: docs/decisions/0005."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from river import anomaly, compose, drift, preprocessing, stats
from river.base import AnomalyDetector

from streamflow import Detect, Flow, Impute, MonitorDrift
from streamflow.core.index import Index
from streamflow.core.memory import Memory
from streamflow.core.state import State
from streamflow.errors import FlowError, StateError
from streamflow.models.compile import compile_watcher

FLOW = Flow("test", sensors=["t", "p"])


def rows(*values: Any, device: str = "a") -> list[dict[str, Any]]:
    return [{"device": device, "time": i, "t": t, "p": 1.0} for i, t in enumerate(values)]


def scores(stage: Detect, *values: Any) -> list[float]:
    result = (FLOW | stage).replay(rows(*values))
    assert not result.rejected
    return list(result.rows["score"])


def test_a_negative_variance_has_no_score_and_the_window_moves_on() -> None:
    river = anomaly.GaussianScorer(window_size=2, grace_period=0)
    values = [1e8, 0.1, 0.1, 0.1, 0.2, 1e8, 0.1, 0.3, 0.3, 0.3]
    own, expected = river.clone(), []
    for value in values:
        try:
            expected.append(own.score_one(None, value))
        except TypeError:
            expected.append(np.nan)
        own.learn_one(None, value)
    assert np.isnan(expected).any()
    got = scores(Detect(river, target="t"), *values)
    np.testing.assert_array_equal(got, expected)


def test_squares_that_overflow_give_what_river_gives() -> None:
    river = anomaly.StandardAbsoluteDeviation()
    values = [1.7e308, 1e308, -1.7e308, 0.0, 1.0]
    own, expected = river.clone(), []
    for value in values:
        expected.append(own.score_one(None, value))
        own.learn_one(None, value)
    assert np.isnan(expected).any()
    np.testing.assert_array_equal(scores(Detect(river, target="t"), *values), expected)


def test_a_score_that_is_not_a_number_does_not_count_in_a_quantile() -> None:
    river = anomaly.QuantileFilter(anomaly.StandardAbsoluteDeviation(), 0.9, False)
    got = scores(Detect(river, target="t"), 1.7e308, 1e308, -1.7e308, *[1.0] * 20)
    assert np.isnan(got).sum() > 6


class Panics(AnomalyDetector):
    """Its quantile panics in Rust at a value that is not a number."""

    def __init__(self) -> None:
        self.quantile = stats.Quantile(0.5)

    def score_one(self, x: Any) -> float:
        return self.quantile.get() or 0.0

    def learn_one(self, x: Any) -> None:
        self.quantile.update(x["t"] if x["t"] < 100 else np.nan)


def test_a_panic_in_rust_sets_its_reading_aside_and_the_flow_goes_on() -> None:
    result = (FLOW | Detect(Panics())).replay(rows(1.0, 2.0, 1000.0, 3.0))
    assert len(result.rows) == 3
    assert [row["reason"] for row in result.rejected] == ["PanicException in detect"]
    assert result.balance.adds_up


def test_a_selected_sensor_that_is_missing_is_an_absent_key() -> None:
    trees = anomaly.HalfSpaceTrees(n_trees=2, height=3, window_size=2, seed=7)
    for detector in (trees, anomaly.LocalOutlierFactor(2)):
        model = compose.Select("t", "p") | detector
        result = (FLOW | Detect(model)).replay(rows(0.1, None, 0.2, None, 0.3))
        assert not result.rejected
        assert not np.isnan(result.rows["score"]).any()


@pytest.mark.parametrize("stat", [stats.Mean(), stats.Quantile(0.5)])
def test_devices_do_not_share_the_statistics_of_an_imputer(stat: Any) -> None:
    imputer = preprocessing.StatImputer(("t", stat))
    both = [*rows(10.0, 10.0), *rows(30.0, None, device="b"), *rows(None)]
    result = (FLOW | Impute(imputer)).replay(both)
    assert result.rows["t"].tolist() == [10.0, 10.0, 30.0, 30.0, 10.0]


def test_an_adwin_that_would_panic_is_refused() -> None:
    with pytest.raises(FlowError, match="ADWIN cannot work with max_buckets=1 and clock=32"):
        (FLOW | MonitorDrift("t", drift.ADWIN(max_buckets=1))).plan()


def test_an_adwin_with_more_buckets_than_a_byte_counts_is_not_compiled() -> None:
    (stage,) = (FLOW | MonitorDrift("t", drift.ADWIN(max_buckets=300))).plan().stages
    assert stage.slow == "ADWIN has more than 254 buckets of a size"


def test_an_adwin_forgets_its_oldest_readings_when_its_last_level_is_full() -> None:
    kernel = compile_watcher(drift.ADWIN(max_buckets=2, delta=1e-300), "t")
    state = State("test", "drift", Memory(kernel.fields), Index())
    part, size = kernel.part(state), 2.0**31
    state["levels"][0] = 32
    state["count"][0] = 2
    state["window"][0] = 2 * (2.0**32 - 1), 0.0, 0.0
    found = np.zeros(1)
    for _ in range(3):
        kernel.kernel.run(part, np.zeros(1, np.int32), np.zeros(1), found)
    # Every level was full: adding merged all the way up, and the two oldest of the last went.
    assert state["window"][0, 0] == 2 * (2.0**32 - 1) + 3 - 2 * size
    assert state["levels"][0] == 32
    assert state["count"][0].max() <= 2


def test_a_window_too_long_for_the_kernel_is_not_taken_over() -> None:
    kernel = compile_watcher(drift.ADWIN(), "t")
    river = drift.ADWIN()
    river.update(1.0)
    saved = bytearray(river._helper.__getstate__())
    saved[84:92] = (33).to_bytes(8, "little")
    state = State("test", "drift", Memory(kernel.fields), Index())
    with pytest.raises(StateError, match="33 levels of buckets, over 32"):
        kernel.take_over(state, 0, SimpleNamespace(_helper=_Saved(bytes(saved))))


class _Saved:
    def __init__(self, saved: bytes) -> None:
        self.saved = saved

    def __getstate__(self) -> bytes:
        return self.saved
