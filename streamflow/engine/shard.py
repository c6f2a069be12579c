"""Shard: all stages of a flow over the devices of one shard. Both engines run exactly this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter_ns
from typing import Any

import numpy as np

from streamflow.core.batch import ASIDE, Batch, Words
from streamflow.core.event import Event
from streamflow.core.index import Index
from streamflow.core.quality import flag_named, flag_names
from streamflow.core.stage import Output, Stage
from streamflow.core.state import State
from streamflow.engine.again import Origin, Seen
from streamflow.engine.balance import Balance
from streamflow.engine.expiry import Returns, returns, silent
from streamflow.engine.intake import Parcel
from streamflow.engine.plan import Plan, Tap
from streamflow.errors import StageError, StateError, StreamflowError

_FAULTS = 100
"""So many faults are needed before their rate means anything."""
_WINDOW = 10_000
"""Faults are counted anew after so many readings."""


@dataclass
class Outcome:
    """What a shard gives back for what it was given."""

    rows: list[Batch] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    rejected: list[Batch] = field(default_factory=list)
    tapped: list[tuple[Tap, Batch]] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Add what another batch gave."""
        self.rows += other.rows
        self.events += other.events
        self.rejected += other.rejected
        self.tapped += other.tapped


class Shard:
    """The state of some devices, and the stages that change it.

    Parameters
    ----------
    plan
        What to run.
    saved
        A snapshot to go on from.
    """

    def __init__(self, plan: Plan, saved: dict[str, Any] | None = None) -> None:
        self.plan = plan
        self.index = Index()
        self.balance = Balance()
        self.now = np.iinfo(np.int64).min
        self.newest: int | None = None
        """The newest event time seen since the start."""
        self.states = {
            stage.step: State(plan.name, stage.step, stage.memory, self.index)
            for stage in plan.stages
        }
        self._known = _known(plan)
        self._seen: dict[str, int] = {}
        self.spent: dict[str, int] = dict.fromkeys(self.states, 0)
        self._ticking = any(type(s).on_tick is not Stage.on_tick for s in plan.stages)
        self._greeting = [s for s in plan.stages if type(s).on_devices is not Stage.on_devices]
        if saved is not None:
            self._restore(saved)

    def on_parcel(self, parcel: Parcel) -> Outcome:
        """What a poll brought for this shard."""
        self.balance.received += parcel.received
        self.balance.decoded += parcel.decoded
        self.balance.dead += len(parcel.dead)
        if parcel.tick is not None:
            # Another source may still have older history to tell: the tick comes at the end.
            self.now = max(self.now, parcel.tick)
            return Outcome()
        batch = parcel.batch
        if batch is not None and parcel.origin is not None:
            batch = self._once(batch, parcel.origin)
        return Outcome() if batch is None else self.on_batch(batch, parcel.live)

    def _once(self, batch: Batch, origin: Origin) -> Batch:
        """The readings that have not come before."""
        assert self._known is not None
        new = self._known.new(origin)
        again = len(batch) - int(np.count_nonzero(new))
        self.balance.readings += again
        self.balance.redelivered += again
        return batch.take(new) if again else batch

    def on_batch(self, batch: Batch, live: bool = False) -> Outcome:
        """Readings of this shard's devices, in order.

        If they are live, their arrival is a tick, too. In history it is none: there a device's
        readings may arrive long before another's that came earlier in the file.
        """
        outcome = Outcome()
        rest: Batch | None = batch if len(batch) else None
        while rest is not None:
            batch = rest
            rows, new = self.index.locate(batch)
            if new:
                self._welcome(new)
            back, cut = None, 0
            if self.plan.ttl is not None:
                back = returns(batch, rows, self.index.seen, self.plan.ttl)
            if back is not None:
                cut = int(back.at[0])
                if cut == 0:
                    self._expire(batch, back, outcome)
                    continue
            here, rest = batch.cut(cut) if cut else (batch, None)
            rows = rows[: len(here)]
            self.index.seen[rows] = here.arrived
            self.now = max(self.now, int(here.arrived.max()))
            self.newest = max(self.newest or int(here.time[0]), int(here.time.max()))
            self.balance.readings += len(here)
            self._run(0, here.replace(device=rows, devices=self.index.names), outcome)
        if live:
            self._tick(outcome)
        return outcome

    def advance(self, now: int) -> Outcome:
        """Time has come to `now` without a reading."""
        outcome = Outcome()
        self.now = max(self.now, now)
        self._tick(outcome)
        return outcome

    def on_tick(self, now: int) -> Outcome:
        """The clock has come to `now` without a reading; devices silent for too long go."""
        outcome = self.advance(now)
        if self.plan.ttl is not None:
            self.erase(silent(self.index, now, self.plan.ttl), "expired")
        return outcome

    def on_end(self) -> Outcome:
        """The input is complete: what is due comes, and nothing stays held."""
        outcome = Outcome()
        for at, step in enumerate(self.plan.steps):
            if isinstance(step, Stage):
                self._give(at, step, partial(step.on_tick, int(self.now)), outcome)
                self._give(at, step, step.on_end, outcome)
        return outcome

    def erase(self, devices: Sequence[str], reason: str = "erased") -> None:
        """Forget devices: as if they had never been seen. What they held is rejected."""
        found = [self.index.row(name) for name in dict.fromkeys(devices)]
        rows = [row for row in found if row is not None]
        if rows:
            self.index.erase(rows)
            self.balance.forget(devices)
            for state in self.states.values():
                gone = state.erase(rows)
                self.balance.held -= gone
                if gone:
                    self.balance.reject(state.step, reason, gone)

    def _expire(self, batch: Batch, back: Returns, outcome: Outcome) -> None:
        """Forget devices before they come back, the first of them with the next reading."""
        # What was due in the silence comes before its end, as with a tick in between.
        self.now = max(self.now, int(batch.arrived[0]))
        self._tick(outcome)
        # All at once, as far as no time passes that other devices have not come to.
        now = batch.arrived[back.at] == batch.arrived[0] if self._ticking else True
        gone = back.at[back.first & now]
        self.erase([batch.name(i) for i in gone.tolist()], "expired")

    def snapshot(self) -> dict[str, Any]:
        """Everything, as plain dicts, lists, strings, numbers, bytes and arrays."""
        rows = self.index.rows()
        return {
            "devices": self.index.devices(),
            "seen": self.index.seen[rows],
            "now": int(self.now),
            "balance": self.balance.tree(),
            "known": self._known.snapshot() if self._known else {},
            "steps": {step: state.snapshot(rows) for step, state in self.states.items()},
        }

    def _restore(self, saved: dict[str, Any]) -> None:
        unknown = saved["steps"].keys() - self.states.keys()
        if unknown:
            step = min(unknown)
            raise StateError(
                f"the state has a step {step!r} that the flow has not; --forget {step}, "
                f"or --rename {step}=NEW"
            )
        self.index.restore(saved["devices"], saved["seen"])
        self.now = saved["now"]
        self.balance = Balance.from_tree(saved["balance"])
        if self._known:
            self._known.restore(saved["known"])
        for step, tree in saved["steps"].items():
            self.states[step].restore(tree)
        self._welcome(range(len(self.index.names)))

    def _welcome(self, rows: Sequence[int]) -> None:
        for state in self.states.values():
            state.table.grow(len(self.index.names))
        if self._greeting:
            names = [self.index.names[row] for row in rows]
            for stage in self._greeting:
                stage.on_devices(names, rows, self.states[stage.step])

    def _tick(self, outcome: Outcome) -> None:
        if not self._ticking:
            return
        now = int(self.now)
        for at, step in enumerate(self.plan.steps):
            if isinstance(step, Stage):
                self._give(at, step, partial(step.on_tick, now), outcome)
                oldest = self.states[step.step].buffer.oldest()
                if oldest is not None:
                    # They are still to reach the next steps, before which time must not pass them.
                    now = min(now, oldest)

    def _give(
        self, at: int, stage: Stage, give: Callable[[State], Output | None], outcome: Outcome
    ) -> None:
        """Let a stage give something back without having been given a reading."""
        state = self.states[stage.step]
        batch = self._account(state, 0, give, outcome)
        if batch is not None:
            self._run(at + 1, batch, outcome)

    def _run(self, at: int, batch: Batch, outcome: Outcome) -> None:
        """Through the steps from number `at` on."""
        for step in self.plan.steps[at:]:
            if isinstance(step, Tap):
                kept = batch if step.where is None else batch.take(step.where.mask(batch))
                if len(kept):
                    outcome.tapped.append((step, kept))
                continue
            state = self.states[step.step]
            after = self._account(state, len(batch), partial(step.on_batch, batch), outcome)
            if after is None:
                return
            batch = after
        self.balance.out += len(batch)
        for sensor, flags in batch.quality.items():
            for flag in flag_names(int(np.bitwise_or.reduce(flags))):
                rows = batch.device[(flags & flag_named(flag)) != 0]
                codes, counts = np.unique(rows, return_counts=True)
                names = [batch.devices[code] for code in codes.tolist()]
                of = dict(zip(names, counts.tolist(), strict=True))
                self.balance.flag(sensor, flag, of)
        outcome.rows.append(batch)

    def _account(
        self, state: State, given: int, give: Callable[[State], Output | None], outcome: Outcome
    ) -> Batch | None:
        """Call a stage, see that it lost nothing, take out what it rejected."""
        held = state.held_count
        state.created = state.merged = 0
        start = perf_counter_ns()
        try:
            output = give(state)
        except StreamflowError:
            raise
        except Exception as error:
            raise StageError(state.step, f"{type(error).__name__}: {error}") from error
        self.spent[state.step] += perf_counter_ns() - start
        self._limit_faults(state, given)
        batch, events = output if isinstance(output, tuple) else (output, ())
        if not (batch is None or isinstance(batch, Batch)):
            raise StageError(state.step, f"gave back {type(batch).__name__}, which is no batch")
        count = 0 if batch is None else len(batch)
        grown = state.held_count - held
        if given + state.created != count + state.merged + grown:
            raise StageError(
                state.step,
                f"was given {given} readings and gave back {count}, holding {grown} more; count "
                f"the rest in state.created or state.merged, or reject them",
            )
        self.balance.created += state.created
        self.balance.merged += state.merged
        self.balance.held += grown
        outcome.events.extend(events)
        if batch is None or batch.reason is None:
            return batch if count else None
        return self._split(state.step, batch, batch.reason, outcome)

    def _limit_faults(self, state: State, given: int) -> None:
        """Stop the flow when a step's code fails for too many of its last readings."""
        seen = self._seen[state.step] = self._seen.get(state.step, 0) + given
        if state.faults >= _FAULTS and state.faults > self.plan.fault_limit * seen:
            raise StageError(
                state.step,
                f"its code failed on {state.faults} of the last {seen:,} readings, more than the "
                f"flow's fault_limit of {self.plan.fault_limit:.0%}; the first traceback is in the "
                f"log, and each rejected reading has its own",
            )
        if seen >= _WINDOW:
            self._seen[state.step] = state.faults = 0

    def _split(self, step: str, batch: Batch, reason: Words, outcome: Outcome) -> Batch | None:
        aside = reason.codes >= 0
        rejected = batch.take(aside)
        if len(rejected):
            where = Words(np.zeros(len(rejected), np.int32), [step])
            outcome.rejected.append(rejected.replace(tags={**rejected.tags, "step": where}))
            assert rejected.reason is not None
            for i, why in enumerate(rejected.reason.list()):
                if why is not None:
                    self.balance.reject(step, why, device=rejected.name(i))
        left = batch.take(~aside).replace(reason=None)
        if not left.tags.keys().isdisjoint(ASIDE):
            left = left.replace(tags={n: t for n, t in left.tags.items() if n not in ASIDE})
        return left if len(left) else None


def _known(plan: Plan) -> Seen | None:
    """What remembers the messages that may come again, if any may."""
    sources = [source for source in plan.sources if source.window]
    partitions = [(source.step, part) for source in sources for part in source.partitions()]
    windows = {source.step: source.window for source in sources}
    return Seen(windows, partitions) if sources else None
