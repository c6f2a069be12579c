"""The writer of a sink that tells people: one message at a time, no more than its limit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from streamflow_connectors._flat import Items
from streamflow_connectors._limit import Limit
from streamflow_connectors._notes import Held, Note, notes

from streamflow import Batch, Event, Position, SystemClock, Writer
from streamflow.errors import ConnectorError

log = logging.getLogger("streamflow.notify")


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> int:
        """Wall time, ns since 1970 UTC."""


Tell = Callable[[Note], None]
"""Sends a message to people; NotConnected or Backoff: ask again."""


class Notifier(Writer):
    """Tells what it is given, in messages; above the limit, counts it and tells that later.

    What is held back is part of the position, so a restart tells it, too. It goes out as soon as
    the limit allows when there is something to write or a snapshot is asked for, and at the end.

    Parameters
    ----------
    step
        The name of the sink.
    tell
        Sends a message.
    limit
        None is no limit.
    resume
        Where the last one stood.
    quiet
        Events of one of these kinds and statuses are not told.
    clock
        What tells the time.
    """

    def __init__(
        self,
        step: str,
        tell: Tell,
        limit: Limit | None,
        resume: Position,
        quiet: frozenset[tuple[str, str]] = frozenset(),
        clock: Clock | None = None,
    ) -> None:
        self._step, self._tell, self._limit, self._quiet = step, tell, limit, quiet
        self._clock = clock or SystemClock()
        sent, held = resume or ([], None)
        self._sent: list[int] = list(sent)
        self._held = Held.of(held) if held else None
        self._begun: tuple[Items | None, int] = (None, 0)
        self._counts = {"sent": 0, "held_back": 0}

    def write(self, items: Items) -> None:
        begun, done = self._begun
        skip = done if begun is items else 0  # it was asked before, and got so far
        assert not isinstance(items, Batch)
        events = [item for item in items if isinstance(item, Event)]
        told = notes(one for one in events if _how(one) not in self._quiet)
        for count, note in enumerate(told[skip:], skip):
            self._begun = items, count
            self._offer(note)
        self._begun = None, 0

    def snapshot(self) -> Position:
        self._tell_held()
        if self._limit is None:
            return None
        self._sent = self._limit.recent(self._sent, self._clock.now())
        return [self._sent, self._held.tree() if self._held else None]

    def counts(self) -> Mapping[str, int]:
        return dict(self._counts)

    def close(self) -> None:
        """The input is complete: what is held back is told now."""
        if self._held is None:
            return
        try:
            self._tell(Note(self._held.key, held=self._held))
        except ConnectorError as error:
            log.error(
                "sink %r could not tell at its end what its limit held back, %s: %s",
                *(self._step, self._held.row(), error),
            )

    def _offer(self, note: Note) -> None:
        self._tell_held()
        if self._limit is None:
            self._send(note)
            return
        now = self._clock.now()
        free = self._limit.free(self._sent, now)
        if not free:
            self._held = self._held or Held(self._limit.text)
            self._held.add(note)
            self._counts["held_back"] += len(note.events)
            return
        if free == 1:
            note = replace(note, until=self._limit.next([*self._sent, now], now))
        self._send(note)

    def _tell_held(self) -> None:
        if self._held and self._limit and self._limit.free(self._sent, self._clock.now()):
            self._send(Note(self._held.key, held=self._held))
            self._held = None

    def _send(self, note: Note) -> None:
        self._tell(note)
        self._counts["sent"] += 1
        if self._limit:
            self._sent.append(self._clock.now())


def _how(event: Event) -> tuple[str, str]:
    return event.kind, str(event.fields.get("status"))
