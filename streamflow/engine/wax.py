"""The Bytewax engine: the only file that imports bytewax.

source partition -> decode in the source's worker -> split by shard -> one `stateful_batch` step
holding all stages of a shard -> sinks. Items are parcels and batches, never readings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from time import perf_counter
from typing import Any, ParamSpec, TypeVar

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from streamflow.core.connect import Source
from streamflow.core.event import Event
from streamflow.engine.balance import Balance
from streamflow.engine.delivery import COMMITTED, Delivery, Item, address
from streamflow.engine.fleet import TO_FLEET, Fleet, Word, to_fleet
from streamflow.engine.intake import Intake, Parcel
from streamflow.engine.job import Job
from streamflow.engine.local import Progress
from streamflow.engine.pace import LONGEST_WAIT
from streamflow.engine.pack import pack, unpack
from streamflow.engine.plan import Plan, Tap
from streamflow.engine.result import Result
from streamflow.engine.shard import Outcome, Shard
from streamflow.engine.split import Splitter
from streamflow.engine.statedir import FLEET_STEP, SHARDS_STEP
from streamflow.errors import Backoff, EndOfStream, NotConnected, StateError, StreamflowError

Addressed = tuple[str, Any]
P = ParamSpec("P")
T = TypeVar("T")
_SQLITE = re.compile(r'SqliteFailure\(.*Some\("(.*)"\)')
TICK = 1.0
"""Seconds between two ticks of a shard that has live input."""


@dataclass(frozen=True)
class Place:
    """Where this process stands in a cluster: all addresses, and which is its own."""

    addresses: tuple[str, ...] = ()
    process: int = 0


def make_store(folder: Path, partitions: int) -> None:
    """Make an empty recovery store."""
    init_db_dir(folder, partitions)


def execute(job: Job, *, workers: int = 1, place: Place | None = None) -> Balance:
    """Run a job on Bytewax until its sources end or it is told to stop; its shards' balance."""
    place = place or Place()
    several = len(place.addresses) > 1
    recovery = job.state and RecoveryConfig(job.state.recovery, timedelta(0))
    try:
        cli_main(
            _dataflow(job),
            workers_per_process=workers,
            process_id=place.process if several else None,
            addresses=list(place.addresses) if several else None,
            epoch_interval=timedelta(microseconds=job.epoch / 1000),
            recovery_config=recovery,
        )
    except BaseException as error:
        job.close_late(failed=True)
        cause = _cause(error) or _panic(job, error)
        if cause is None:
            raise
        raise cause from error
    job.close_late()
    return job.balance()


def replay(
    plan: Plan,
    sources: tuple[Source, ...],
    workers: int,
    *,
    progress: Progress | None = None,
    events: Callable[[Sequence[Event]], None] | None = None,
) -> Result:
    """What `local.replay` does, on Bytewax with threads."""
    steps = tuple(step for step in plan.steps if not isinstance(step, Tap))
    closed = replace(plan, sources=sources, steps=steps, taps=())
    captured = Outcome()
    job = Job(closed, progress=progress, captured=captured, events=events)
    began = perf_counter()
    execute(job, workers=workers)
    return Result.of(plan, job.shards, captured, list(job.dead), perf_counter() - began)


def _cause(error: BaseException | None) -> StreamflowError | None:
    while error is not None:
        if isinstance(error, StreamflowError):
            return error
        error = error.__cause__
    return None


def _panic(job: Job, error: BaseException) -> StreamflowError | None:
    """What a panic of Bytewax means; None if it is none, for user code that raises is its cause."""
    if type(error).__name__ == "PanicException":
        return StreamflowError(
            "Bytewax lost another process and does not say why: its log may, if it was not killed; "
            "and if the disk of the state is full, this is all there is to see"
        )
    if not isinstance(error, RuntimeError) or error.__cause__ is not None:
        return None
    said = _SQLITE.search(str(error))
    if job.state is None or not said:
        return StreamflowError(f"Bytewax gave up: {error}")
    return StateError(
        f"the recovery store in {job.state.path} failed: {said[1]}. What was durable is so still; "
        f"once this is mended, start again to go on"
    )


def _dataflow(job: Job) -> Dataflow:
    plan = job.plan
    flow = Dataflow(plan.name)
    streams = [op.input(source.step, flow, _Source(job, source)) for source in plan.sources]
    merged = streams[0] if len(streams) == 1 else op.merge("_merge", *streams)
    out = op.stateful_batch(SHARDS_STEP, merged, lambda saved: _ShardLogic(job, saved))
    if plan.fleet:
        words = op.flat_map("_to_fleet", out, to_fleet)
        more = op.stateful_batch(FLEET_STEP, words, lambda saved: _FleetLogic(job, saved))
        out = op.merge("_with_fleet", out, more)
    for number, tap in enumerate(plan.taps):
        mine = op.flat_map(f"_to_{tap.sink.step}", out, _Pick(number))
        op.output(tap.sink.step, mine, _Sink(job, tap))
    if not plan.taps:
        nothing: Any = out
        op.output("_nowhere", nothing, _Sink(job, None))
    return flow


