"""The Bytewax engine: the only file that imports bytewax.

source partition -> decode in the source's worker -> split by shard -> one `stateful_batch` step
holding all stages of a shard -> sinks. Items are parcels and batches, never readings.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any
from zlib import crc32

import bytewax.operators as op
import numpy as np
from bytewax._bytewax import cli_main
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from streamflow.core.batch import Batch
from streamflow.core.clock import Clock, SystemClock
from streamflow.core.connect import DeadLetter, Source
from streamflow.core.event import Event
from streamflow.engine.balance import Balance
from streamflow.engine.intake import Intake, Parcel
from streamflow.engine.local import Progress
from streamflow.engine.plan import Plan, Tap
from streamflow.engine.result import Result
from streamflow.engine.shard import Outcome, Shard
from streamflow.errors import Backoff, EndOfStream, NotConnected, StreamflowError

Addressed = tuple[str, Any]


@dataclass
class Run:
    """What the workers of one process share: the plan, and what they report."""

    plan: Plan
    clock: Clock = field(default_factory=SystemClock)
    progress: Progress | None = None
    captured: Outcome | None = None
    """Everything the shards give back, if somebody wants it."""
    dead: list[DeadLetter] = field(default_factory=list)
    shards: list[Shard] = field(default_factory=list)
    """The shards that have come to their end."""
    readings: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, outcome: Outcome, parcel: Parcel | None = None) -> None:
        """A shard has handled a parcel, or its end."""
        with self.lock:
            if parcel and parcel.batch is not None:
                self.readings += len(parcel.batch)
            if self.captured is not None:
                self.captured.add(outcome)
                self.dead += parcel.dead if parcel else []


def execute(
    plan: Plan,
    *,
    workers: int = 1,
    addresses: Sequence[str] = (),
    process: int = 0,
) -> Balance:
    """Run a plan to its end on Bytewax; the balance of the shards of this process."""
    run = Run(plan)
    _execute(run, workers, addresses, process)
    total = Balance()
    for shard in run.shards:
        total.add(shard.balance)
    return total


def replay(
    plan: Plan, sources: tuple[Source, ...], workers: int, *, progress: Progress | None = None
) -> Result:
    """What `local.replay` does, on Bytewax with threads."""
    steps = tuple(step for step in plan.steps if not isinstance(step, Tap))
    closed = replace(plan, sources=sources, steps=steps, taps=())
    run = Run(closed, progress=progress, captured=Outcome())
    began = perf_counter()
    _execute(run, workers)
    assert run.captured is not None
    return Result.of(plan, run.shards, run.captured, run.dead, perf_counter() - began)


def _execute(run: Run, workers: int, addresses: Sequence[str] = (), process: int = 0) -> None:
    several = len(addresses) > 1
    try:
        cli_main(
            _dataflow(run),
            workers_per_process=workers,
            process_id=process if several else None,
            addresses=list(addresses) if several else None,
            epoch_interval=timedelta(seconds=2),
        )
    except Exception as error:
        cause = _cause(error)
        if cause is not None:
            raise cause from error
        raise


def _cause(error: BaseException | None) -> StreamflowError | None:
    while error is not None:
        if isinstance(error, StreamflowError):
            return error
        error = error.__cause__
    return None


def _dataflow(run: Run) -> Dataflow:
    plan = run.plan
    flow = Dataflow(plan.name)
    streams = [op.input(s.step, flow, _Source(run, s)) for s in plan.sources]
    merged = streams[0] if len(streams) == 1 else op.merge("sources", *streams)
    out = op.stateful_batch("shards", merged, lambda saved: _ShardLogic(run, saved))
    for number, tap in enumerate(plan.taps):
        name = tap.sink.step
        mine = op.flat_map(f"to_{name}", out, _Pick(number))
        op.output(name, mine, _Sink(tap))
    if not plan.taps:
        op.output("nowhere", out, _Nowhere())
    return flow


@dataclass(frozen=True)
class _Pick:
    number: int

    def __call__(self, item: tuple[str, tuple[int, Any]]) -> list[Addressed]:
        key, (number, payload) = item
        return [(key, payload)] if number == self.number else []


class _Source(FixedPartitionedSource[Addressed, Any]):
    def __init__(self, run: Run, source: Source) -> None:
        self._run, self._source = run, source

    def list_parts(self) -> list[str]:
        return list(self._source.partitions())

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> _Partition:
        return _Partition(self._run, self._source, for_part, resume_state)


class _Partition(StatefulSourcePartition[Addressed, Any]):
    def __init__(self, run: Run, source: Source, partition: str, position: Any) -> None:
        self._run = run
        self._intake = Intake(source, run.plan.schema, partition, position, run.clock)
        self._split = _Splitter(run.plan.shards)
        self._home = str(crc32(partition.encode()) % run.plan.shards)
        self._wait: float | None = None

    def next_batch(self) -> Iterable[Addressed]:
        try:
            parcel = self._intake.poll()
        except EndOfStream:
            raise StopIteration from None
        except (Backoff, NotConnected) as error:
            self._wait = error.wait if isinstance(error, Backoff) else 1.0
            return []
        if parcel is None:
            self._wait = self._intake.reader.next_poll()
            return []
        self._wait = None
        if self._run.progress:
            self._run.progress(self._intake.reader.progress(), self._run.readings)
        return self._split.parcels(parcel, self._home)

    def next_awake(self) -> datetime | None:
        if self._wait is None:
            return None
        seconds = self._run.clock.now() / 1e9 + self._wait
        return datetime.fromtimestamp(seconds).astimezone()

    def snapshot(self) -> Any:
        return self._intake.reader.position()

    def close(self) -> None:
        self._intake.reader.close()


class _Splitter:
    """Sends each reading to the shard of its device: crc32(device) % shards."""

    def __init__(self, shards: int) -> None:
        self._shards = shards
        self._devices: Sequence[str] = ()
        self._shard_of = np.zeros(0, np.int64)

    def parcels(self, parcel: Parcel, home: str) -> list[Addressed]:
        """The parcel as one for each shard; its counts and dead letters go to shard `home`."""
        out = []
        if parcel.batch is not None and len(parcel.batch):
            shard = self._of(parcel.batch)
            for number in np.unique(shard).tolist():
                part = parcel.batch.take(np.flatnonzero(shard == number))
                out.append((str(number), Parcel(0, 0, part)))
        return [*out, (home, replace(parcel, batch=None))]

    def _of(self, batch: Batch) -> Any:
        if batch.devices is not self._devices:
            self._devices, self._shard_of = batch.devices, np.zeros(0, np.int64)
        known = len(self._shard_of)
        if known < len(batch.devices):
            new = [crc32(name.encode()) % self._shards for name in batch.devices[known:]]
            self._shard_of = np.concatenate([self._shard_of, np.array(new, np.int64)])
        return self._shard_of[batch.device]


class _ShardLogic(StatefulBatchLogic[Parcel, tuple[int, Any], Any]):
    """A shard in Bytewax's terms; what it emits is (number of the tap, what the sink takes)."""

    def __init__(self, run: Run, saved: Any) -> None:
        self._run = run
        self._shard = Shard(run.plan, saved)

    def on_batch(self, batch: list[Parcel]) -> tuple[list[tuple[int, Any]], bool]:
        out: list[tuple[int, Any]] = []
        for parcel in batch:
            balance = self._shard.balance
            balance.received += parcel.received
            balance.decoded += parcel.decoded
            balance.dead += len(parcel.dead)
            outcome = Outcome()
            if parcel.batch is not None:
                outcome = self._shard.on_batch(parcel.batch)
                out += self._address(outcome)
            self._run.note(outcome, parcel)
            if parcel.dead:
                taps = enumerate(self._run.plan.taps)
                out += [(n, parcel.dead) for n, tap in taps if tap.sink.of == "dead_letters"]
        return out, StatefulBatchLogic.RETAIN

    def on_eof(self) -> tuple[list[tuple[int, Any]], bool]:
        outcome = self._shard.on_end()
        out = self._address(outcome)
        self._run.note(outcome)
        self._run.shards.append(self._shard)
        return out, StatefulBatchLogic.RETAIN

    def snapshot(self) -> Any:
        return None

    def _address(self, outcome: Outcome) -> list[tuple[int, Any]]:
        out: list[tuple[int, Any]] = []
        for number, tap in enumerate(self._run.plan.taps):
            of = tap.sink.of
            if of == "rows":
                out += [(number, batch) for at, batch in outcome.tapped if at is tap]
            elif of == "rejected":
                out += [(number, batch) for batch in outcome.rejected]
            elif of in ("alerts", "events"):
                events = [e for e in outcome.events if of == "events" or e.kind == "alert"]
                if events:
                    out.append((number, events))
        return out


class _Sink(FixedPartitionedSink[Any, Any]):
    """One partition: a sink is one writer in the whole cluster."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    def list_parts(self) -> list[str]:
        return ["0"]

    def part_fn(self, item_key: str) -> int:
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> _Writer:
        return _Writer(self._tap, resume_state)


class _Writer(StatefulSinkPartition[Any, Any]):
    def __init__(self, tap: Tap, resume: Any) -> None:
        self._writer = tap.sink.open(resume)

    def write_batch(self, values: list[Batch | list[Event] | list[DeadLetter]]) -> None:
        for value in values:
            self._writer.write(value)

    def snapshot(self) -> Any:
        return self._writer.snapshot()

    def close(self) -> None:
        self._writer.close()


class _Nowhere(FixedPartitionedSink[Any, Any]):
    def list_parts(self) -> list[str]:
        return ["0"]

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> _Void:
        return _Void()


class _Void(StatefulSinkPartition[Any, Any]):
    def write_batch(self, values: list[Any]) -> None:
        pass

    def snapshot(self) -> Any:
        return None
