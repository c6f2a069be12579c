"""CSV: one line per message; the header line comes with the messages."""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from streamflow.core.connect import Decoded, Messages, Trouble
from streamflow.core.schema import Schema
from streamflow.errors import FlowError, suggest
from streamflow.formats.columns import EMPTY, Columns

_BOM = "\ufeff"


@dataclass(frozen=True)
class Csv:
    """Lines of comma-separated values, a reading each, under a header with the flow's field names.

    Parameters
    ----------
    delimiter
        What separates the fields.

    Examples
    --------
    >>> from streamflow import Messages, Schema, Sensor
    >>> schema = Schema("machine", "timestamp", {"bar": Sensor()})
    >>> messages = Messages([b"pump-1,0,4.1"], places=[2], header=b"machine,timestamp,bar")
    >>> Csv().decoder(schema).decode(messages, dead=print).batch["bar"].tolist()
    [4.1]
    """

    delimiter: str = ","

    def decoder(self, schema: Schema) -> CsvDecoder:
        """A decoder for one partition."""
        return CsvDecoder(schema, self.delimiter)

    def header(self, line: bytes) -> list[str]:
        """The names in a header line.

        >>> Csv().header(b"machine, temperature")
        ['machine', 'temperature']
        """
        text = line.decode("utf-8", "replace").removeprefix(_BOM).rstrip("\r\n")
        try:
            return [name.strip() for name in self.split(text)]
        except ValueError:
            return [text]

    def split(self, text: str) -> list[str]:
        """The fields of a line; ValueError if its quotes make no sense.

        >>> Csv().split('pump-1,"hall 2, north"')
        ['pump-1', 'hall 2, north']
        """
        if '"' not in text:
            return text.split(self.delimiter)
        try:
            return next(csv.reader([text], delimiter=self.delimiter, strict=True), [])
        except csv.Error as error:
            raise ValueError(f"not CSV: {error}") from None

    def check_header(
        self, line: bytes, schema: Schema, place: str, told: Collection[str] = ()
    ) -> None:
        """Raise FlowError unless the header has every field of the flow that is not told."""
        names = self.header(line)
        lacking = self.lacking({*names, *told}, schema)
        if lacking is not None:
            known = suggest(lacking, names)
            raise FlowError(f"{place}: no column {lacking!r} in the header; {known}")
        for name in schema.fields:
            if names.count(name) > 1:
                raise FlowError(f"{place}: two columns are called {name!r}")

    def lacking(self, header: Collection[str], schema: Schema) -> str | None:
        """A field of the flow that is in the header under none of its names."""
        known = set(header)
        for name in (schema.device, schema.time, *schema.sensors, *schema.tags):
            other = schema.sensors[name].names if name in schema.sensors else ()
            if known.isdisjoint((name, *other)):
                return name
        return None


class CsvDecoder:
    """Decodes each line on its own."""

    def __init__(self, schema: Schema, delimiter: str) -> None:
        self._format = Csv(delimiter)
        self._columns = Columns(schema)
        self._schema = schema

    def decode(self, messages: Messages, dead: Trouble) -> Decoded:
        """All readings of the messages, in order."""
        header = self._format.header(messages.header)
        lacking = self._format.lacking({*header, *messages.fields}, self._schema)
        lines: list[list[str]] = []
        rows: list[int] = []
        for i, payload in enumerate(messages.payloads):
            if lacking is not None:
                dead(i, f"no column {lacking!r} in the header; {suggest(lacking, header)}")
                continue
            if not payload:
                dead(i, EMPTY)
                continue
            try:
                text = payload.decode("utf-8")
            except UnicodeDecodeError as error:
                dead(i, f"not UTF-8: {error.reason}", error.start)
                continue
            try:
                values = self._format.split(text)
            except ValueError as error:
                dead(i, str(error))
                continue
            if len(values) != len(header):
                dead(i, f"{len(values)} fields where the header has {len(header)}")
                continue
            lines.append(values)
            rows.append(i)
        columns = list(zip(*lines, strict=True)) if lines else [()] * len(header)
        fields = dict(zip(header, columns, strict=True))
        return self._columns.build(fields, np.array(rows, np.intp), messages, dead)
