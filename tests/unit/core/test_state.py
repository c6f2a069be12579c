from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamflow import Batch, Field, Memory
from streamflow.core.index import Index
from streamflow.core.memory import Columns
from streamflow.core.state import State
from streamflow.engine.pack import pack, unpack
from streamflow.errors import StateError

MEMORY = Memory({"mean": Field(np.float64, np.nan), "ring": Field(np.int32, 0, (2,)), "n": 0})


class TextCodec:
    """Objects that are text, saved by the "library" in `version`."""

    def __init__(self, version: str = "text 1") -> None:
        self.version = version

    def dump(self, thing: Any) -> bytes:
        return str(thing).encode()

    def load(self, data: bytes, version: str) -> Any:
        if version != self.version:
            raise StateError(f"saved by {version}")
        return data.decode()

    def size(self, thing: Any) -> int:
        return len(thing)


def state_of(memory: Memory, *devices: str, step: str = "smooth") -> State:
    index = Index()
    state = State("flow", step, memory, index)
    for device in devices:
        index.add(device)
    state.table.grow(len(index.names))
    return state


def restored(saved: Any, memory: Memory, devices: list[str], step: str = "smooth") -> State:
    index = Index()
    index.restore(devices, [0] * len(devices))
    state = State("flow", step, memory, index)
    state.restore(saved)
    return state


def readings(state: State, *rows: tuple[int, int]) -> Batch:
    """Readings inside a shard: (row of the device, time)."""
    device = np.array([row for row, _ in rows], np.int32)
    time = np.array([t for _, t in rows], np.int64)
    return Batch(state.index.names, device, time, time, {"t": time.astype(float)})


def test_a_table_grows_and_keeps_what_it_holds() -> None:
    state = state_of(MEMORY, "a")
    state["mean"][0] = 5.0
    state.table.grow(1000)
    assert len(state["mean"]) >= 1000
    assert state["mean"][0] == 5.0
    assert np.isnan(state["mean"][1:]).all()
    assert state["ring"].shape[1:] == (2,)


def test_growing_to_less_changes_nothing() -> None:
    state = state_of(MEMORY, "a")
    before = state["mean"]
    state.table.grow(1)
    assert state["mean"] is before


def test_a_snapshot_holds_only_the_rows_asked_for_in_their_order() -> None:
    state = state_of(MEMORY, "a", "b", "c")
    state["n"][:3] = [10, 20, 30]
    saved = state.snapshot(np.array([2, 0]))
    assert saved["columns"]["n"].tolist() == [30, 10]


def test_a_snapshot_does_not_change_when_the_state_goes_on() -> None:
    state = state_of(MEMORY, "a")
    saved = state.snapshot(np.array([0]))
    state["n"][0] = 99
    assert saved["columns"]["n"].tolist() == [0]


def test_restored_state_is_what_was_saved_and_can_grow() -> None:
    state = state_of(MEMORY, *(f"d{i}" for i in range(20)))
    state["mean"][:20] = np.arange(20)
    state["ring"][7] = [1, 2]
    back = restored(state.snapshot(np.arange(20)), MEMORY, [f"d{i}" for i in range(20)])
    assert back["mean"][:20].tolist() == list(range(20))
    assert back["ring"][7].tolist() == [1, 2]
    back.table.grow(100)
    assert back["mean"][19] == 19
    assert np.isnan(back["mean"][20:]).all()


def test_derived_fields_are_not_saved() -> None:
    memory = Memory({"n": 0, "low": Field(np.float64, derived=True)})
    state = state_of(memory, "a")
    state["low"][0] = 7.0
    saved = state.snapshot(np.array([0]))
    assert list(saved["columns"]) == ["n"]
    assert restored(saved, memory, ["a"])["low"][0] == 0.0


def test_a_new_field_starts_at_its_default() -> None:
    saved = state_of(Memory({"n": 1}), "a").snapshot(np.array([0]))
    back = restored(saved, Memory({"n": 1, "mean": Field(np.float64, np.nan)}), ["a"])
    assert back["n"][0] == 1
    assert np.isnan(back["mean"][0])


