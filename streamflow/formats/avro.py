"""Avro: a record in a message, alone or behind the id of its schema, as Confluent's tools write."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from streamflow.core.connect import Decoded, Messages, Trouble
from streamflow.core.schema import Schema
from streamflow.errors import FlowError
from streamflow.formats.columns import EMPTY, Columns
from streamflow.formats.objects import Objects
from streamflow.formats.registry import Login, Registry, UnknownSchemaError

_MAGIC = 0
_HEAD = 5
_NOT_AVRO = (
    EOFError,
    IndexError,
    KeyError,
    ValueError,
    TypeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
    struct.error,
)


@dataclass(frozen=True)
class Avro:
    """Avro records, a reading each; needs `pip install 'streamflow-iot[avro]'`.

    Parameters
    ----------
    schema
        What all messages are written with: a schema as a dict, or the file that holds it. A
        message is then the record and nothing else.
    registry
        The URL of a schema registry. A message then begins with a byte 0 and the id of its schema,
        four bytes, as Kafka clients with a registry write it; each schema is fetched once.
    user, password_env
        For a registry with a login: the name, and the environment variable of the password.
    paths, readings
        As for `Json`.

    Examples
    --------
    >>> Avro(registry="http://127.0.0.1:8081", paths={"bar": "data.bar"}).registry
    'http://127.0.0.1:8081'
    """

    schema: str | Path | Mapping[str, Any] | None = None
    registry: str = field(default="", kw_only=True)
    user: str = field(default="", kw_only=True)
    password_env: str = field(default="", kw_only=True)
    paths: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    readings: str = field(default="", kw_only=True)

    def decoder(self, schema: Schema) -> AvroDecoder:
        """A decoder for one partition; FlowError for what is wrong without the registry."""
        if not find_spec("fastavro"):
            raise FlowError("Avro: fastavro is missing: pip install 'streamflow-iot[avro]'")
        if (self.schema is None) == (not self.registry):
            raise FlowError("Avro: give a schema, or registry= with the URL of a schema registry")
        objects = Objects(schema, self.paths, self.readings, "an Avro")
        if self.schema is not None:
            return AvroDecoder(schema, objects, parsed(self.schema), None)
        return AvroDecoder(schema, objects, None, self._asked())

    def probe(self, subject: str) -> str:
        """Ask the registry for a subject; with "" whether it answers. "" if there is no registry.

        ConnectorError says what failed.
        """
        return self._asked().describe(subject) if self.registry else ""

    def _asked(self) -> Registry:
        return Registry(Login(self.registry, self.user, self.password_env))


def parsed(schema: str | Path | Mapping[str, Any]) -> Any:
    """A schema as fastavro wants it; FlowError if it is none."""
    import fastavro

    place = "Avro: schema=" if isinstance(schema, Mapping) else f"Avro: {schema}"
    try:
        given: Any = schema
        if not isinstance(schema, Mapping):
            given = json.loads(Path(schema).read_text(encoding="utf-8"))
        return fastavro.parse_schema(given)
    except OSError as error:
        raise FlowError(f"{place} cannot be read: {error.strerror}") from None
    except (fastavro.schema.SchemaParseException, ValueError, TypeError, KeyError) as error:
        raise FlowError(f"{place} is no schema of Avro: {error}") from None


class AvroDecoder:
    """Decodes each message on its own."""

    def __init__(
        self, schema: Schema, objects: Objects, own: Any, registry: Registry | None
    ) -> None:
        from fastavro import schemaless_reader

        self._read = schemaless_reader
        self._columns, self._objects = Columns(schema), objects
        self._own, self._registry = own, registry

    def decode(self, messages: Messages, dead: Trouble) -> Decoded:
        """All readings of the messages, in order. NotConnected: the registry is away."""
        things: list[Any] = []
        rows: list[int] = []
        for i, payload in enumerate(messages.payloads):
            thing = self._one(i, payload, dead)
            if thing is not None:
                things.append(thing)
                rows.append(i)
        fields, of = self._objects.columns(things, np.array(rows, np.intp), dead)
        return self._columns.build(fields, of, messages, dead)

    def _one(self, i: int, payload: bytes, dead: Trouble) -> Any:
        if not payload:
            dead(i, EMPTY)
            return None
        schema, at = self._own, 0
        if self._registry:
            at = _HEAD
            if payload[0] != _MAGIC or len(payload) < _HEAD:
                dead(i, "it does not begin with a byte 0 and the id of a schema", 0)
                return None
            try:
                schema = self._registry.schema(int.from_bytes(payload[1:_HEAD]))
            except UnknownSchemaError as error:
                dead(i, str(error), 1)
                return None
        source = BytesIO(payload)
        source.seek(at)
        try:
            thing: Any = self._read(source, schema, None)
        except _NOT_AVRO as error:
            dead(i, f"not Avro of its schema: {_why(error)}", source.tell())
            return None
        if source.tell() < len(payload):
            more = len(payload) - source.tell()
            dead(i, f"not Avro of its schema: {more} bytes follow its record", source.tell())
            return None
        return self._objects.untyped(thing, lambda reason, byte=at: dead(i, reason, byte))


def _why(error: BaseException) -> str:
    if isinstance(error, EOFError):
        return "it ends too early"
    if isinstance(error, UnicodeDecodeError):
        return f"a string is not UTF-8: {error.reason}"
    if isinstance(error, IndexError):
        return "there is no such branch of a union, or symbol"
    return f"{error}"
