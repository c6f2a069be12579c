"""Intake: one open partition of a source, decoded. The same for both engines.

A reader is asked until nothing is there, so that a source which hands out one message at a time
costs what one costs that hands out thousands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from streamflow.core.batch import Batch
from streamflow.core.clock import Clock
from streamflow.core.connect import (
    DeadLetter,
    Decoder,
    Message,
    Messages,
    Position,
    Reader,
    Source,
)
from streamflow.core.schema import Schema
from streamflow.engine.again import Namer, Origin
from streamflow.engine.pace import Paced
from streamflow.errors import ConnectorError, EndOfStream
from streamflow.formats.json import Json

LEAST, FIRST, MOST = 256, 4_096, 32_768
"""The limit of messages in a batch: at least, at the start, at most. What is there is taken;
nothing waits for a batch to fill."""
_TURN = 50_000_000
"""So many ns a batch may take until the next one is asked for: while there is a backlog, the limit
follows from what the last full batch took. Large batches are fast, and slow steps stay in touch."""
_TIME = 2_000_000
"""So many ns after the first answer a reader is not asked again: it may be a slow one."""


_Got = Messages | Batch | DeadLetter


@dataclass
class Parcel:
    """What one poll brought: readings, dead letters, and how many messages it was."""

    received: int
    decoded: int
    batch: Batch | None = None
    origin: Origin | None = None
    """Of the readings, where their messages may come again."""
    dead: list[DeadLetter] = field(default_factory=list)
    polled: int = 0
    """When it was polled, monotonic ns."""
    live: bool = False
    """Whether readings arrive by the clock; history arrives at its event time."""
    tick: int | None = None
    """At the end of a source: how far its time has come, for the shards that did not hear."""
    partition: str = ""
    newest: int | None = None
    """How far that partition's time has come, its newest arrival: told where a fleet step waits."""
    marker: bool = False
    """True for the word that what came before is durable."""
    stop: bool = False
    """True for the word that the source was told to stop before its end."""


class Intake:
    """Polls a partition and decodes what comes."""

    def __init__(
        self, source: Source, schema: Schema, partition: str, position: Position, clock: Clock
    ) -> None:
        self._source, self._partition, self._clock = source, partition, clock
        self.name = f"{source.step}/{partition}"
        self._said: ConnectorError | None = None
        self._waiting: list[_Got] = []
        """What was polled and is to be decoded: a schema may have to be fetched for it first."""
        self._before: Position = None
        self._limit = FIRST
        self._full: int | None = None
        """When the last batch was asked for, if it came full."""
        self._decoder = decoder_of(source, schema)
        self._namer = Namer(source.step, partition) if source.window else None
        self.reader = _open(source, partition, position)
        if source.pace != inf:
            ahead = _open(source, partition, position)
            self.reader = Paced(self.reader, ahead, decoder_of(source, schema), source.pace, clock)

    def poll(self) -> list[Parcel]:
        """What is there now. Raises what the reader does: EndOfStream, NotConnected, Backoff.

        A decoder may raise the last two, too; the same messages are then decoded by the next poll.
        """
        if not self._waiting:
            self._before = self.reader.position()
            self._waiting = self._take()
        parcels = [self._parcel(got) for got in self._waiting]
        self._waiting = []
        return parcels

    def position(self) -> Position:
        """Where to resume so that no reading given so far comes again, and none is left out."""
        return self._before if self._waiting else self.reader.position()

    def _take(self) -> list[_Got]:
        if self._said is not None:
            said, self._said = self._said, None
            raise said
        got: list[list[Messages] | Batch | DeadLetter] = []
        count, end, began = 0, None, self._clock.monotonic()
        if self._full is not None:
            fitting = self._limit * _TURN // max(began - self._full, 1)
            self._limit = min(max(fitting, LEAST), MOST)
        while count < self._limit and (end is None or self._clock.monotonic() < end):
            try:
                more = self.reader.poll(self._limit - count)
            except ConnectorError as error:
                if not got:
                    raise
                self._said = error
                break
            if more is None:
                break
            end = end or self._clock.monotonic() + _TIME
            count += 1 if isinstance(more, DeadLetter) else _count(more)
            if not isinstance(more, Messages):
                got.append(more)
            elif got and isinstance(got[-1], list) and _alike(got[-1][0], more):
                got[-1].append(more)
            else:
                got.append([more])
        self._full = began if count >= self._limit else None
        return [_joined(one) if isinstance(one, list) else one for one in got]

    def _parcel(self, got: _Got) -> Parcel:
        if isinstance(got, Batch):
            return Parcel(len(got), len(got), got)
        if isinstance(got, DeadLetter):
            return Parcel(1, 0, dead=[got])
        dead: dict[int, DeadLetter] = {}

        def lost(i: int, reason: str, byte: int | None = None) -> None:
            if i not in dead:
                place = (self._source.step, self._partition, got.places[i])
                told = {
                    k: word for k, words in got.fields.items() if (word := words[i]) is not None
                }
                again = (got.header, told, got.arrived)
                dead[i] = DeadLetter(got.payloads[i], reason, *place, byte, *again)

        decoded = self._decoder.decode(got, lost)
        received = len(got.payloads)
        letters = [dead[i] for i in sorted(dead)]
        live = got.arrived is not None
        origin = self._namer.origin(got, decoded) if self._namer else None
        counts = (received, received - len(dead))
        return Parcel(*counts, decoded.batch, origin, letters, live=live)


def _count(got: Messages | Batch) -> int:
    return len(got.payloads if isinstance(got, Messages) else got)


def _alike(a: Messages, b: Messages) -> bool:
    """Whether they can be decoded as one."""
    same = (a.header, a.arrived, a.fields.keys()) == (b.header, b.arrived, b.fields.keys())
    return same and all(isinstance(m.payloads, list) and m.ids is None for m in (a, b))


def _joined(parts: list[Messages]) -> Messages:
    if len(parts) == 1:
        return parts[0]
    fields = {name: [word for p in parts for word in p.fields[name]] for name in parts[0].fields}
    return replace(
        parts[0],
        payloads=[payload for part in parts for payload in part.payloads],
        places=[place for part in parts for place in part.places],
        fields=fields,
    )


def _open(source: Source, partition: str, position: Position) -> Reader:
    opened = source.open(partition, position)
    return opened if isinstance(opened, Reader) else _Generated(opened, position)


def decoder_of(source: Source, schema: Schema) -> Decoder:
    """A decoder for one partition of a source."""
    return (source.format or Json()).decoder(schema)


class _Generated(Reader):
    """The reader of a simple source: a generator of messages."""

    def __init__(self, messages: Iterator[Message | None], position: Position) -> None:
        self._messages = messages
        self._position = position
        self._count = 0
        self._nothing = False

    def poll(self, limit: int) -> Messages | None:
        if self._nothing:
            self._nothing = False
            return None
        payloads: list[bytes] = []
        arrived: int | None = None
        for message in self._messages:
            if message is None:
                self._nothing = bool(payloads)
                break
            self._position = message.position
            arrived = message.arrived
            payloads.append(message.payload)
            if len(payloads) == limit or arrived is not None:
                break
        else:
            if not payloads:
                raise EndOfStream("the generator has ended")
        if not payloads:
            return None
        first = self._count
        self._count += len(payloads)
        return Messages(payloads, range(first, self._count), arrived=arrived)

    def position(self) -> Any:
        return self._position
