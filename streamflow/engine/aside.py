"""Aside: what a flow with state keeps of what it sets aside, where no sink takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from streamflow.core.batch import Batch
from streamflow.core.clock import SystemClock
from streamflow.core.connect import DeadLetter, Outlet, Position, Sink, Writer
from streamflow.core.event import Event
from streamflow.engine.letterbox import LETTERS_STEP
from streamflow.engine.letters import LETTERS, Letters
from streamflow.engine.plan import Plan, Tap
from streamflow.engine.redelivery import Redelivery, is_asked_for
from streamflow.engine.statedir import StateDir

_MS = 10**6
KEPT: tuple[Outlet, ...] = ("dead_letters", "rejected")


@dataclass(frozen=True)
class KeptLetters(Sink):
    """Keeps dead letters, and whatever else its tap takes, in a file beside the state."""

    path: Path = field(kw_only=True)

    @property
    def step(self) -> str:
        """No sink of a user's is called so."""
        return LETTERS_STEP

    @property
    def promise(self) -> str:
        """It goes back to its snapshot."""
        return "once"

    def open(self, resume: Position) -> Writer:
        """Behind letter number `resume`."""
        kept = Letters(self.path)
        kept.roll_back(resume or 0)
        return LettersWriter(kept)


class LettersWriter(Writer):
    """Writes to the file."""

    def __init__(self, kept: Letters) -> None:
        self.letters = kept
        self._clock = SystemClock()

    def write(self, items: Batch | Sequence[Event] | Sequence[DeadLetter]) -> None:
        """Keep them."""
        now = self._clock.now() // _MS * _MS
        if isinstance(items, Batch):
            self.letters.add(items, now)
        else:
            self.letters.add([item for item in items if isinstance(item, DeadLetter)], now)

    def snapshot(self) -> Position:
        """The number of the last letter, all of them durable."""
        return self.letters.commit()

    def close(self) -> None:
        """Let go."""
        self.letters.commit()
        self.letters.close()


def equipped(plan: Plan, state: StateDir | None) -> Plan:
    """The plan with a place for what no sink takes, and with what is to be redelivered.

    It depends on nothing that changes while the flow runs: all processes of a cluster get the same.
    """
    if state is None:
        return plan
    path = state.path / LETTERS
    taken = {tap.sink.of for tap in plan.taps}
    left = [outlet for outlet in KEPT if outlet not in taken]
    if left:
        sink = KeptLetters(path=path, of=left[0])
        plan = replace(plan, taps=(*plan.taps, Tap(sink, None, tuple(left[1:]))))
    if is_asked_for(path):
        again = Redelivery(path=path, schema=plan.schema, sources=plan.sources)
        plan = replace(plan, sources=(*plan.sources, again))
    return plan
