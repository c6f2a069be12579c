"""JSON: objects in a message, `{"machine": "pump-1", "timestamp": "...", "bar": 4.1}`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from streamflow.core.connect import Decoder
from streamflow.core.schema import Schema
from streamflow.formats.columns import Columns
from streamflow.formats.objects import Objects
from streamflow.formats.typed import TypedDecoder, Wire

_BOM = b"\xef\xbb\xbf"
_ANY = msgspec.json.Decoder()


@dataclass(frozen=True)
class Json:
    """JSON objects, a reading each; the flow names the fields for device, time, sensors, tags.

    Parameters
    ----------
    paths
        Field of the flow -> where it stands in an object: keys with dots between. A field that is
        not named here stands at the top, under its own name.
    readings
        Where a message holds an array of readings: keys with dots between, or "." if the message
        itself is the array. What a reading does not say, such as its device, the object around the
        array says for all of them.
    lines
        Whether a message holds several objects, one a line (NDJSON).

    Examples
    --------
    >>> from streamflow import Messages, Schema, Sensor
    >>> schema = Schema("machine", "timestamp", {"bar": Sensor()})
    >>> messages = Messages([b'{"machine": "pump-1", "timestamp": 0, "bar": 4.1}'], places=[1])
    >>> Json().decoder(schema).decode(messages, dead=print).batch["bar"].tolist()
    [4.1]
    >>> nested = b'{"machine": "p", "sent": [{"timestamp": 0, "v": {"bar": 4.1}}]}'
    >>> several = Json(paths={"bar": "v.bar"}, readings="sent").decoder(schema)
    >>> several.decode(Messages([nested], places=[1]), dead=print).batch["bar"].tolist()
    [4.1]
    """

    paths: Mapping[str, str] = field(default_factory=dict)
    readings: str = ""
    lines: bool = False

    def decoder(self, schema: Schema) -> Decoder:
        """A decoder for one partition; FlowError if a path makes no sense."""
        objects, columns = Objects(schema, self.paths, self.readings, "a JSON"), Columns(schema)
        wire = Wire("JSON", msgspec.json.Decoder, _untyped)
        typed = TypedDecoder(columns, objects, wire, self.lines)
        if self.readings or self.lines:
            return typed
        from streamflow.formats.scan.flat import scan  # Numba takes a while to import
        from streamflow.formats.scan.scanner import Scanner
        from streamflow.formats.scan.words import WORKS

        return Scanner(columns, objects.paths, typed, scan, b'"') if WORKS else typed


def _untyped(payload: bytes) -> Any:
    if payload.startswith(_BOM):
        payload = b"   " + payload[3:]  # so that places still count from the message's start
    payload.decode()
    return _ANY.decode(payload)
