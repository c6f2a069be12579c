from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from streamflow import Alert, Batch, Flow, Map, Memory, Reject, Schema, Stage, Validate
from streamflow.core.state import State
from streamflow.engine.shard import Shard
from streamflow.errors import FlowError, StageError, StateError
from streamflow.testing import Collect

FLOW = Flow("test", sensors=["t"])
ROWS = [{"device": d, "time": i, "t": float(i)} for i, d in enumerate("abacb")]
Give = Callable[[Batch, State], Any]


class Own(Stage):
    """A stage that gives back what a test says."""

    give: Give

    def on_batch(self, batch: Batch, state: State) -> Any:
        return type(self).give(batch, state)


def giving(give: Give, name: str = "own") -> Stage:
    return type("Own", (Own,), {"give": staticmethod(give)})(name=name)


def none_of(batch: Batch) -> Batch:
    return batch.take(np.zeros(len(batch), bool))


@pytest.mark.parametrize(
    "give",
    [
        lambda batch, state: batch.take(np.arange(len(batch) - 1)),
        lambda batch, state: none_of(batch),
        lambda batch, state: None,
        lambda batch, state: Batch.concat([batch, batch]),
        lambda batch, state: batch.take(np.array([0, *range(len(batch))])),
        lambda batch, state: (none_of(batch), []),
    ],
    ids=[
        "drops one",
        "drops all",
        "forgets to return",
        "doubles",
        "invents one",
        "drops, in a pair",
    ],
)
@pytest.mark.parametrize("workers", [0, 1])
def test_a_stage_that_loses_or_invents_readings_without_saying_so_is_named(
    give: Give, workers: int
) -> None:
    flow = Flow("test", sensors=["t"], shards=1)
    with pytest.raises(StageError) as error:
        (flow | giving(give)).replay(ROWS, workers=workers)
    assert error.value.step == "own"
    assert "was given 5 readings and gave back" in str(error.value)
    assert "reject them" in str(error.value)


def fewer_but_held(batch: Batch, state: State) -> Batch:
    state.hold(batch.take(np.array([0])))
    return batch.take(np.arange(2, len(batch)))


def test_holding_one_does_not_excuse_losing_another() -> None:
    with pytest.raises(StageError, match="gave back 3, holding 1 more"):
        (FLOW | giving(fewer_but_held)).replay(ROWS)


def one_of_two(batch: Batch, state: State) -> Batch:
    state.merged = len(batch) - 1
    return batch.take(np.array([0]))


def twice(batch: Batch, state: State) -> Batch:
    state.created = len(batch)
    return Batch.concat([batch, batch])


def test_readings_that_are_merged_or_created_and_said_so_balance() -> None:
    balance = (FLOW | giving(one_of_two) | giving(twice, "twice")).replay(ROWS).balance
    assert (balance.readings, balance.merged, balance.created, balance.out) == (5, 4, 1, 2)
    assert balance.adds_up


def test_counts_of_one_batch_do_not_leak_into_the_next() -> None:
    shard = Shard((FLOW | giving(one_of_two)).plan())
    for _ in range(3):
        shard.on_batch(Batch.of(ROWS, ["t"]))
    assert (shard.balance.merged, shard.balance.out) == (12, 3)
    assert shard.balance.adds_up


@pytest.mark.parametrize(
    "thing", [[1, 2, 3, 4, 5], "batch", 5, {"t": 1}], ids=lambda thing: type(thing).__name__
)
def test_what_is_no_batch_is_refused(thing: Any) -> None:
    with pytest.raises(StageError, match=f"step 'own': gave back {type(thing).__name__}, which is"):
        (FLOW | giving(lambda batch, state: thing)).replay(ROWS)


def fails(batch: Batch, state: State) -> Batch:
    raise KeyError("on purpose")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_exception_in_a_stage_names_the_step_and_keeps_its_cause(workers: int) -> None:
    with pytest.raises(StageError) as error:
        (FLOW | Alert("t > 1") | giving(fails)).replay(ROWS, workers=workers)
    assert error.value.step == "own"
    assert str(error.value) == "step 'own': KeyError: 'on purpose'"
    assert workers or isinstance(error.value.__cause__, KeyError)


