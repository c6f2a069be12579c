"""Typed decoding: messages straight into structs. Shared by JSON and MessagePack."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from streamflow.core.batch import Batch, Rows
from streamflow.core.connect import Decoded, Messages, Trouble
from streamflow.formats.columns import EMPTY, Columns
from streamflow.formats.objects import Objects, spread

_BYTE = re.compile(r"byte (\d+)")
_TOGETHER = 1024
"""Messages of which the objects are there at once: of more the caches lose track."""
_NOT_TYPED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True)
class Wire:
    """What is different between the formats.

    Parameters
    ----------
    name
        In a reason.
    decoder
        Makes a decoder for a type.
    untyped
        Decodes a message without types; of bytes that are not UTF-8 it knows the place.
    times
        Makes times of what stands where a time should.
    """

    name: str
    decoder: Callable[[Any], Any]
    untyped: Callable[[bytes], Any]
    times: Callable[[Any], Any] | None = None


class TypedDecoder:
    """Decodes each message on its own: a malformed one harms no other.

    A message of the usual types goes straight into a typed struct, any other into one of any
    types, so that one value of a wrong type costs that value, not its message. What is no such
    struct either is decoded once more without types, to say what is wrong with it.
    """

    def __init__(self, columns: Columns, objects: Objects, wire: Wire, lines: bool = False) -> None:
        self._columns, self._objects, self._wire = columns, objects, wire
        self._time, self._lines = columns.schema.time, lines
        typed, loose = wire.decoder(objects.typed), wire.decoder(objects.loose)
        self._loose_one = loose.decode
        self._typed = typed.decode_lines if lines else typed.decode
        self._loose = loose.decode_lines if lines else loose.decode

    def decode(self, messages: Messages, dead: Trouble) -> Decoded:
        """All readings of the messages, in order."""
        if len(messages.payloads) <= _TOGETHER:
            return self._decode(messages, dead)
        parts = []
        for start in range(0, len(messages.payloads), _TOGETHER):
            end = min(start + _TOGETHER, len(messages.payloads))
            part = self._decode(
                messages.take(range(start, end)), lambda i, *why, start=start: dead(start + i, *why)
            )
            parts.append(Decoded(part.batch, start + part.message))
        return Decoded(
            Batch.concat([part.batch for part in parts]),
            np.concatenate([part.message for part in parts]),
        )

    def _decode(self, messages: Messages, dead: Trouble) -> Decoded:
        things, rows = self._things(messages.payloads, dead)
        if self._lines:
            things, count = spread(things)
            for k in np.flatnonzero(count == 0).tolist():
                dead(int(rows[k]), EMPTY)
            rows = np.repeat(rows, count)
        fields, rows = self._objects.columns(things, rows, dead)
        if self._wire.times:
            fields[self._time] = self._wire.times(fields[self._time])
        return self._columns.build(fields, rows, messages, dead)

    def _things(self, payloads: Sequence[bytes], dead: Trouble) -> tuple[list[Any], Rows]:
        """What each message holds, and the places of those that hold something."""
        # Not as tuples: thousands of them would keep the garbage collector busy.
        things: list[Any] = []
        lost: list[int] = []
        rest, decode = iter(payloads), self._typed
        while True:
            try:
                things.extend(map(decode, rest))  # keeps what came before an error
                break
            except _NOT_TYPED:
                i = len(things) + len(lost)
            thing = self._again(i, payloads[i], dead)
            if thing is None:
                lost.append(i)
            else:
                things.append(thing)
                decode = self._loose  # there may be more of its kind
        rows = np.arange(len(payloads))
        return things, np.delete(rows, lost) if lost else rows

    def _again(self, i: int, payload: bytes, dead: Trouble) -> Any:
        if not payload:
            dead(i, EMPTY)
            return None
        try:
            return self._loose(payload)
        except _NOT_TYPED:
            pass
        if not self._lines:
            return self._one(i, payload, 0, dead)
        found, at = [], 0
        for line in payload.split(b"\n"):
            if line.strip():
                one = self._one(i, line, at, dead)
                found += [] if one is None else [one]
            at += len(line) + 1
        return found

    def _one(self, i: int, payload: bytes, at: int, dead: Trouble) -> Any:
        """One object, which begins at this byte of its message."""
        what = self._wire.name
        try:
            return self._loose_one(payload)
        except _NOT_TYPED:
            pass
        try:
            thing = self._wire.untyped(payload)
        except UnicodeDecodeError as error:
            dead(i, f"not UTF-8: {error.reason}", at + error.start)
            return None
        except RecursionError:
            dead(i, f"not {what}: it is nested too deeply")
            return None
        except msgspec.DecodeError as error:
            place = _BYTE.search(str(error))
            dead(i, f"not {what}: {error}", at + int(place[1]) if place else None)
            return None
        return self._objects.untyped(thing, lambda reason, byte=at: dead(i, reason, byte))
