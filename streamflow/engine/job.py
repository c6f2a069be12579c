"""Job: one run of a plan in one process, and what its workers share."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streamflow.core.clock import Clock, SystemClock
from streamflow.core.connect import DeadLetter, Reader, Sink, Writer
from streamflow.core.event import Event
from streamflow.engine.balance import Balance
from streamflow.engine.delivery import Delivery
from streamflow.engine.intake import Parcel
from streamflow.engine.local import LAST, Progress
from streamflow.engine.patience import Patience
from streamflow.engine.plan import Plan
from streamflow.engine.shard import Outcome, Shard
from streamflow.engine.statedir import StateDir
from streamflow.errors import StreamflowError

EPOCH = 2 * 10**9
"""The default epoch, ns."""


@dataclass
class Job:
    """What the workers of one process share.

    Parameters
    ----------
    plan
        What runs.
    state
        Where state is kept; None keeps it in memory.
    epoch
        The time between two snapshots, ns.
    positions
        step or step/partition -> where to start on purpose, in place of where it ended.
    progress
        Told how far the sources are.
    captured
        Collects all that the shards give back, for a replay.
    events
        Given the events of a replay as they are raised.
    """

    plan: Plan
    state: StateDir | None = None
    epoch: int = EPOCH
    positions: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress | None = None
    captured: Outcome | None = None
    events: Callable[[Sequence[Event]], None] | None = None
    on_failure: Callable[[StreamflowError], None] | None = None
    """Told why the flow cannot go on, before Bytewax says it in its own way."""
    clock: Clock = field(default_factory=SystemClock)
    dead: deque[DeadLetter] = field(default_factory=lambda: deque(maxlen=LAST))
    shards: list[Shard] = field(default_factory=list)
    stopping: bool = False
    last_commit: int | None = None
    """When an epoch was last known to be durable, monotonic ns."""
    last_poll: int | None = None
    """When a source was last asked for more, monotonic ns."""
    durable: dict[str, int] = field(default_factory=dict)
    """source/partition -> snapshots known to be durable."""
    delivered: dict[str, int] = field(default_factory=dict)
    """sink -> number of the snapshot up to which late items are out."""
    epochs: int = 0
    """Epochs known to be durable."""
    commit_waits: deque[int] = field(default_factory=lambda: deque(maxlen=10_000))
    """How long each epoch took to become durable, ns; emptied by who reads it."""
    arrival_waits: deque[int] = field(default_factory=lambda: deque(maxlen=10_000))
    """How long each parcel took from poll to output, ns; emptied by who reads it."""
    connectors: dict[tuple[str, str], Reader | Writer] = field(default_factory=dict)
    """(step, partition) -> what is open here."""
    alert_waits: deque[int] = field(default_factory=lambda: deque(maxlen=10_000))
    """How long after it was polled each alert was raised, ns; emptied by who reads it."""
    readings: int = 0
    patience: dict[str, Patience] = field(default_factory=dict)
    """sink -> how it is asked, for the sinks of this process."""
    sinks: dict[str, Delivery] = field(default_factory=dict)
    """sink -> its delivery, once it is open."""
    late: list[Delivery] = field(default_factory=list)
    """Sinks that have been closed and still wait for their last epoch to be durable."""
    _workers: dict[int, int] = field(default_factory=dict)
    _worker_of: dict[int, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def delivers_late(self) -> bool:
        """Whether a sink waits for its items to be durable."""
        return any(tap.sink.deliver == "durable" for tap in self.plan.taps)

    def start_position(self, step: str, partition: str, saved: Any) -> Any:
        """Where to open a partition."""
        chosen = self.positions.get(step, saved)
        return self.positions.get(f"{step}/{partition}", chosen)

    def open_sink(self, sink: Sink, saved: Any) -> Delivery:
        """Open a sink where its snapshot says, however long it takes."""
        asked = Patience(sink.step, self.clock, lambda: self.stopping)
        self.patience[sink.step] = asked
        delivery = Delivery(sink, saved, self.delivered.get(sink.step, 0), asked)
        self.sinks[sink.step] = delivery
        self.connectors[sink.step, ""] = delivery.writer
        return delivery

    def opened(self, shard: Shard) -> None:
        """A shard is at work in this thread of this process."""
        with self._lock:
            self.shards.append(shard)
            number = self._workers.setdefault(threading.get_ident(), len(self._workers))
            self._worker_of[id(shard)] = number

    def worker_of(self, shard: Shard) -> int:
        """The number of the worker that a shard is at."""
        return self._worker_of[id(shard)]

    def polled(self, reader: Reader) -> None:
        """A source has brought something."""
        if self.progress:
            self.progress(reader.progress(), self.readings)

    def handled(self, outcome: Outcome, parcel: Parcel | None = None) -> None:
        """A shard has handled a parcel, or its end."""
        with self._lock:
            if parcel and parcel.batch is not None:
                self.readings += len(parcel.batch)
                wait = self.clock.monotonic() - parcel.polled
                self.arrival_waits.append(wait)
                self.alert_waits += [wait for event in outcome.events if event.kind == "alert"]
            if self.captured is not None:
                self.captured.add(outcome)
                self.dead += parcel.dead if parcel else []
            if self.events and outcome.events:
                self.events(outcome.events)

    def failed(self, error: StreamflowError) -> None:
        """The flow cannot go on."""
        if self.on_failure:
            self.on_failure(error)

    def committed(self, partition: str, snapshots: int, wait: int) -> None:
        """So many snapshots of a source partition are durable, the last one `wait` ns old."""
        with self._lock:
            self.durable[partition] = snapshots
            self.last_commit = self.clock.monotonic()
            self.epochs += 1
            self.commit_waits.append(wait)

    def close_late(self, *, failed: bool = False) -> None:
        """The flow has ended and all is durable, or it has failed."""
        for delivery in self.late:
            delivery.close(failed=failed)
            if not failed:
                self.delivered[delivery.step] = delivery.number

    def balance(self) -> Balance:
        """The sum over this process's shards."""
        total = Balance()
        for shard in self.shards:
            total.add(shard.balance)
        return total