def set_aside(batch: Batch, state: State) -> Batch:
    return batch.reject(batch["t"] == 1, "first").reject(batch["t"] <= 2, "second")


def test_rejected_readings_do_not_reach_later_stages_or_sinks() -> None:
    seen: list[float] = []

    def look(r: Any) -> None:
        seen.append(r["t"])

    result = (FLOW | giving(set_aside) | Map(look)).replay(ROWS)
    assert seen == [3.0, 4.0]
    assert result.rows["t"].tolist() == [3.0, 4.0]
    assert [(row["t"], row["step"], row["reason"]) for row in result.rejected] == [
        (0.0, "own", "second"),
        (1.0, "own", "first"),
        (2.0, "own", "second"),
    ]
    assert result.balance.rejected == {("own", "first"): 1, ("own", "second"): 2}
    assert result.balance.adds_up


def test_when_all_are_rejected_later_stages_are_not_called() -> None:
    result = (FLOW | Map(lambda r: Reject("no")) | giving(fails)).replay(ROWS)
    assert (len(result.rows), len(result.rejected)) == (0, 5)
    assert result.balance.adds_up


def test_what_passes_has_no_reason_left() -> None:
    result = (FLOW | giving(set_aside)).replay(ROWS)
    assert result.rows.reason is None
    assert all("reason" not in row for row in result.rows.rows())


class Hold(Stage):
    """Holds everything back until the end, or until a tick of its own."""

    @property
    def memory(self) -> Memory:
        return Memory(holds=True)

    def on_batch(self, batch: Batch, state: State) -> Batch:
        state.hold(batch)
        return none_of(batch)

    def on_end(self, state: State) -> Batch | None:
        return state.release(np.arange(state.held_count))


def test_the_end_releases_what_is_held_through_all_later_stages() -> None:
    result = (FLOW | Hold() | Map(lambda r: {"x": r["t"]}, adds=["x"]) | Hold(name="more")).replay(
        ROWS
    )
    assert sorted(result.rows["x"].tolist()) == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert result.balance.held == 0
    assert result.balance.adds_up


def test_before_the_end_the_balance_counts_them_as_held() -> None:
    shard = Shard((FLOW | Hold()).plan())
    outcome = shard.on_batch(Batch.of(ROWS, ["t"]))
    assert outcome.rows == []
    assert (shard.balance.held, shard.balance.out) == (5, 0)
    assert shard.balance.adds_up


def test_an_erased_device_loses_what_is_held_and_the_balance_knows() -> None:
    shard = Shard((FLOW | Hold()).plan())
    shard.on_batch(Batch.of(ROWS, ["t"]))
    shard.erase(["a", "a", "nobody"])
    assert shard.balance.held == 3
    assert shard.balance.rejected == {("hold", "erased"): 2}
    shard.on_batch(Batch.of([{"device": "new", "time": 9, "t": 9.0}], ["t"]))
    (rows,) = shard.on_end().rows
    assert [rows.name(i) for i in range(4)] == ["b", "c", "b", "new"]
    assert shard.balance.adds_up


def test_a_restart_keeps_what_is_held_and_the_balance() -> None:
    plan = (FLOW | Hold()).plan()
    before = Shard(plan)
    before.on_batch(Batch.of(ROWS, ["t"]))
    after = Shard(plan, before.snapshot())
    (rows,) = after.on_end().rows
    assert rows == Batch.of(ROWS, ["t"])
    assert (after.balance.readings, after.balance.out) == (5, 5)
    assert after.balance.adds_up


def test_state_of_a_step_that_is_gone_is_refused_with_the_remedy() -> None:
    saved = Shard((FLOW | Hold(name="old")).plan()).snapshot()
    with pytest.raises(StateError, match="step 'old' that the flow has not; --forget old, or --re"):
        Shard(FLOW.plan(), saved)


