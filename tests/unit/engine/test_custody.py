from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import anomaly

from streamflow import Alert, Batch, Detect, Event, Flow, Impute, Memory, Stage
from streamflow.core.connect import DeadLetter
from streamflow.core.state import State
from streamflow.engine.balance import Balance
from streamflow.engine.custody import ERASED, erase
from streamflow.engine.frozen import freeze, thaw
from streamflow.engine.pack import pack, unpack
from streamflow.engine.plain import from_plain, to_plain
from streamflow.engine.shard import Shard
from streamflow.engine.shardtree import held_by, held_count, pick, size, without
from streamflow.engine.statedir import StateDir
from streamflow.engine.supervisor import open_state
from streamflow.errors import FlowError, StateError
from streamflow.testing.streams import Stream, Tick, streams_for


@dataclass(frozen=True)
class Keep(Stage):
    """Hold each device's last reading until its next one."""

    @property
    def memory(self) -> Memory:
        return Memory(holds=True)

    def on_batch(self, batch: Batch, state: State) -> Batch:
        parts = [batch.take([])]
        for i in range(len(batch)):
            if state.held is not None:
                before = state.release(np.flatnonzero(state.held.device == batch.device[i]))
                parts += [before] if before else []
            state.hold(batch.take([i]))
        return Batch.concat(parts)


FLOW = (
    Flow("machines", sensors=["t"], tags=["site"])
    | Impute(hold="1m")
    | Keep()
    | Detect(anomaly.HalfSpaceTrees(n_trees=1, height=2, window_size=3, seed=7))
    | Keep(name="again")
    | Alert("t > 30")
)


def fed(items: Sequence[Any]) -> Shard:
    shard = Shard(FLOW.plan())
    for item in items:
        shard.on_tick(item.now) if isinstance(item, Tick) else shard.on_batch(item)
    return shard


def rows(*readings: tuple[str, float]) -> Batch:
    named = [
        {"device": device, "time": i * 10**9, "t": t, "site": f"site of {device}"}
        for i, (device, t) in enumerate(readings)
    ]
    return Batch.of(named, ["t"], ["site"])


