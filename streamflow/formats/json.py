"""JSON: one object per message, `{"machine": "pump-1", "timestamp": "...", "bar": 4.1}`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from streamflow.core.batch import Batch
from streamflow.core.connect import Messages, Trouble
from streamflow.core.schema import Schema
from streamflow.formats.columns import Columns

_BYTE = re.compile(r"byte (\d+)")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Json:
    """JSON objects, a reading each; the flow names the fields for device, time, sensors, tags."""

    def decoder(self, schema: Schema) -> JsonDecoder:
        """A decoder for one partition."""
        return JsonDecoder(schema)


class JsonDecoder:
    """Decodes each message on its own: a malformed one harms no other."""

    def __init__(self, schema: Schema) -> None:
        self._columns = Columns(schema)
        self._names = [schema.device, schema.time, *schema.sensors, *schema.tags]
        self._decode = msgspec.json.Decoder().decode

    def decode(self, messages: Messages, dead: Trouble) -> Batch:
        """All readings of the messages, in order."""
        objects: list[dict[str, Any]] = []
        rows: list[int] = []
        decode = self._decode
        for i, payload in enumerate(messages.payloads):
            try:
                thing = decode(payload)
            except (msgspec.DecodeError, UnicodeDecodeError):
                thing = self._again(i, payload, dead)
                if thing is None:
                    continue
            if isinstance(thing, dict):
                objects.append(thing)
                rows.append(i)
            else:
                dead(i, f"it is a JSON {_kind(thing)}, not an object", 0)
        fields = {name: [thing.get(name) for thing in objects] for name in self._names}
        return self._columns.build(fields, rows, dead, messages.arrived)

    def _again(self, i: int, payload: bytes, dead: Trouble) -> Any:
        try:
            return self._decode(payload.removeprefix(_BOM))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            place = _BYTE.search(str(error))
            start = getattr(error, "start", None)
            dead(i, f"not JSON: {error}", int(place[1]) if place else start)
            return None


def _kind(thing: Any) -> str:
    names = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(thing), "number")