def _told(method: Callable[P, T]) -> Callable[P, T]:
    """A callback of Bytewax that tells the job what goes wrong before Bytewax panics about it."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except StreamflowError as error:
            args[0]._job.failed(error)  # type: ignore[attr-defined]
            raise

    return call


@dataclass(frozen=True)
class _Pick:
    number: int

    def __call__(self, item: tuple[str, tuple[int, Any]]) -> list[Addressed]:
        key, (number, payload) = item
        return [(key, payload)] if number == self.number else []


class _Source(FixedPartitionedSource[Addressed, Any]):
    def __init__(self, job: Job, source: Source) -> None:
        self._job, self._source = job, source

    def list_parts(self) -> list[str]:
        return list(self._source.partitions())

    @_told
    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> _Partition:
        return _Partition(self._job, self._source, for_part, resume_state)


class _Partition(StatefulSourcePartition[Addressed, Any]):
    """A source partition. The first `next_batch` after a `snapshot` comes when that is durable."""

    def __init__(self, job: Job, source: Source, partition: str, saved: Any) -> None:
        known: Any = unpack(saved) if saved else {"position": None, "snapshots": 0}
        position = job.start_position(source.step, partition, known["position"])
        self._name = f"{source.step}/{partition}"
        self._snapshots = known["snapshots"]
        self._job = job
        self._intake = Intake(source, job.plan.schema, partition, position, job.clock)
        job.connectors[source.step, partition] = self._intake.reader
        fleet = bool(job.plan.fleet)
        self._split = Splitter(job.plan.shards, self._name if fleet else partition, tell_all=fleet)
        self._poll_at: int | None = None
        """When the source wants to be asked again, monotonic ns; None is at once."""
        self._begun = self._ended = False
        self._snapped: tuple[Any, int] | None = None

    @_told
    def next_batch(self) -> Iterable[Addressed]:
        now = self._job.last_poll = self._job.clock.monotonic()
        out = self._committed()
        if self._ended:
            raise StopIteration
        if self._job.stopping:
            self._ended, self._poll_at = True, None
            return [*out, *self._split.stop()]
        if not self._begun:
            self._begun = True
            return self._split.marker()
        if self._poll_at is not None and now < self._poll_at:
            return out
        try:
            parcels = self._intake.poll()
        except EndOfStream:
            self._ended = True
            return [*out, *self._split.last_tick()]
        except (Backoff, NotConnected) as error:
            self._rest(error.wait if isinstance(error, Backoff) else 1.0)
            return out
        if not parcels:
            self._rest(self._intake.reader.next_poll())
            return out
        self._poll_at = None
        self._job.polled(self._intake.reader)
        for parcel in parcels:
            parcel.polled = self._job.clock.monotonic()
            out += self._split.parcels(parcel)
        return out

    def next_awake(self) -> datetime | None:
        if self._poll_at is None:
            return None
        # However long the source rests, a stop must be noticed.
        wait = min((self._poll_at - self._job.clock.monotonic()) / 1e9, LONGEST_WAIT)
        return datetime.fromtimestamp(self._job.clock.now() / 1e9 + wait, UTC)

    def _rest(self, seconds: float) -> None:
        self._poll_at = self._job.clock.monotonic() + round(seconds * 1e9)

    @_told
    def snapshot(self) -> Any:
        position = self._intake.position()
        self._snapped = position, self._job.clock.monotonic()
        self._snapshots += 1
        return pack({"position": position, "snapshots": self._snapshots})

    def close(self) -> None:
        self._intake.reader.close()

    def _committed(self) -> list[Addressed]:
        if self._snapped is None:
            return []
        (position, since), self._snapped = self._snapped, None
        # Without state nothing is durable; to be through is all there is to wait for.
        self._intake.reader.committed(position)
        if self._job.state is None:
            return []
        self._job.committed(self._name, self._snapshots, self._job.clock.monotonic() - since)
        return self._split.marker() if self._job.delivers_late else []


class _ShardLogic(StatefulBatchLogic[Parcel, tuple[int, Item], Any]):
    """A shard in Bytewax's terms; what it emits is (number of the tap, what the sink takes)."""

    def __init__(self, job: Job, saved: Any) -> None:
        self._job = job
        self._shard = Shard(job.plan, unpack(saved) if saved else None)
        self._live = self._stopped = False
        self._due: datetime | None = None
        job.opened(self._shard)

    @_told
    def on_batch(self, batch: list[Parcel]) -> tuple[list[tuple[int, Item]], bool]:
        out: list[tuple[int, Item]] = []
        for parcel in batch:
            if parcel.marker:  # at the start, too: it opens the sinks, replacing old files
                out += [(n, COMMITTED) for n, _ in self._taps()]
                continue
            if parcel.stop:
                self._stopped = True
                out += self._tell(Outcome(), parcel)
                continue
            outcome = self._shard.on_parcel(parcel)
            self._live |= parcel.live
            out += [*address(self._job.plan.taps, outcome), *self._tell(outcome, parcel)]
            if parcel.dead:
                out += [(n, parcel.dead) for n, t in self._taps() if t.takes("dead_letters")]
            self._job.handled(outcome, parcel)
        return out, StatefulBatchLogic.RETAIN

    @_told
    def on_notify(self) -> tuple[list[tuple[int, Item]], bool]:
        self._due = None
        outcome = self._shard.on_tick(self._job.clock.now())
        self._job.handled(outcome)
        out = [*address(self._job.plan.taps, outcome), *self._tell(outcome)]
        return out, StatefulBatchLogic.RETAIN

    def notify_at(self) -> datetime | None:
        if self._live and self._due is None:
            self._due = datetime.fromtimestamp(self._job.clock.now() / 1e9 + TICK, UTC)
        return self._due

    @_told
    def on_eof(self) -> tuple[list[tuple[int, Item]], bool]:
        if self._stopped:  # a stop is not an end: what is held stays held
            return [], StatefulBatchLogic.RETAIN
        outcome = self._shard.on_end()
        self._job.handled(outcome)
        out = [*address(self._job.plan.taps, outcome), *self._tell(outcome)]
        return out, StatefulBatchLogic.RETAIN

    @_told
    def snapshot(self) -> Any:
        return pack(self._shard.snapshot()) if self._job.state else None

    def _taps(self) -> Iterable[tuple[int, Tap]]:
        return enumerate(self._job.plan.taps)

    def _tell(self, outcome: Outcome, parcel: Parcel | None = None) -> list[tuple[int, Any]]:
        if not self._job.plan.fleet:
            return []
        if parcel is None:
            return [(TO_FLEET, Word(outcome.events))] if outcome.events else []
        how = (parcel.partition, parcel.newest, parcel.live, parcel.stop)
        return [(TO_FLEET, Word(outcome.events, *how))]


