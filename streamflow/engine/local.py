"""The local engine: a plan in this process, without Bytewax. For replay, tests and notebooks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter

from streamflow.core.clock import Clock, SystemClock
from streamflow.core.connect import DeadLetter, Source
from streamflow.core.event import Event
from streamflow.engine.fleet import FLEET, Fleet
from streamflow.engine.intake import Intake, Parcel
from streamflow.engine.plan import Plan
from streamflow.engine.result import Result
from streamflow.engine.shard import Outcome, Shard
from streamflow.engine.split import END
from streamflow.errors import Backoff, EndOfStream, NotConnected

LAST = 100_000
"""So many dead letters are kept in memory, the last ones; all are counted."""
Progress = Callable[[float | None, int], None]
"""Told the fraction read, if it is known, and the readings so far."""


def replay(
    plan: Plan,
    sources: tuple[Source, ...],
    *,
    progress: Progress | None = None,
    events: Callable[[Sequence[Event]], None] | None = None,
    clock: Clock | None = None,
) -> Result:
    """Run the stages of a plan over sources to their end, sinks closed; all results in memory."""
    clock = clock or SystemClock()
    shard = Shard(plan)
    fleet = Fleet(replace(plan, sources=sources), [FLEET])
    outcome, dead = Outcome(), deque[DeadLetter](maxlen=LAST)
    latencies: list[float] = []
    began = perf_counter()
    parts = [(source, part) for source in sources for part in source.partitions()]
    intakes = [Intake(source, plan.schema, part, None, clock) for source, part in parts]
    opened = list(intakes)

    def give(gave: Outcome) -> None:
        outcome.add(gave)
        if events and gave.events:
            events(gave.events)

    try:
        while intakes:
            waits = []
            for intake in list(intakes):
                polled = perf_counter()
                try:
                    parcels = intake.poll()
                except EndOfStream:
                    intakes.remove(intake)
                    give(Outcome(events=fleet.hear(intake.name, FLEET, END, [])))
                    continue
                except (Backoff, NotConnected) as error:
                    waits.append(error.wait if isinstance(error, Backoff) else 1.0)
                    continue
                if not parcels:
                    waits.append(intake.reader.next_poll())
                for parcel in parcels:
                    dead += parcel.dead
                    gave = shard.on_parcel(parcel)
                    if plan.fleet:
                        newest = _newest(parcel)
                        gave.events += fleet.hear(intake.name, FLEET, newest, gave.events)
                    give(gave)
                if parcels:
                    latencies.append(perf_counter() - polled)
                if progress:
                    progress(_fraction(opened), shard.balance.readings)
            if intakes and len(waits) == len(intakes):
                clock.sleep(min(waits))
        gave = shard.on_end()
        gave.events += [*fleet.hear("", FLEET, None, gave.events), *fleet.on_end()]
        give(gave)
    finally:
        for intake in opened:
            intake.reader.close()
    return Result.of(plan, [shard], outcome, list(dead), perf_counter() - began, latencies)


def _newest(parcel: Parcel) -> int | None:
    """The newest arrival of what a poll brought; None if it brought no reading."""
    return (
        int(parcel.batch.arrived.max()) if parcel.batch is not None and len(parcel.batch) else None
    )


def _fraction(intakes: list[Intake]) -> float | None:
    known = [part for intake in intakes if (part := intake.reader.progress()) is not None]
    return sum(known) / len(known) if known else None