def test_a_new_step_starts_empty_beside_old_state() -> None:
    old = Shard((FLOW | Alert("t > 1")).plan())
    old.on_batch(Batch.of(ROWS, ["t"]))
    shard = Shard((FLOW | Alert("t > 1") | Alert("t > 1", name="new")).plan(), old.snapshot())
    assert shard.states["alert"]["phase"][:3].any()
    assert not shard.states["new"]["phase"][:3].any()


class Greets(Stage):
    """Keeps the length of each device's name."""

    @property
    def memory(self) -> Memory:
        return Memory({"length": 0})

    def on_devices(self, names: Any, rows: Any, state: State) -> None:
        for name, row in zip(names, rows, strict=True):
            state["length"][row] = len(name)

    @property
    def adds(self) -> tuple[str]:
        return ("length",)

    def on_batch(self, batch: Batch, state: State) -> Batch:
        return batch.with_columns({"length": state["length"][batch.device].astype(float)})


def test_a_stage_is_told_of_each_new_device_before_its_first_reading() -> None:
    rows = [{"device": "x" * (i % 40 + 1), "time": i, "t": 0} for i in range(80)]
    lengths = (FLOW | Greets()).replay(rows).rows["length"].tolist()
    assert lengths == [float(i % 40 + 1) for i in range(80)]


def test_a_tap_between_stages_sees_what_is_there_and_only_what_it_wants() -> None:
    early, hot, late = (
        Collect(name="early"),
        Collect(where="t > 2", name="hot"),
        Collect(name="late"),
    )
    flow = FLOW | early | hot | Map(lambda r: {"x": 1.0}, adds=["x"]) | late
    outcome = Shard(flow.plan()).on_batch(Batch.of(ROWS, ["t"]))
    got = {tap.sink.step: (list(batch.columns), len(batch)) for tap, batch in outcome.tapped}
    assert got == {"early": (["t"], 5), "hot": (["t"], 2), "late": (["t", "x"], 5)}


def test_a_tap_that_wants_none_is_given_nothing() -> None:
    outcome = Shard((FLOW | Collect(where="t > 99")).plan()).on_batch(Batch.of(ROWS, ["t"]))
    assert outcome.tapped == []
    assert len(outcome.rows) == 1


def test_time_spent_is_kept_by_step() -> None:
    result = (FLOW | Hold() | Alert("t > 1")).replay(ROWS)
    assert list(result.spent) == ["hold", "alert"]
    assert all(0 < seconds < 5 for seconds in result.spent.values())


class Unready(Stage):
    def bind(self, schema: Schema) -> Any:
        raise FlowError("step 'unready': not like this")


def test_a_stage_may_refuse_a_flow() -> None:
    with pytest.raises(FlowError, match="not like this"):
        (FLOW | Unready()).replay(ROWS)


def test_what_is_wrong_with_the_data_is_counted_by_device_sensor_and_reason() -> None:
    def cold(batch: Batch, state: State) -> Batch:
        return batch.reject(batch["t"] < 0, "too cold")

    flow = Flow("all", sensors=["t"]) | Validate({"t": (-50, 50)}) | giving(cold)
    values = [("a", 99.0), ("a", 98.0), ("b", -1.0), ("b", 20.0), ("c", float("inf"))]
    rows = [{"device": d, "time": i, "t": t} for i, (d, t) in enumerate(values)]
    balance = flow.replay(rows).balance
    assert dict(balance.by_device) == {
        ("a", "t", "out_of_range"): 2,
        ("b", "own", "too cold"): 1,
        ("c", "t", "not_finite"): 1,
    }
    shard = Shard(flow.plan())
    shard.on_batch(Batch.of(rows, ["t"]))
    again = Shard(flow.plan(), shard.snapshot())
    assert again.balance.by_device == balance.by_device
    again.erase(["a"])
    assert {device for device, _, _ in again.balance.by_device} == {"b", "c"}
