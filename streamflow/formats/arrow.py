"""Arrow: rows of a columnar table, each a message; read column by column, never row by row."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from pyarrow import types

from streamflow.core.batch import Words
from streamflow.core.connect import Decoded, Messages, Trouble
from streamflow.core.schema import Schema
from streamflow.errors import FlowError, suggest
from streamflow.formats.columns import Columns


@dataclass(frozen=True)
class Arrow:
    """Rows of `pyarrow.RecordBatch`es, a reading each; columns have the flow's field names.

    Times are timestamps of any unit and zone, dates, or what a JSON message may hold.
    """

    def decoder(self, schema: Schema) -> ArrowDecoder:
        """A decoder for one partition."""
        return ArrowDecoder(schema)

    def messages(self, table: Any, places: Sequence[int]) -> Messages:
        """The rows of a record batch as messages."""
        rows: Any = _Rows(table)
        return Messages(rows, places)

    def check_columns(
        self, columns: Any, schema: Schema, place: str, told: Collection[str] = ()
    ) -> None:
        """Raise FlowError unless the `pyarrow.Schema` has every field, of a kind that can serve.

        What is told otherwise need not be there.
        """
        wanted = dict.fromkeys((schema.device, *schema.tags), ("string", _is_word))
        wanted[schema.time] = ("time", _is_time)
        wanted |= dict.fromkeys(schema.numeric, ("number", _is_number))
        for sensor, known in schema.sensors.items():
            here = [name for name in (sensor, *known.names) if name in columns.names]
            for name in (sensor, *known.names):
                if here and name not in here:
                    del wanted[name]
        for name, (what, fits) in wanted.items():
            if name in told and name not in columns.names:
                continue
            if columns.names.count(name) != 1:
                many = f"two columns are called {name!r}"
                none = f"no column {name!r}; {suggest(name, columns.names)}"
                raise FlowError(f"{place}: {many if name in columns.names else none}")
            kind = columns.field(name).type
            plain = kind.value_type if types.is_dictionary(kind) else kind
            if not (fits(plain) or types.is_null(plain)):
                raise FlowError(f"{place}: column {name!r} holds {kind}, which is no {what}")


class _Rows:
    """The rows of a record batch; as bytes, for a dead letter, each is a JSON object."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, i: int) -> bytes:
        row = {}
        for name, column in zip(self.table.schema.names, self.table.columns, strict=True):
            value = column[i]
            # As text: Python's times have no nanoseconds.
            timely = types.is_temporal(value.type)
            row[name] = (value.cast(pa.string()) if timely else value).as_py()
        return orjson.dumps(row, default=str)


class ArrowDecoder:
    """Decodes the columns of a record batch."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._columns = Columns(schema)

    def decode(self, messages: Messages, dead: Trouble) -> Decoded:
        """All readings of the rows, in order."""
        rows: Any = messages.payloads
        table, schema = rows.table, self._schema
        fields: dict[str, Any] = {}
        for name in (schema.device, *schema.tags):
            if name in messages.fields and name not in table.schema.names:
                continue
            fields[name] = _words(_plain(table.column(name)))
        fields[schema.time] = self._times(_plain(table.column(schema.time)))
        for name in (name for name in schema.numeric if name in table.schema.names):
            fields[name] = _values(_plain(table.column(name)))
        return self._columns.build(fields, np.arange(len(rows)), messages, dead)

    def _times(self, column: Any) -> Any:
        kind = column.type
        if not types.is_timestamp(kind) and not types.is_date(kind):
            return column.to_pylist()
        local = types.is_date(kind) or kind.tz is None
        if local and self._schema.timezone != "UTC":
            return column.cast(pa.string()).to_pylist()
        return column.to_numpy(zero_copy_only=False)


def _plain(column: Any) -> Any:
    return column.dictionary_decode() if types.is_dictionary(column.type) else column


def _words(column: Any) -> Words | list[Any]:
    try:
        known = column.cast(pa.string()).dictionary_encode()
    except pa.ArrowInvalid:  # bytes that are not UTF-8
        return list(column.to_pylist())
    codes = known.indices.fill_null(-1).to_numpy().astype(np.int32)
    vocabulary = known.dictionary.to_pylist()
    if "" in vocabulary:
        codes[codes == vocabulary.index("")] = -1
    return Words(codes, vocabulary)


def _values(column: Any) -> Any:
    if _is_text(column.type):
        return column.to_pylist()
    return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _is_text(kind: Any) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_word(kind: Any) -> bool:
    return bool(_is_text(kind) or types.is_integer(kind) or types.is_binary(kind))


def _is_time(kind: Any) -> bool:
    numeric = types.is_integer(kind) or types.is_floating(kind)
    return bool(_is_text(kind) or numeric or types.is_timestamp(kind) or types.is_date(kind))


def _is_number(kind: Any) -> bool:
    numeric = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    return bool(_is_text(kind) or numeric or types.is_boolean(kind))