def plain(tree: Any) -> Any:
    """A tree that `==` compares, NaN and types of arrays included."""
    if isinstance(tree, dict):
        return {key: plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [plain(value) for value in tree]
    return (tree.dtype.str, tree.shape, tree.tobytes()) if isinstance(tree, np.ndarray) else tree


# The tree of a shard


@settings(max_examples=30, deadline=None, derandomize=True)
@given(stream=streams_for(FLOW), gone=st.sets(st.sampled_from("abcz"), min_size=1))
def test_without_is_what_a_shard_does_itself(stream: Stream, gone: set[str]) -> None:
    shard = fed(stream.items)
    tree = unpack(pack(shard.snapshot()))
    left = without(tree, gone)
    shard.erase(sorted(gone))
    assert plain(left) == plain(shard.snapshot())
    assert not gone & {*left["devices"]}
    assert plain(Shard(FLOW.plan(), left).snapshot()) == plain(left)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(stream=streams_for(FLOW))
def test_picked_one_by_one_the_devices_are_the_whole(stream: Stream) -> None:
    tree = fed(stream.items).snapshot()
    parts = [pick(tree, [row]) for row in range(len(tree["devices"]))]
    assert [part["devices"] for part in parts] == [[name] for name in tree["devices"]]
    for step, saved in tree["steps"].items():
        assert sum(held_count(part, step) for part in parts) == held_count(tree, step)
        data = [part["steps"][step]["objects"]["data"] for part in parts]
        assert [one for some in data for one in some] == saved["objects"]["data"]
        for name, column in saved["columns"].items():
            again = np.concatenate([part["steps"][step]["columns"][name] for part in parts])
            assert plain(again) == plain(column)


def test_what_is_held_of_others_stays_with_its_words_and_columns() -> None:
    tree = fed([rows(("a", 20.5), ("b", 35.0), ("b", 36.0))]).snapshot()
    left = without(tree, ["a"])
    held = held_by(left, "keep")
    assert held is not None
    assert list(held.rows()) == [
        {"device": "b", "time": 2 * 10**9, "site": "site of b", "t": 36.0},
    ]
    assert left["balance"]["rejected"] == [["keep", "erased", 1]]
    assert b"site of a" not in pack(left)
    assert b"site of a" in pack(tree)


def test_size_counts_what_is_there() -> None:
    tree = fed([rows(("a", 20.5), ("b", 35.0))]).snapshot()
    fields = tree["steps"]["alert"]["columns"]
    assert size(fields) == 2 * (2 + 14 * 8)
    assert size([None, "abc", b"de", 7]) == 13


# Erasing what waits for delivery


def prepared(path: Path, values: dict[tuple[str, str], Any]) -> None:
    """A state directory of FLOW with these snapshots."""
    open_state(FLOW.plan(), path).release()
    files = sorted(path.glob("recovery/*.sqlite3"))
    with closing(sqlite3.connect(files[0])) as file, file:
        file.execute("insert into exs (ex_num, worker_count, resume_epoch) values (0, 1, 1)")
        file.execute("insert into fronts (ex_num, worker_index, worker_frontier) values (0, 0, 5)")
    for number, path in enumerate(files):
        with closing(sqlite3.connect(path)) as file, file:
            file.execute("insert into commits (part_index, commit_epoch) values (?, 4)", (number,))
    for number, ((step, key), value) in enumerate(values.items()):
        with closing(sqlite3.connect(files[number % len(files)])) as file, file:
            for epoch in (2, 4, 5):
                file.execute(
                    "insert into snaps (step_id, state_key, snap_epoch, ser_change) "
                    "values (?,?,?,?)",
                    (f"machines.{step}", key, epoch, to_plain(pack(value))),
                )


def stored(path: Path) -> dict[tuple[str, str], Any]:
    return {(snap.step, snap.key): snap.value for snap in StateDir(path).store().snaps()}


def test_erasing_reaches_what_waits_for_delivery(tmp_path: Path) -> None:
    events = [Event(f"id {name}", "alert", "alert", name, 0, {"device": name}) for name in "ab"]
    letters = [
        DeadLetter(payload, reason, "csv", "0", 7)
        for payload, reason in [
            (b"pump-1,yesterday,1", "no time"),
            (b"pump-10,yesterday,1", "no time"),
            (b"?", "pump-1: no"),
        ]
    ]
    state = fed([rows(("a", 1.0), ("b", 2.0), ("pump-1", 3.0))]).snapshot()
    path = tmp_path / "state"
    prepared(
        path,
        {
            ("_shards", "0"): state,
            ("rows", "0"): [
                11,
                [freeze(rows(("a", 1.0), ("b", 2.0))), freeze(rows(("a", 3.0)))],
                5,
            ],
            ("alerts", "0"): [None, [freeze(events), freeze(events[:1])], 5],
            ("letters", "0"): [None, [freeze(letters)], 5],
            ("nowhere", "0"): None,
            ("csv", "0"): {"position": [120, 7], "snapshots": 3},
        },
    )
    done = erase(path, ["a", "pump-1"])
    assert (done.held, done.waiting, done.blanked) == (2, 4, 2)
    values = stored(path)
    resume, (left, empty), number = values["rows", "0"]
    assert (resume, len(thaw(empty)), number) == (11, 0, 5)
    assert list(thaw(left).rows()) == list(rows(("a", 0.0), ("b", 2.0)).rows())[1:]
    left, empty = values["alerts", "0"][1]
    assert thaw(empty) == []
    assert thaw(left) == events[1:]
    (left,) = values["letters", "0"][1]
    blank = DeadLetter(ERASED.encode(), ERASED, "csv", "0", 7)
    assert thaw(left) == [blank, letters[1], blank]
    assert values["csv", "0"]["position"] == [120, 7]
    assert values["nowhere", "0"] is None
    assert values["_shards", "0"]["devices"] == ["b"]
    for part in path.rglob("*"):
        if part.is_file():
            assert b"site of a" not in part.read_bytes()
            assert b"pump-1," not in part.read_bytes()


def test_snapshots_that_a_crash_would_take_back_go_too(tmp_path: Path) -> None:
    path = tmp_path / "state"
    prepared(path, {("_shards", "0"): fed([rows(("a", 1.0), ("b", 2.0))]).snapshot()})
    erase(path, ["a"])
    with closing(sqlite3.connect(path / "recovery" / "part-0.sqlite3")) as file:
        found = list(file.execute("select snap_epoch, ser_change from snaps"))
    assert [epoch for epoch, _ in found] == [2, 4]
    assert [unpack(from_plain(value))["devices"] for _, value in found] == [["b"], ["b"]]


def test_a_step_forgotten_again_keeps_the_balance_true(tmp_path: Path) -> None:
    shard = fed([rows(("a", 1.0), ("b", 2.0))])
    shard.balance.readings += 5
    shard.balance.reject("keep", "forgotten", 5)
    path = tmp_path / "state"
    prepared(path, {("_shards", "0"): shard.snapshot()})
    open_state(FLOW.plan(), path, forget=["keep"]).release()
    balance = Balance.from_tree(stored(path)["_shards", "0"]["balance"])
    assert balance.adds_up
    assert (balance.rejected["keep", "forgotten"], balance.held) == (7, 0)


def test_nothing_changes_if_one_device_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "state"
    prepared(path, {("_shards", "0"): fed([rows(("pump-1", 1.0))]).snapshot()})
    before = plain(stored(path))
    with pytest.raises(FlowError) as error:
        erase(path, ["pump-1", "pump1"])
    words = f"{path} does not remember device 'pump1'; did you mean 'pump-1'?"
    assert str(error.value) == words
    assert plain(stored(path)) == before


def test_erasing_needs_the_flow_stopped(tmp_path: Path) -> None:
    path = tmp_path / "state"
    prepared(path, {})
    state = StateDir(path)
    assert state.holder() is None
    state.acquire()
    assert state.holder() is not None
    with pytest.raises(StateError, match="a flow is running on"):
        erase(path, ["a"])
    state.release()
    with pytest.raises(FlowError, match="'a'; it remembers none"):
        erase(path, ["a"])
    with pytest.raises(StateError, match="holds no state"):
        erase(tmp_path / "nothing", ["a"])
    assert not (tmp_path / "nothing").exists()


def test_a_reader_that_keeps_old_bytes_alive_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state"
    prepared(path, {("_shards", "0"): fed([rows(("a", 1.0), ("b", 2.0))]).snapshot()})
    for part in path.glob("recovery/*.sqlite3"):
        with closing(sqlite3.connect(part)) as file:
            file.execute("pragma journal_mode = wal")
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "timeout": 0.1}))
    with closing(connect(path / "recovery" / "part-0.sqlite3")) as reader:
        reader.execute("begin")
        reader.execute("select count(*) from snaps").fetchone()
        with pytest.raises(StateError, match=r"is still in .*part-0\.sqlite3-wal"):
            erase(path, ["a"])
    assert stored(path)["_shards", "0"]["devices"] == ["b"]
