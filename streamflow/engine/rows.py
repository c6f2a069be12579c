"""Rows as a source: readings that are already in memory, for replay and tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamflow.core.batch import Batch
from streamflow.core.connect import Decoded, Messages, Position, Reader, Source, Trouble
from streamflow.core.schema import Schema
from streamflow.errors import EndOfStream
from streamflow.formats.columns import Columns


@dataclass(frozen=True)
class Rows(Source):
    """Dicts with the flow's field names, decoded as if they were messages."""

    rows: Sequence[Mapping[str, Any]] = ()

    @property
    def format(self) -> _Dicts:
        """Dicts need no parsing."""
        return _Dicts()

    def open(self, partition: str, position: Position) -> Reader:
        """From row number `position`."""
        return _RowReader(self.rows, position or 0)


class _RowReader(Reader):
    def __init__(self, rows: Sequence[Mapping[str, Any]], position: int) -> None:
        self._rows, self._next = rows, position

    def poll(self, limit: int) -> Messages:
        if self._next >= len(self._rows):
            raise EndOfStream("all rows have been read")
        first, self._next = self._next, min(self._next + limit, len(self._rows))
        return Messages(_Payloads(self._rows[first : self._next]), range(first, self._next))

    def position(self) -> int:
        return self._next


@dataclass(frozen=True)
class _Payloads(Sequence[bytes]):
    """Dicts; as bytes, for a dead letter, each is a JSON object."""

    rows: Sequence[Mapping[str, Any]]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: Any) -> Any:
        return json.dumps(dict(self.rows[i]), default=str).encode()


@dataclass(frozen=True)
class _Dicts:
    def decoder(self, schema: Schema) -> _DictDecoder:
        return _DictDecoder(schema)


class _DictDecoder:
    def __init__(self, schema: Schema) -> None:
        self._columns = Columns(schema)
        self._names = schema.fields

    def decode(self, messages: Messages, dead: Trouble) -> Decoded:
        payloads: Any = messages.payloads
        rows = payloads.rows
        fields = {name: [row.get(name) for row in rows] for name in self._names}
        return self._columns.build(fields, np.arange(len(rows)), messages, dead)


@dataclass(frozen=True)
class Batches(Source):
    """Batches as they are."""

    batches: Sequence[Batch] = ()

    def open(self, partition: str, position: Position) -> Reader:
        """From batch number `position`."""
        return _BatchReader(self.batches, position or 0)


class _BatchReader(Reader):
    def __init__(self, batches: Sequence[Batch], position: int) -> None:
        self._batches, self._next = batches, position

    def poll(self, limit: int) -> Batch:
        if self._next >= len(self._batches):
            raise EndOfStream("all batches have been read")
        self._next += 1
        return self._batches[self._next - 1]

    def position(self) -> int:
        return self._next
