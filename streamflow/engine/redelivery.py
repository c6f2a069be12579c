"""Redelivery: letters that were asked for again, as one more source of the flow's next run.

Its position, how far in the order of redelivery it has come, is part of the flow's snapshots. So
each letter has its effect once, however often the flow is killed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from streamflow.core.batch import Batch
from streamflow.core.clock import SystemClock
from streamflow.core.connect import DeadLetter, Decoder, Messages, Position, Reader, Source
from streamflow.core.schema import Schema
from streamflow.engine.letters import Letter, context_of, letters, reading_of
from streamflow.errors import EndOfStream
from streamflow.formats.json import Json

REDELIVERED = "_redelivered"
"""The source's name; none of a user's is called so."""


def is_asked_for(path: Path) -> bool:
    """Whether letters wait to be redelivered, as far as is noted: true for the whole of a run."""
    waiting = letters(path, "queued is not null and not redelivered", limit=1)
    return any(True for _ in waiting)


@dataclass(frozen=True)
class Redelivery(Source):
    """The letters of a file that were asked for, in order.

    Parameters
    ----------
    path
        The file.
    schema
        What messages hold.
    sources
        The flow's own: a dead letter is decoded as the messages of its source are.
    """

    path: Path = field(kw_only=True)
    schema: Schema = field(kw_only=True)
    sources: tuple[Source, ...] = field(kw_only=True)

    @property
    def step(self) -> str:
        """No source of a user's is called so."""
        return REDELIVERED

    def open(self, partition: str, position: Position) -> Reader:
        """Behind number `position` of the order."""
        return _LetterReader(self, position or 0)


class _LetterReader(Reader):
    def __init__(self, source: Redelivery, position: int) -> None:
        self._path, self._schema = source.path, source.schema
        self._position = position
        self._clock = SystemClock()
        self._decoders: dict[str, Decoder] = {
            one.step: (one.format or Json()).decoder(source.schema) for one in source.sources
        }

    def poll(self, limit: int) -> Batch | DeadLetter:
        """The next letters that can be taken together."""
        where = "queued > ? and not redelivered"
        found = list(letters(self._path, where, (self._position,), limit, "queued"))
        if not found:
            raise EndOfStream("all is redelivered")
        _, run = next(groupby(found, key=_alike))
        return self._take(list(run))

    def position(self) -> int:
        return self._position

    def _take(self, run: list[Letter]) -> Batch | DeadLetter:
        if run[0].kind == "rejected":
            return self._given(self._readings(run), run)
        source = run[0].source or ""
        if source not in self._decoders:
            return self._given(_dead(run[0], f"the flow has no source {source!r} now"), run[:1])
        while True:
            wrong: dict[int, tuple[str, int | None]] = {}

            def lost(i: int, reason: str, byte: int | None = None, wrong: Wrong = wrong) -> None:
                wrong.setdefault(i, (reason, byte))

            decoded = self._decoders[source].decode(self._messages(run), lost)
            if not wrong:
                return self._given(decoded.batch, run)
            first = min(wrong)
            if first == 0:
                # What else this message holds went on when it came for the first time.
                return self._given(_dead(run[0], *wrong[0]), run[:1])
            run = run[:first]

    def _given(self, what: Batch | DeadLetter, run: Sequence[Letter]) -> Batch | DeadLetter:
        self._position = run[-1].queued or 0
        return what

    def _messages(self, run: Sequence[Letter]) -> Messages:
        header, _, arrived = context_of(run[0])
        fields = [context_of(letter)[1] for letter in run]
        names = {name for one in fields for name in one}
        return Messages(
            [letter.payload for letter in run],
            [letter.place or "" for letter in run],
            header,
            None if arrived is None else self._clock.now(),
            {name: [one.get(name) for one in fields] for name in names},
        )

    def _readings(self, run: Iterable[Letter]) -> Batch:
        """Readings as they were when they were set aside, without what was filled in."""
        rows, now = [], self._clock.now()
        for letter in run:
            reading = reading_of(letter)
            marks = reading.get("quality", {})
            row = {"device": letter.device, "time": letter.time}
            if context_of(letter) is not None:
                row["arrived"] = now
            for name in (*self._schema.sensors, *self._schema.tags):
                value = reading.get(name)
                if value is not None and "imputed" not in marks.get(name, ()):
                    row[name] = value
            rows.append(row)
        return Batch.of(rows, list(self._schema.sensors), list(self._schema.tags))


Wrong = dict[int, tuple[str, int | None]]


def _alike(letter: Letter) -> tuple[object, ...]:
    """Letters that may be decoded together."""
    if letter.kind == "rejected":
        return ("rejected",)
    header, _, arrived = context_of(letter)
    return ("dead", letter.source, letter.partition, header, arrived is None)


def _dead(letter: Letter, reason: str, byte: int | None = None) -> DeadLetter:
    header, fields, arrived = context_of(letter)
    place = (letter.source or "", letter.partition or "", letter.place or "")
    return DeadLetter(letter.payload, reason, *place, byte, header, fields, arrived)
