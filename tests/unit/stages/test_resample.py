from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamflow import Batch, Flow, Quality, Resample, Sensor, Validate
from streamflow.engine.result import Result
from streamflow.engine.shard import Outcome, Shard
from streamflow.errors import FlowError

SECOND = 10**9
FLOW = Flow("test", sensors=["t", "p"], tags=["site"])
HELD = "resampled"
Row = tuple[float, float | None]


def replayed(stage: Resample, *rows: dict[str, Any]) -> Result:
    return (FLOW | stage).replay([{"device": "a", **row} for row in rows])


def series(result: Result, sensor: str = "t") -> list[tuple[float, float | None, bool]]:
    """Time in s, value, and whether it was made up."""
    return [
        (row["time"] / SECOND, row[sensor], HELD in row.get("quality", {}).get(sensor, []))
        for row in result.rows.rows()
    ]


def of_t(stage: Resample, *readings: Row) -> list[tuple[float, float | None, bool]]:
    return series(replayed(stage, *({"time": s, "t": t} for s, t in readings)))


def test_a_row_stands_for_what_came_up_to_its_time() -> None:
    got = of_t(Resample("10s"), (0.5, 1.0), (10, 3.0), (10.001, 5.0), (20, 7.0))
    assert got == [(10, 2.0, False), (20, 6.0, False)]


def test_what_is_on_the_grid_already_stays_as_it_is() -> None:
    readings = [(10.0 * i, float(i)) for i in range(1, 9)]
    assert of_t(Resample("10s"), *readings) == [(s, t, False) for s, t in readings]


def test_the_last_of_a_cell_if_asked_for() -> None:
    rows = [{"time": s, "t": float(s), "p": float(s)} for s in (1, 2, 3)]
    result = replayed(Resample("10s", how={"p": "last"}), *rows)
    assert (result.rows["t"].tolist(), result.rows["p"].tolist()) == ([2.0], [3.0])
    assert replayed(Resample("10s", how="last"), *rows).rows["t"].tolist() == [3.0]


def test_sensors_at_different_rates_meet_on_one_grid() -> None:
    rows: list[dict[str, Any]] = [{"time": s, "t": float(s)} for s in range(1, 61)]
    rows += [{"time": s, "p": float(s)} for s in (1, 31)]
    result = replayed(Resample("10s", gap="30s"), *sorted(rows, key=lambda row: row["time"]))
    assert [t for _, t, _ in series(result)] == [5.5, 15.5, 25.5, 35.5, 45.5, 55.5]
    assert series(result, "p") == [
        (10, 1.0, False),
        (20, 1.0, True),
        (30, 1.0, True),
        (40, 31.0, False),
        (50, 31.0, True),
        (60, 31.0, True),
    ]


def test_a_value_is_held_no_longer_than_the_gap() -> None:
    rows = [{"time": 10, "t": 1.0, "p": 1.0}, *({"time": 10 * i, "p": 2.0} for i in range(2, 7))]
    result = replayed(Resample("10s", gap="30s"), *rows)
    assert [t for _, t, _ in series(result)] == [1.0, 1.0, 1.0, 1.0, None, None]


def test_in_a_gap_only_so_much_is_made_up() -> None:
    got = of_t(Resample("10s", gap="30s"), (10, 1.0), (1000, 2.0))
    assert got == [
        (10, 1.0, False),
        (20, 1.0, True),
        (30, 1.0, True),
        (40, 1.0, True),
        (1000, 2.0, False),
    ]


def test_a_grid_much_finer_than_the_data_is_bounded_however_long_the_gap() -> None:
    result = replayed(
        Resample("1ms", gap="100ms"), *({"time": 86400.0 * i, "t": 1.0} for i in range(50))
    )
    assert result.balance.created == 49 * 100
    assert result.balance.adds_up


def test_nothing_is_made_up_if_the_gap_is_none() -> None:
    got = of_t(Resample("10s", gap="0s"), (10, 1.0), (20, None), (50, 2.0))
    assert got == [(10, 1.0, False), (20, None, False), (50, 2.0, False)]


def test_linear_lies_between_its_neighbours() -> None:
    got = of_t(Resample("10s", fill="linear"), (10, 1.0), (50, 5.0))
    assert got == [
        (10, 1.0, False),
        *((10.0 * i, float(i), True) for i in (2, 3, 4)),
        (50, 5.0, False),
    ]


def test_linear_makes_nothing_up_over_a_longer_gap() -> None:
    got = of_t(Resample("10s", gap="30s", fill="linear"), (10, 1.0), (50, 5.0), (80, 8.0))
    assert [s for s, _, _ in got] == [10, 50, 60, 70, 80]


def test_counts_of_created_and_merged_readings_balance() -> None:
    result = replayed(Resample("10s"), *({"time": s, "t": 1.0} for s in (1, 2, 3, 35)))
    balance = result.balance
    assert (balance.readings, balance.out, balance.created, balance.merged) == (4, 4, 2, 2)
    assert balance.adds_up


def test_good_values_count_before_doubtful_ones_which_keep_their_flags() -> None:
    time = np.array([1, 2, 11, 12], np.int64) * SECOND
    spike = np.array([0, 256, 256, 256], np.uint16)
    columns = {"t": np.array([1.0, 9.0, 5.0, 7.0]), "p": np.ones(4)}
    batch = Batch(["a"], np.zeros(4, np.int32), time, time, columns, {}, {"t": spike})
    result = (Flow("test", sensors=["t", "p"]) | Resample("10s")).replay(batch)
    assert result.rows["t"].tolist() == [1.0, 6.0]
    assert result.rows.flags("t").tolist() == [0, Quality.SPIKE]


