"""MessagePack: maps in a message, as JSON has objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from msgspec.msgpack import Ext

from streamflow.core.connect import Decoder
from streamflow.core.schema import Schema
from streamflow.formats.columns import Columns
from streamflow.formats.objects import Objects
from streamflow.formats.typed import TypedDecoder, Wire

_ANY = msgspec.msgpack.Decoder()
_TIMESTAMP = -1
_SECONDS = np.uint64(2**34 - 1)


@dataclass(frozen=True)
class MsgPack:
    """MessagePack maps, a reading each; a time may be a timestamp of MessagePack, too.

    Parameters
    ----------
    paths, readings
        As for `Json`.

    Examples
    --------
    >>> from streamflow import Messages, Schema, Sensor
    >>> schema = Schema("machine", "timestamp", {"bar": Sensor()})
    >>> packed = msgspec.msgpack.encode({"machine": "pump-1", "timestamp": 0, "bar": 4.1})
    >>> MsgPack().decoder(schema).decode(Messages([packed], places=[1]), dead=print).batch["bar"]
    array([4.1])
    """

    paths: Mapping[str, str] = field(default_factory=dict)
    readings: str = ""

    def decoder(self, schema: Schema) -> Decoder:
        """A decoder for one partition; FlowError if a path makes no sense."""
        time = str | int | float | Ext | None  # as Ext it keeps its ns
        objects = Objects(schema, self.paths, self.readings, "a MessagePack", time)
        wire = Wire("MessagePack", msgspec.msgpack.Decoder, _untyped, _times)
        columns = Columns(schema)
        typed = TypedDecoder(columns, objects, wire)
        if self.paths or self.readings:
            return typed
        from streamflow.formats.scan.packed import scan  # Numba takes a while to import
        from streamflow.formats.scan.scanner import Scanner
        from streamflow.formats.scan.words import WORKS

        return Scanner(columns, objects.paths, typed, scan) if WORKS else typed


def _untyped(payload: bytes) -> Any:
    try:
        return _ANY.decode(payload)
    except UnicodeDecodeError as error:  # it counts from the start of the string
        at = payload.find(error.object)
        where = (at + error.start, at + error.end)
        raise UnicodeDecodeError(error.encoding, payload, *where, error.reason) from None


def _times(raw: Sequence[Any]) -> Any:
    """Timestamps of MessagePack as moments; anything else as it is."""
    if Ext not in set(map(type, raw)):
        return raw
    data = [bytes(one.data) for one in raw if type(one) is Ext and one.code == _TIMESTAMP]
    if len(data) == len(raw) and set(map(len, data)) == {8}:
        packed = np.frombuffer(b"".join(data), ">u8").astype(np.uint64)
        seconds = (packed & _SECONDS).astype(np.int64)
        ns = (packed >> np.uint64(34)).astype(np.int64)
        if ns.max() < 10**9 and seconds.max() < 2**33:
            return (seconds * 10**9 + ns).view("datetime64[ns]")
    return [_moment(one) if type(one) is Ext else one for one in raw]


def _moment(ext: Ext) -> Any:
    data = bytes(ext.data)
    size = len(data) if ext.code == _TIMESTAMP else 0
    ns, seconds = 10**9, 0
    if size == 4:
        ns, seconds = 0, int.from_bytes(data)
    elif size == 8:
        packed = int.from_bytes(data)
        ns, seconds = packed >> 34, packed & (2**34 - 1)
    elif size == 12:
        ns, seconds = int.from_bytes(data[:4]), int.from_bytes(data[4:], signed=True)
    if ns >= 10**9:
        return f"extension {ext.code} with {data.hex()}"
    whole = seconds * 10**9 + ns
    return np.datetime64(whole, "ns") if abs(whole) < 2**63 else np.datetime64(seconds, "s")
