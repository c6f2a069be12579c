from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamflow import Batch, Flow, Reorder
from streamflow.engine.result import Result
from streamflow.engine.shard import Outcome, Shard
from streamflow.errors import FlowError
from streamflow.testing import check_laws

SECOND = 10**9
FLOW = Flow("test", sensors=["t"])


def replayed(stage: Reorder, seconds: Sequence[float], device: str = "a") -> Result:
    rows = [{"device": device, "time": s, "t": float(i)} for i, s in enumerate(seconds)]
    return (FLOW | stage).replay(rows)


def times(batch: Batch) -> list[float]:
    return (batch.time / SECOND).tolist()


def reading(device: str, time: float, arrived: float, t: float = 0.0) -> dict[str, Any]:
    return {
        "device": device,
        "time": round(time * SECOND),
        "arrived": round(arrived * SECOND),
        "t": t,
    }


def live(stage: Reorder, *items: list[dict[str, Any]] | float) -> tuple[Shard, list[Outcome]]:
    """A shard that was given batches, as lists of readings, and ticks; and what each gave."""
    shard = Shard((FLOW | stage).plan())
    gave = [
        shard.on_batch(Batch.of(item, ["t"]))
        if isinstance(item, list)
        else shard.on_tick(round(item * SECOND))
        for item in items
    ]
    return shard, gave


def rows_of(outcome: Outcome) -> list[tuple[str, float]]:
    rows = [row for batch in outcome.rows for row in batch.rows()]
    return [(row["device"], row["time"] / SECOND) for row in rows]


def test_readings_come_out_in_the_order_of_their_times() -> None:
    result = replayed(Reorder(lateness="5s"), [3, 1, 2, 5, 4, 9, 8])
    assert times(result.rows) == [1, 2, 3, 4, 5, 8, 9]
    assert result.rejected == []


def test_equal_times_keep_the_order_in_which_they_came() -> None:
    result = replayed(Reorder(lateness="5s"), [2, 1, 2, 1, 1, 2])
    assert result.rows["t"].tolist() == [1.0, 3.0, 4.0, 0.0, 2.0, 5.0]


def test_a_reading_just_within_lateness_is_in_time_and_a_nanosecond_later_it_is_not() -> None:
    assert times(replayed(Reorder(lateness="5s"), [10, 5]).rows) == [5, 10]
    rows = [reading("a", 10, 20), {**reading("a", 5, 21), "time": 5 * SECOND - 1}]
    _, gave = live(Reorder(lateness="5s"), rows)
    assert [row["reason"] for batch in gave[0].rejected for row in batch.rows()] == ["late"]


def test_late_readings_say_how_late_and_count_under_one_reason() -> None:
    result = replayed(Reorder(lateness="5s"), [100, 90, 101, 20, 102])
    assert [(row["time"] / SECOND, row["detail"]) for row in result.rejected] == [
        (90, "10s"),
        (20, "1m21s"),
    ]
    assert result.balance.rejected == {("reorder", "late"): 2}
    assert "detail" not in result.rows.tags


def test_a_device_that_runs_ahead_makes_nobody_else_late() -> None:
    rows = [{"device": "fast", "time": 10**6, "t": 0.0}]
    rows += [{"device": "a", "time": i, "t": float(i)} for i in (1, 3, 2, 9)]
    result = (FLOW | Reorder(lateness="5s")).replay(rows)
    assert result.rejected == []
    own = result.rows.take(result.rows["t"] > 0)
    assert times(own) == [1, 2, 3, 9]


def test_a_quiet_device_is_flushed_on_a_tick_once_it_was_idle() -> None:
    stage = Reorder(lateness="5s", idle="30s")
    shard, gave = live(stage, [reading("a", 10, 12), reading("a", 9, 13)], 42.9, 43)
    assert [rows_of(one) for one in gave] == [[], [], [("a", 9), ("a", 10)]]
    assert shard.balance.held == 0


def test_a_late_reading_counts_as_an_arrival() -> None:
    stage = Reorder(lateness="5s", idle="30s")
    _, gave = live(stage, [reading("a", 10, 12)], [reading("a", 1, 30)], 43, 60)
    assert [rows_of(one) for one in gave] == [[], [], [], [("a", 10)]]


def test_what_comes_after_a_device_was_idle_is_late_if_it_is_older_than_what_was_rows_of() -> None:
    stage = Reorder(lateness="5s", idle="30s")
    items = [reading("a", 10, 12)], 60.0, [reading("a", 9, 61), reading("a", 10, 62)]
    _, gave = live(stage, *items)
    assert [row["detail"] for batch in gave[2].rejected for row in batch.rows()] == ["1s"]


