"""Delivery: when a sink gets what the flow has for it: now, or when it is durable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from streamflow.core.batch import Batch
from streamflow.core.connect import DeadLetter, Sink
from streamflow.core.event import Event
from streamflow.engine.frozen import freeze, thaw
from streamflow.engine.patience import Patience
from streamflow.engine.plan import Tap
from streamflow.engine.shard import Outcome

COMMITTED: Final = "committed"
"""Sent to sinks that deliver late when a snapshot has become durable."""
Item = Batch | Sequence[Event] | Sequence[DeadLetter] | str


def address(taps: Sequence[Tap], outcome: Outcome) -> list[tuple[int, Item]]:
    """What each sink is given of what came out: the number of its tap, and the item."""
    out: list[tuple[int, Item]] = []
    for number, tap in enumerate(taps):
        of = tap.sink.of
        if tap.takes("rejected"):
            out += [(number, batch) for batch in outcome.rejected]
        if of == "rows":
            out += [(number, batch) for at, batch in outcome.tapped if at is tap]
        elif of in ("alerts", "events"):
            events = [e for e in outcome.events if of == "events" or e.kind == "alert"]
            if events:
                out.append((number, events))
    return out


class Delivery:
    """Hands a sink's writer what it is due.

    With `deliver="now"` that is everything at once. With `deliver="durable"` what came since the
    last snapshot waits; the snapshot contains it; anything that comes after a snapshot, if only
    the word COMMITTED, proves that snapshot durable (the engine lets nothing of the next epoch
    into the flow before), and then it is written.

    Snapshots are numbered, so that what a run has handed out at its end is not handed out again
    by every later start: `delivered` is the number of the last snapshot whose items are out.

    A writer that cannot take something now is asked again with `patience`.
    """

    def __init__(
        self, sink: Sink, saved: Any, delivered: int = 0, patience: Patience | None = None
    ) -> None:
        self.late = sink.deliver == "durable"
        self.step = sink.step
        resume, waiting, number = saved or (None, [], 0)
        self.number: int = number
        # A sink that is cut back to its snapshot has lost what was handed out after it.
        if self.number <= delivered and not sink.rolls_back:
            waiting = []
        self._patience = patience or Patience(sink.step)
        self.writer = self._patience.ask(sink.open, resume)
        self._waiting: list[Item] = []
        self._snapped: list[Item] = []
        for item in map(thaw, waiting):
            self._give(item)

    def write(self, items: Sequence[Item]) -> None:
        """Take items of the present epoch."""
        self._settle()
        for item in items:
            if isinstance(item, str):
                continue
            if self.late:
                self._waiting.append(item)
            else:
                self._give(item)

    def snapshot(self) -> Any:
        """Where the writer stands, and what waits."""
        self._settle()
        self._snapped, self._waiting = self._waiting, []
        self.number += 1
        position = self._patience.ask(self.writer.snapshot)
        return [position, [freeze(item) for item in self._snapped], self.number]

    def close(self, *, failed: bool = False) -> None:
        """Let go. Late items are written, unless the flow has failed: they may not be durable."""
        if not failed:
            self._settle()
            for item in self._waiting:
                self._give(item)
        self.writer.close()

    def _settle(self) -> None:
        for item in self._snapped:
            self._give(item)
        self._snapped = []

    def _give(self, item: Item) -> None:
        assert not isinstance(item, str)
        self._patience.ask(self.writer.write, item)