class _FleetLogic(StatefulBatchLogic[tuple[str, Word], tuple[int, Item], Any]):
    """The fleet steps, at one worker."""

    def __init__(self, job: Job, saved: Any) -> None:
        self._job = job
        shards = map(str, range(job.plan.shards))
        self._fleet = Fleet(job.plan, shards, unpack(saved) if saved else None)
        self._live = self._stopped = False
        self._due: datetime | None = None

    @_told
    def on_batch(self, batch: list[tuple[str, Word]]) -> tuple[list[tuple[int, Item]], bool]:
        events: list[Event] = []
        for shard, word in batch:
            self._live |= word.live
            self._stopped |= word.stop
            events += self._fleet.hear(word.partition, shard, word.newest, word.events)
        return self._out(events)

    @_told
    def on_notify(self) -> tuple[list[tuple[int, Item]], bool]:
        self._due = None
        return self._out(self._fleet.tick(self._job.clock.now()))

    def notify_at(self) -> datetime | None:
        if self._live and self._due is None:
            self._due = datetime.fromtimestamp(self._job.clock.now() / 1e9 + TICK, UTC)
        return self._due

    @_told
    def on_eof(self) -> tuple[list[tuple[int, Item]], bool]:
        return self._out([] if self._stopped else self._fleet.on_end())

    @_told
    def snapshot(self) -> Any:
        return pack(self._fleet.snapshot()) if self._job.state else None

    def _out(self, events: list[Event]) -> tuple[list[tuple[int, Item]], bool]:
        outcome = Outcome(events=events)
        if events:
            self._job.handled(outcome)
        return address(self._job.plan.taps, outcome), StatefulBatchLogic.RETAIN


class _Sink(FixedPartitionedSink[Item, Any]):
    """One partition: a sink is one writer in the whole cluster."""

    def __init__(self, job: Job, tap: Tap | None) -> None:
        self._job, self._tap = job, tap

    def list_parts(self) -> list[str]:
        return ["0"]

    def part_fn(self, item_key: str) -> int:
        return 0

    @_told
    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> _Writer:
        if self._tap is None:
            return _Writer(self._job, None)
        saved = unpack(resume_state) if resume_state else None
        return _Writer(self._job, self._job.open_sink(self._tap.sink, saved))


class _Writer(StatefulSinkPartition[Item, Any]):
    def __init__(self, job: Job, delivery: Delivery | None) -> None:
        self._job, self._delivery = job, delivery

    @_told
    def write_batch(self, values: Sequence[Item]) -> None:
        if self._delivery:
            self._delivery.write(values)

    @_told
    def snapshot(self) -> Any:
        return pack(self._delivery.snapshot() if self._delivery else None)

    def close(self) -> None:
        # At the end of the input, before its last epoch is durable; and when the flow has failed.
        if self._delivery and self._delivery.late:
            self._job.late.append(self._delivery)
        elif self._delivery:
            self._delivery.close()