def test_upgrades_are_applied_one_version_after_the_other() -> None:
    def celsius(columns: dict[str, Any]) -> dict[str, Any]:
        return {"celsius": (columns["fahrenheit"] - 32) / 1.8}

    def kelvin(columns: dict[str, Any]) -> dict[str, Any]:
        return {"kelvin": columns["celsius"] + 273.15}

    state = state_of(Memory({"fahrenheit": 212.0}), "a")
    memory = Memory({"kelvin": 0.0}, version=3, upgrades={1: celsius, 2: kelvin})
    assert restored(state.snapshot(np.array([0])), memory, ["a"])["kelvin"][0] == 373.15


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            Memory({"n": 0}),
            Memory({"n": 0}, version=3, upgrades={1: lambda columns: columns}),
            "step 'smooth': no upgrade from state version 2 to 3",
        ),
        (
            Memory({"n": 0}, version=2),
            Memory({"n": 0}),
            "step 'smooth': its state has version 2, newer than this program's 1; "
            "run the newer program, or --forget smooth",
        ),
        (
            Memory({"n": 0}),
            Memory({"n": 0.0}),
            "step 'smooth': 'n' was saved as int64 (), and is now float64 (); "
            "undo the change, or --forget smooth",
        ),
        (
            Memory({"n": Field(np.int32, 0, (2,))}),
            Memory({"n": Field(np.int32, 0, (3,))}),
            "step 'smooth': 'n' was saved as int32 (2,), and is now int32 (3,); "
            "undo the change, or --forget smooth",
        ),
    ],
)
def test_state_that_does_not_fit_is_refused_with_step_and_remedy(
    old: Memory, new: Memory, sentence: str
) -> None:
    saved = state_of(old, "a").snapshot(np.array([0]))
    with pytest.raises(StateError) as error:
        restored(saved, new, ["a"])
    assert str(error.value) == sentence


def test_objects_go_through_the_codec_and_are_renumbered() -> None:
    memory = Memory(codec=TextCodec())
    state = state_of(memory, "a", "b", "c")
    state.objects = {0: "model of a", 2: "model of c"}
    saved = state.snapshot(np.array([2, 0]))
    assert saved["objects"] == {
        "version": "text 1",
        "rows": [0, 1],
        "data": [b"model of c", b"model of a"],
    }
    assert restored(saved, memory, ["c", "a"]).objects == {0: "model of c", 1: "model of a"}


def test_objects_of_another_library_version_are_refused() -> None:
    state = state_of(Memory(codec=TextCodec()), "a")
    state.objects = {0: "x"}
    saved = state.snapshot(np.array([0]))
    with pytest.raises(StateError, match="saved by text 1"):
        restored(saved, Memory(codec=TextCodec("text 2")), ["a"])


def test_a_library_update_does_not_matter_while_there_are_no_objects() -> None:
    saved = state_of(Memory(codec=TextCodec()), "a").snapshot(np.array([0]))
    assert restored(saved, Memory(codec=TextCodec("text 2")), ["a"]).objects == {}


def test_objects_for_a_step_that_keeps_none_are_refused() -> None:
    state = state_of(Memory(codec=TextCodec()), "a")
    state.objects = {0: "x"}
    saved = state.snapshot(np.array([0]))
    with pytest.raises(StateError, match=r"step 'smooth': its state holds obj.*--forget smooth"):
        restored(saved, Memory(), ["a"])


def test_bytes_are_those_of_its_arrays() -> None:
    state = state_of(MEMORY, *(f"d{i}" for i in range(100)))
    assert state.bytes() == sum(state[name].nbytes for name in ("mean", "ring", "n"))
    assert state.bytes() >= 100 * MEMORY.bytes_per_device


def test_held_readings_come_out_as_they_went_in() -> None:
    state = state_of(Memory(holds=True), "a", "b")
    state.hold(readings(state, (0, 1), (1, 2)))
    state.hold(readings(state, (0, 3)))
    assert state.held_count == 3
    out = state.release(np.array([2, 0]))
    assert out is not None
    assert out.time.tolist() == [3, 1]
    assert state.held_count == 1
    left = state.release(np.array([True]))
    assert left is not None
    assert left.time.tolist() == [2]
    assert (state.held, state.held_count) == (None, 0)