def test_without_a_tick_the_next_reading_finds_the_device_idle() -> None:
    ticked, gave = live(
        Reorder(lateness="5s", idle="30s"), [reading("a", 10, 12)], 45.0, [reading("a", 9, 50)]
    )
    alone, gave_alone = live(
        Reorder(lateness="5s", idle="30s"), [reading("a", 10, 12), reading("a", 9, 50)]
    )
    assert ticked.balance.tree() == alone.balance.tree()
    assert rows_of(gave[1]) == rows_of(gave_alone[0]) == [("a", 10)]


def test_ticks_change_nothing_for_what_comes_after_an_idle_time() -> None:
    """As in tests/laws, with so many streams that some come back late after an idle time."""
    check_laws(FLOW | Reorder(lateness="1h", idle="1h"), examples=40)


def test_history_flushes_a_device_over_a_gap_as_a_live_run_does() -> None:
    result = replayed(Reorder(lateness="5s", idle="30s"), [0, 100, 99, 60])
    assert times(result.rows) == [0, 99, 100]
    assert [row["time"] / SECOND for row in result.rejected] == [60]


def test_a_minute_is_the_least_idle_time_by_default_and_lateness_if_that_is_longer() -> None:
    assert Reorder(lateness="1s")._idle == 60 * SECOND
    assert Reorder(lateness="1h")._idle == 3600 * SECOND


def test_a_restart_keeps_the_order_of_what_is_held() -> None:
    shard, _ = live(Reorder(lateness="5s"), [reading("a", t, 20 + i) for i, t in enumerate([7, 5])])
    again = Shard(shard.plan, shard.snapshot())
    again.on_batch(Batch.of([reading("b", 1, 30), reading("a", 6, 31)], ["t"]))
    gave = again.on_end()
    assert [time for device, time in rows_of(gave) if device == "a"] == [5, 6, 7]


def test_a_device_that_is_erased_leaves_the_queues_of_others_alone() -> None:
    rows = [reading(device, t, 20) for t in (9, 7, 8) for device in "abc"]
    shard, _ = live(Reorder(lateness="5s"), rows)
    shard.erase(["b"])
    shard.on_batch(Batch.of([reading("d", 1, 21), reading("b", 2, 22)], ["t"]))
    assert shard.balance.rejected == {("reorder", "erased"): 3}
    left: dict[str, list[float]] = {}
    for device, time in rows_of(shard.on_end()):
        left.setdefault(device, []).append(time)
    assert left == {"a": [7, 8, 9], "c": [7, 8, 9], "d": [1], "b": [2]}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seconds=st.lists(st.integers(0, 40), min_size=1, max_size=40),
    cut=st.integers(1, 40),
    lateness=st.integers(1, 30),
)
def test_it_is_what_a_plain_loop_gives(seconds: list[int], cut: int, lateness: int) -> None:
    held: list[tuple[int, int]] = []
    expected, late, newest = [], [], None
    for i, s in enumerate(seconds):
        if newest is not None and s < newest - lateness:
            late.append(i)
            continue
        newest = s if newest is None else max(s, newest)
        held = sorted([*held, (s, i)])
        while held and held[0][0] <= newest - lateness:
            expected.append(held.pop(0)[1])
    expected += [i for _, i in held]
    stage = Reorder(lateness=f"{lateness}s", idle="1d")
    rows = [reading("a", s, 100, float(i)) for i, s in enumerate(seconds)]
    shard, gave = live(stage, *filter(None, [rows[:cut], rows[cut:]]))
    outs = [*gave, shard.on_end()]
    assert [t for one in outs for batch in one.rows for t in batch["t"].tolist()] == expected
    assert [t for one in outs for batch in one.rejected for t in batch["t"].tolist()] == late


def test_letting_a_reading_out_copies_nothing_that_others_hold() -> None:
    many = [reading(f"d{i}", 10, 20) for i in range(5000)]
    shard, _ = live(Reorder(lateness="5s"), many, [reading("d7", 11, 21)])
    buffer = shard.states["reorder"].buffer
    before = buffer.time
    assert rows_of(shard.on_batch(Batch.of([reading("d7", 15, 21)], ["t"]))) == [("d7", 10)]
    assert buffer.time is before


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        (Reorder(lateness="0s"), "step 'reorder': lateness='0s' is no time at all; give more"),
        (Reorder(lateness="-5s"), "step 'reorder': lateness: '-5s' is not a duration"),
        (Reorder(lateness=10), "step 'reorder': lateness: 10 is not a duration"),  # type: ignore[arg-type]
        (Reorder(idle="0s"), "step 'reorder': idle='0s' is no time at all"),
        (
            Reorder(lateness="1h", idle="1m"),
            "step 'reorder': idle='1m' is shorter than lateness='1h': what is still in time",
        ),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(stage: Reorder, sentence: str) -> None:
    with pytest.raises(FlowError) as error:
        (FLOW | stage).plan()
    assert sentence in str(error.value)


def test_a_tag_cannot_take_the_name_of_what_rejected_readings_say() -> None:
    with pytest.raises(FlowError, match="no tag can be called 'detail'"):
        Flow("test", sensors=["t"], tags=["detail"])