def test_a_doubtful_value_is_not_held_and_a_bad_one_says_why_it_was_replaced() -> None:
    flow = Flow("test", sensors={"t": Sensor(high=50)}) | Validate() | Resample("10s")
    rows = [{"device": "a", "time": s, "t": t} for s, t in ((10, 1.0), (20, 99.0), (30, None))]
    listed = list(flow.replay(rows).rows.rows())
    assert [row["t"] for row in listed] == [1.0, 1.0, 1.0]
    assert listed[1]["quality"] == {"t": ["out_of_range", "resampled"]}
    assert listed[2]["quality"] == {"t": ["resampled"]}


def test_the_mean_of_equal_values_is_that_value() -> None:
    assert of_t(Resample("10s"), *((i / 10, 0.1) for i in range(1, 100)))[0][1] == 0.1


def test_tags_and_other_columns_are_those_of_the_last_reading() -> None:
    rows = [{"time": 1, "t": 1.0, "site": "south"}, {"time": 2, "t": 1.0, "site": "north"}]
    assert replayed(Resample("10s"), *rows).rows.tags["site"].list() == ["north"]


def test_what_is_older_than_the_open_cell_is_late() -> None:
    result = replayed(Resample("10s"), *({"time": s, "t": float(s)} for s in (11, 12, 10, 13, 21)))
    assert [t for _, t, _ in series(result)] == [12.0, 21.0]
    assert [(row["t"], row["reason"], row["detail"]) for row in result.rejected] == [
        (10.0, "late", "10s")
    ]


def test_a_quiet_device_gives_its_cell_on_a_tick_and_makes_nothing_up() -> None:
    shard, outcome = Shard((FLOW | Resample("10s", gap="20s")).plan()), Outcome()
    outcome.add(shard.on_batch(Batch.of([{"device": "a", "time": SECOND}], ["t", "p"])))
    outcome.add(shard.on_tick(21 * SECOND - 1))
    assert not outcome.rows
    outcome.add(shard.on_tick(10**6 * SECOND))
    assert [row["time"] for batch in outcome.rows for row in batch.rows()] == [10 * SECOND]


def test_a_restart_goes_on_within_the_cell() -> None:
    plan = (FLOW | Resample("10s")).plan()
    shard = Shard(plan)
    rows = [{"device": d, "time": s * SECOND, "t": float(s)} for s in (1, 2) for d in "ab"]
    shard.on_batch(Batch.of(rows, ["t", "p"]))
    again = Shard(plan, shard.snapshot())
    again.on_batch(Batch.of([{"device": "b", "time": 6 * SECOND, "t": 6.0}], ["t", "p"]))
    out = Batch.concat(again.on_end().rows)
    got = {row["device"]: row["t"] for row in out.rows()}
    assert got == {"a": 1.5, "b": 3.0}
    assert again.balance.adds_up


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    steps=st.lists(st.integers(0, 45), min_size=1, max_size=30),
    every=st.integers(1, 9),
    cells=st.integers(0, 5),
)
def test_it_is_what_a_plain_loop_gives(steps: list[int], every: int, cells: int) -> None:
    seconds = np.cumsum(steps).tolist()
    found: dict[int, list[float]] = {}
    for i, s in enumerate(seconds):
        found.setdefault(-(-s // every), []).append(float(i))
    expected: list[tuple[float, float | None, bool]] = []
    last = None
    for k in range(min(found), max(found) + 1):
        if k in found:
            last = k
            expected.append((k * every, pytest.approx(np.mean(found[k])), False))
        elif last is not None and k - last <= cells:
            expected.append((k * every, pytest.approx(np.mean(found[last])), True))
    stage = Resample(f"{every}s", gap=f"{cells * every}s")
    got = of_t(stage, *((float(s), float(i)) for i, s in enumerate(seconds)))
    assert got == expected


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        (Resample("0s"), "step 'resample': every='0s' is no time at all"),
        (Resample("-1s"), "step 'resample': every: '-1s' is not a duration"),
        (Resample("10s", gap="5s"), "gap='5s' is shorter than every='10s'"),
        (Resample("1ms", gap="1h"), "every='1ms' is so fine that gap='1h' would make up 3,600,000"),
        (Resample("1s", how="men"), "step 'resample': how='men'; did you mean 'mean'?"),
        (Resample("1s", how={"tt": "mean"}), "step 'resample': no sensor 'tt'; did you mean 't'?"),
        (Resample("1s", how={"t": "max"}), "step 'resample': how='max'; there is: last, mean"),
        (Resample("1s", fill="cubic"), "step 'resample': fill='cubic'; there is: hold, linear"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(stage: Resample, sentence: str) -> None:
    with pytest.raises(FlowError) as error:
        (FLOW | stage).plan()
    assert sentence in str(error.value)


def test_a_fine_grid_is_warned_of() -> None:
    (warning,) = Resample("1s", gap="10m").bind(FLOW.schema).warnings()
    assert warning == "up to 600 readings may be made up for one that was measured"
    assert not Resample("1s").bind(FLOW.schema).warnings()
