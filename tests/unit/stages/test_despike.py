from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamflow import Batch, Despike, Flow
from streamflow.engine.shard import Shard
from streamflow.errors import FlowError

FLOW = Flow("test", sensors=["t", "p"])
CALM = [20.0, 20.2, 19.9, 20.1, 20.0, 19.8, 20.1, 20.2] * 2
N = len(CALM)
SECOND = 10**9


def despiked(stage: Despike, values: Any) -> list[float | None]:
    rows = [{"device": "a", "time": i, "t": t} for i, t in enumerate(values)]
    result = (FLOW | stage).replay(rows)
    assert result.balance.adds_up
    assert len(result.rows) == len(rows)
    return [row["t"] for row in result.rows.rows()]


def test_a_single_value_far_away_is_missing_and_what_follows_is_kept() -> None:
    got = despiked(Despike(), [*CALM, 90.0, 20.0, 20.1])
    assert got == [*CALM, None, 20.0, 20.1]


def test_a_step_is_no_spike_and_nothing_of_it_is_lost() -> None:
    step = [*CALM, 30.1, 30.0, 30.2, 29.9]
    assert despiked(Despike(), step) == step


def test_after_a_step_a_return_is_a_step_and_a_spike_is_a_spike() -> None:
    up = [*CALM, 30.1, 30.0, 30.2, 29.9]
    assert despiked(Despike(), [*up, 20.0, 20.1, 80.0, 20.2]) == [*up, 20.0, 20.1, None, 20.2]


def test_two_outliers_apart_do_not_confirm_each_other() -> None:
    got = despiked(Despike(), [*CALM, 90.0, -50.0, 20.0, 20.1])
    assert got == [*CALM, None, None, 20.0, 20.1]


def test_a_spike_of_two_readings_needs_two_to_confirm() -> None:
    values = [*CALM, 90.0, 90.1, 20.0, 20.1]
    assert despiked(Despike(), values) == values
    assert despiked(Despike(confirm=2), values) == [*CALM, None, None, 20.0, 20.1]


def test_missing_values_confirm_nothing_and_are_not_learned() -> None:
    assert despiked(Despike(), [*CALM, 90.0, None, 20.0]) == [*CALM, None, None, 20.0]


def test_what_stays_far_is_accepted_even_where_nothing_can_confirm_it() -> None:
    rows = [{"device": "a", "time": 7200 * i, "t": t} for i, t in enumerate([*CALM, 50, 50.1, 50])]
    got = (FLOW | Despike()).replay(rows).rows["t"].tolist()
    np.testing.assert_array_equal(got, [*CALM, np.nan, 50.1, 50.0])


def test_a_slope_is_not_a_row_of_spikes() -> None:
    slope = np.linspace(0, 500, 300) + np.random.default_rng(1).normal(0, 0.2, 300)
    assert None not in despiked(Despike(), slope)


def test_a_window_that_happens_to_be_wide_does_not_hide_a_spike() -> None:
    rng = np.random.default_rng(8)
    usual = 20 + rng.normal(0, 0.1, 200)
    wide = [19.8, 20.2, 19.85, 20.0, 20.15, 19.85, 20.2]
    assert despiked(Despike(), [*usual, *wide, 21.0, 20.0])[-2:] == [None, 20.0]


def test_a_burst_is_judged_by_its_own_deviation() -> None:
    rng = np.random.default_rng(8)
    calm, burst = 20 + rng.normal(0, 0.1, 200), 20 + rng.normal(0, 5, 60)
    got = despiked(Despike(), [*calm, *burst])
    assert sum(value is None for value in got) < 20


def test_a_sensor_with_coarse_steps_may_show_two_of_them() -> None:
    rng = np.random.default_rng(8)
    steps = (rng.random(300) < 0.1).astype(float)
    assert despiked(Despike(), [*steps, 0.0, 2.0, 0.0])[-2] == 2.0
    assert despiked(Despike(), [*steps, 0.0, 2.5, 0.0])[-2] is None


def test_the_first_values_are_not_judged() -> None:
    assert despiked(Despike(window=9), [1.0, 99.0, 1.0]) == [1.0, 99.0, 1.0]


def batch(*readings: tuple[str, int, float]) -> Batch:
    rows = [{"device": d, "time": s * SECOND, "t": t} for d, s, t in readings]
    return Batch.of(rows, ["t", "p"])


def test_only_what_is_far_waits_and_at_most_as_long_as_told() -> None:
    shard = Shard((FLOW | Despike(wait="10m")).plan())
    shard.on_batch(batch(*(("a", i, t) for i, t in enumerate(CALM))))
    out = shard.on_batch(batch(("b", N, 1.0), ("a", N, 90.0), ("b", N + 1, 1.0)))
    assert [len(rows) for rows in out.rows] == [2]
    assert shard.balance.held == 1
    assert shard.on_tick((N + 599) * SECOND).rows == []
    (due,) = shard.on_tick((N + 600) * SECOND).rows
    assert np.isnan(due["t"]).tolist() == [True]
    assert shard.balance.held == 0


def test_a_reading_held_comes_before_the_next_of_its_device() -> None:
    shard = Shard((FLOW | Despike()).plan())
    shard.on_batch(batch(*(("a", i, t) for i, t in enumerate(CALM))))
    assert shard.on_batch(batch(("a", N, 90.0))).rows == []
    (rows,) = shard.on_batch(batch(("c", N + 1, 1.0), ("a", N + 1, 20.0))).rows
    assert [rows.name(i) for i in range(3)] == ["a", "c", "a"]
    assert shard.on_end().rows == []


def test_what_is_held_at_the_end_goes_out() -> None:
    assert despiked(Despike(), [*CALM, 90.0]) == [*CALM, None]


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        (Despike(window=6), "window=6 must be an odd number from 3 on"),
        (Despike(window=1), "window=1 must be an odd number from 3 on"),
        (Despike(window=-7), "window=-7 must be an odd"),
        (Despike(confirm=0), "confirm=0 must be a number of readings from 1 to 3"),
        (Despike(window=3, confirm=2), "from 1 to 1, less than half the window of 3"),
        (Despike(sigmas=0), "sigmas=0 must be above 0"),
        (Despike(wait="0s"), "wait='0s' is no time"),
        (Despike(wait="soon"), "'soon' is not a duration"),
        (Despike(sensors=["tt"]), "sensors names the column 'tt'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(stage: Despike, sentence: str) -> None:
    with pytest.raises(FlowError) as error:
        (FLOW | stage).plan()
    assert sentence in str(error.value)
