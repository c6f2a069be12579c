"""Job: one run of a plan in one process, and what its workers share."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streamflow.core.clock import Clock, SystemClock
from streamflow.core.connect import DeadLetter, Reader
from streamflow.engine.balance import Balance
from streamflow.engine.intake import Parcel
from streamflow.engine.local import Progress
from streamflow.engine.plan import Plan
from streamflow.engine.shard import Outcome, Shard
from streamflow.engine.statedir import StateDir

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
    """

    plan: Plan
    state: StateDir | None = None
    epoch: int = EPOCH
    positions: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress | None = None
    captured: Outcome | None = None
    clock: Clock = field(default_factory=SystemClock)
    dead: list[DeadLetter] = field(default_factory=list)
    shards: list[Shard] = field(default_factory=list)
    stopping: bool = False
    last_commit: int | None = None
    """When an epoch was last known to be durable, monotonic ns."""
    commit_waits: list[int] = field(default_factory=list)
    """How long each epoch took to become durable, ns; emptied by who reads it."""
    arrival_waits: list[tuple[int, int]] = field(default_factory=list)
    """(ns from poll to output, readings) of each parcel; emptied by who reads it."""
    readings: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def delivers_late(self) -> bool:
        """Whether a sink waits for its items to be durable."""
        return any(tap.sink.deliver == "durable" for tap in self.plan.taps)

    def start_position(self, step: str, partition: str, saved: Any) -> Any:
        """Where to open a partition."""
        chosen = self.positions.get(step, saved)
        return self.positions.get(f"{step}/{partition}", chosen)

    def opened(self, shard: Shard) -> None:
        """A shard is at work in this process."""
        with self._lock:
            self.shards.append(shard)

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
                self.arrival_waits.append((wait, len(parcel.batch)))
                del self.arrival_waits[:-1000]
            if self.captured is not None:
                self.captured.add(outcome)
                self.dead += parcel.dead if parcel else []

    def committed(self, wait: int) -> None:
        """An epoch is durable, `wait` ns after its snapshot."""
        with self._lock:
            self.last_commit = self.clock.monotonic()
            self.commit_waits.append(wait)
            del self.commit_waits[:-1000]

    def balance(self) -> Balance:
        """The sum over this process's shards."""
        total = Balance()
        for shard in self.shards:
            total.add(shard.balance)
        return total
