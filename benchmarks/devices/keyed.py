"""The baseline: the Bytewax program a user would write, with one key per device.

Choices that favour it: readings come keyed, nothing is left to decode; `stateful_batch`; the state
of a device is a compact array of floats, and its snapshot a tuple of that and a count.
"""

from __future__ import annotations

import sqlite3
from array import array
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from benchmarks.devices.data import TTL, VALUES, names, spans, value
from benchmarks.devices.watch import Watch

Keyed = tuple[str, float]
Saved = tuple[int, "array[float]"]
AGE = timedelta(microseconds=TTL / 1000)
PARTITIONS = 4


class Last(StatefulBatchLogic[float, float, Saved]):
    """Keeps the last values of one device, and how many there were.

    If it `expires`, it forgets the device when nothing comes: here at once, for a snapshot is
    taken to be older than `AGE`.
    """

    def __init__(self, saved: Saved | None, expires: bool) -> None:
        self.count, self.last = saved or (0, array("d", bytes(8 * VALUES)))
        self.expires = expires
        self.due = datetime.now(UTC) if saved and expires else None

    def on_batch(self, values: list[float]) -> tuple[list[float], bool]:
        """Keep the values."""
        for number in values:
            self.last[self.count % VALUES] = number
            self.count += 1
        if self.expires:
            self.due = datetime.now(UTC) + AGE
        return values, StatefulBatchLogic.RETAIN

    def notify_at(self) -> datetime | None:
        """When it is to be forgotten."""
        return self.due

    def on_notify(self) -> tuple[list[float], bool]:
        """Forget it."""
        return [], StatefulBatchLogic.DISCARD

    def snapshot(self) -> Saved:
        """What it keeps."""
        return self.count, self.last[:]


def dataflow(source: Fleet, sink: Count, expires: bool) -> Dataflow:
    """The whole program."""
    flow = Dataflow("devices")
    readings = op.input("fleet", flow, source)
    last = op.stateful_batch("last", readings, lambda saved: Last(saved, expires))
    op.output("count", last, sink)
    return flow


def run(phase: str, devices: int, folder: str) -> dict[str, float]:
    """One run; see `benchmarks.devices.benchmark` for the phases."""
    known = names(devices)
    wanted = spans(devices) if phase == "start" else spans(devices)[:1]
    batches = [[(known[number], value(number)) for number in span] for span in wanted]
    expires = phase == "expire"
    store = Path(folder)
    if phase == "start":
        store.mkdir()
        init_db_dir(store, PARTITIONS)
    watch = Watch(sum(map(len, batches)))
    flow = dataflow(Fleet(batches, watch, expires), Count(watch), expires)
    cli_main(
        flow,
        epoch_interval=timedelta(hours=1),
        recovery_config=RecoveryConfig(store, timedelta(0)),
    )
    figures = watch.figures(store)
    found = _known(store)
    if found != (len(batches[0]) if expires else devices):
        raise RuntimeError(f"{phase}: the state knows {found:,} devices")
    return figures


def _known(store: Path) -> int:
    newest: dict[str, tuple[int, bool]] = {}
    for path in store.glob("*.sqlite3"):
        with closing(sqlite3.connect(path)) as database:
            rows = database.execute(
                "select state_key, snap_epoch, ser_change is not null from snaps "
                "where step_id like '%last%'"
            )
            for key, epoch, kept in rows:
                newest[key] = max(newest.get(key, (-1, False)), (epoch, bool(kept)))
    return sum(kept for _, kept in newest.values())


class Fleet(FixedPartitionedSource[Keyed, int]):
    """Hands out batches that are there already."""

    def __init__(self, batches: list[list[Keyed]], watch: Watch, waits: bool) -> None:
        self.batches, self.watch, self.waits = batches, watch, waits

    def list_parts(self) -> list[str]:
        """One."""
        return ["0"]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> FleetPart:
        """From the start."""
        return FleetPart(self)


class FleetPart(StatefulSourcePartition[Keyed, int]):
    """Its one partition."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet, self._at = fleet, 0

    def next_batch(self) -> list[Keyed]:
        """The next readings; after them, time for what expires."""
        fleet = self._fleet
        if self._at == len(fleet.batches):
            if fleet.waits and fleet.watch.waited < 1.0:
                return []
            fleet.watch.ended()
            raise StopIteration
        fleet.watch.polled()
        self._at += 1
        return fleet.batches[self._at - 1]

    def snapshot(self) -> int:
        """How far it is."""
        return self._at


class Count(DynamicSink[tuple[str, float]], StatelessSinkPartition[tuple[str, float]]):
    """Counts what comes."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Count:
        """The one partition of the one worker."""
        return self

    def write_batch(self, items: list[tuple[str, float]]) -> None:
        """Count."""
        self._watch.arrived(len(items))
