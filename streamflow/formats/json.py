"""JSON: one object per message, `{"machine": "pump-1", "timestamp": "...", "bar": 4.1}`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import astuple

from streamflow.core.connect import Decoded, Messages, Trouble
from streamflow.core.schema import Schema
from streamflow.formats.columns import EMPTY, Columns

_BYTE = re.compile(r"byte (\d+)")
_BOM = b"\xef\xbb\xbf"
_NOT_TYPED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True)
class Json:
    """JSON objects, a reading each; the flow names the fields for device, time, sensors, tags.

    Examples
    --------
    >>> from streamflow import Messages, Schema, Sensor
    >>> schema = Schema("machine", "timestamp", {"bar": Sensor()})
    >>> messages = Messages([b'{"machine": "pump-1", "timestamp": 0, "bar": 4.1}'], places=[1])
    >>> Json().decoder(schema).decode(messages, dead=print).batch["bar"].tolist()
    [4.1]
    """

    def decoder(self, schema: Schema) -> JsonDecoder:
        """A decoder for one partition."""
        return JsonDecoder(schema)


class JsonDecoder:
    """Decodes each message on its own: a malformed one harms no other.

    A message of the usual types goes straight into a typed struct; any other is parsed again
    without types, so that one value of a wrong type costs that value, not its message.
    """

    def __init__(self, schema: Schema) -> None:
        self._columns = Columns(schema)
        self._names = [schema.device, schema.time, *schema.sensors, *schema.tags]
        self._typed = msgspec.json.Decoder(_struct(schema)).decode
        self._getters = [attrgetter(f"f{i}") for i in range(len(self._names))]
        self._untyped = msgspec.json.Decoder().decode

    def decode(self, messages: Messages, dead: Trouble) -> Decoded:
        """All readings of the messages, in order."""
        rows: Sequence[int] = range(len(messages.payloads))
        columns: Iterable[Sequence[Any]]
        try:
            # Not as tuples: thousands of them would keep the garbage collector busy.
            things = list(map(self._typed, messages.payloads))
            columns = [list(map(get, things)) for get in self._getters]
        except _NOT_TYPED:
            values, rows = self._one_by_one(messages, dead)
            columns = zip(*values, strict=True) if values else [()] * len(self._names)
        fields = dict(zip(self._names, columns, strict=True))
        return self._columns.build(fields, np.array(rows, np.intp), messages, dead)

    def _one_by_one(
        self, messages: Messages, dead: Trouble
    ) -> tuple[list[tuple[Any, ...]], list[int]]:
        values: list[tuple[Any, ...]] = []
        rows: list[int] = []
        for i, payload in enumerate(messages.payloads):
            try:
                values.append(astuple(self._typed(payload)))
            except _NOT_TYPED:
                thing = self._again(i, payload, dead)
                if thing is None:
                    continue
                values.append(tuple(thing.get(name) for name in self._names))
            rows.append(i)
        return values, rows

    def _again(self, i: int, payload: bytes, dead: Trouble) -> dict[str, Any] | None:
        if not payload:
            dead(i, EMPTY)
            return None
        if payload.startswith(_BOM):
            payload = b"   " + payload[3:]  # so that places still count from the message's start
        try:
            payload.decode()
            thing = self._untyped(payload)
        except UnicodeDecodeError as error:
            dead(i, f"not UTF-8: {error.reason}", error.start)
            return None
        except RecursionError:
            dead(i, "not JSON: it is nested too deeply")
            return None
        except msgspec.DecodeError as error:
            place = _BYTE.search(str(error))
            dead(i, f"not JSON: {error}", int(place[1]) if place else None)
            return None
        if not isinstance(thing, dict):
            dead(i, f"it is a JSON {_kind(thing)}, not an object", 0)
            return None
        return thing


def _struct(schema: Schema) -> type[msgspec.Struct]:
    """What a message usually is."""
    types: list[tuple[str, Any]] = [
        (schema.device, str | None),
        (schema.time, str | int | float | None),
        *((sensor, float | None) for sensor in schema.sensors),
        *((tag, str | None) for tag in schema.tags),
    ]
    # Fields go by number, for a sensor may be called anything.
    fields = [(f"f{i}", type_, None) for i, (_, type_) in enumerate(types)]
    rename = {f"f{i}": name for i, (name, _) in enumerate(types)}
    return msgspec.defstruct("Message", fields, rename=rename, gc=False)


def _kind(thing: Any) -> str:
    names = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(thing), "number")