def test_releasing_nothing_is_none() -> None:
    state = state_of(Memory(holds=True), "a")
    assert state.release(np.array([], np.intp)) is None
    state.hold(readings(state, (0, 1)))
    assert state.release(np.array([False])) is None
    assert state.held_count == 1


def test_held_readings_are_saved_under_the_new_numbers_of_their_devices() -> None:
    state = state_of(Memory(holds=True), "a", "b", "c")
    state.hold(readings(state, (2, 5), (0, 6)))
    back = restored(state.snapshot(np.array([2, 0])), Memory(holds=True), ["c", "a"])
    assert back.held is not None
    assert [back.held.name(i) for i in range(2)] == ["c", "a"]
    assert back.held.device.tolist() == [0, 1]


def test_erasing_brings_defaults_back_and_drops_objects_and_held_readings() -> None:
    memory = Memory({"mean": Field(np.float64, np.nan)}, codec=TextCodec(), holds=True)
    state = state_of(memory, "a", "b")
    state["mean"][:2] = [1.0, 2.0]
    state.objects = {0: "x", 1: "y"}
    state.hold(readings(state, (0, 1), (1, 2), (0, 3)))
    state.index.erase([0])
    assert state.erase([0]) == 2
    assert np.isnan(state["mean"][0])
    assert state["mean"][1] == 2.0
    assert state.objects == {1: "y"}
    assert state.held is not None
    assert state.held.name(0) == "b"


def test_what_is_held_after_an_erasure_still_goes_by_rows() -> None:
    state = state_of(Memory(holds=True), "a", "b", "c")
    state.hold(readings(state, (2, 1)))
    state.index.erase([0])
    state.erase([0])
    assert state.index.add("d") == 0
    state.hold(readings(state, (0, 2), (2, 3)))
    assert state.held is not None
    assert state.held.device.tolist() == [2, 0, 2]
    assert [state.held.name(i) for i in range(3)] == ["c", "d", "c"]


def test_an_episode_keeps_the_id_of_its_opening() -> None:
    state = state_of(Memory(), "a", "b")
    opened = state.event("alert", 1, 100, {"status": "opened"})
    closed = state.event("alert", 1, 900, {"status": "closed"}, opened=100)
    assert opened.id == closed.id
    assert (closed.device, closed.time, closed.step) == ("b", 900, "smooth")
    assert state.event("alert", 0, 100, {}).id != opened.id


def test_objects_and_held_readings_follow_their_devices_into_other_rows() -> None:
    memory = Memory(codec=TextCodec(), holds=True)
    state = state_of(memory, "a", "b", "c")
    state.objects = {0: "of a", 2: "of c"}
    state.hold(readings(state, (0, 6), (2, 7)))
    state.index.erase([0])
    state.erase([0])
    again = restored(state.snapshot(state.index.rows()), memory, state.index.devices())
    assert again.objects == {1: "of c"}
    assert again.held is not None
    assert (len(again.held), again.held.name(0)) == (1, "c")


def test_what_is_restored_can_be_written_though_what_was_saved_cannot() -> None:
    memory = Memory({"n": 0}, holds=True)
    state = state_of(memory, "a")
    state["n"][0] = 3
    state.hold(readings(state, (0, 1)))
    again = restored(unpack(pack(state.snapshot(np.array([0])))), memory, ["a"])
    again["n"][0] += 1
    assert again.held is not None
    again.held["t"][0] = 9.0
    assert again["n"][0] == 4


def test_an_upgrade_may_write_into_the_columns_it_is_given() -> None:
    def doubled(columns: Columns) -> Columns:
        columns["n"] *= 2
        return columns

    state = state_of(Memory({"n": 0}), "a")
    state["n"][0] = 3
    saved = unpack(pack(state.snapshot(np.array([0]))))
    assert restored(saved, Memory({"n": 0}, 2, {1: doubled}), ["a"])["n"][0] == 6
