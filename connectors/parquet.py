"""Parquet: readings from the rows of a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from streamflow_connectors.files import File

from streamflow import Messages, Position, Reader, Schema
from streamflow.errors import ConnectorError, EndOfStream, FlowError

if TYPE_CHECKING:
    from streamflow import Arrow


@dataclass(frozen=True)
class ParquetFile(File):
    """Readings from a Parquet file, a row each; needs pyarrow.

    Parameters
    ----------
    path
        The file. Its times are timestamps of any unit and zone, or what a message may hold.
    speed
        "max", or a multiple of real time, by the event times: "1x", "60x".
    fields
        What the file does not say of its readings: the flow's name for the device or a tag -> a
        word, the same for all.

    Examples
    --------
    >>> from pathlib import Path
    >>> ParquetFile(Path("machines.parquet")).step
    'parquet'
    """

    kind: ClassVar[str] = "parquet"

    @property
    def format(self) -> Arrow:
        """Rows of Arrow tables."""
        from streamflow import Arrow

        return Arrow()

    def check(self, schema: Schema) -> None:
        """Raise FlowError unless it is Parquet with every field of the flow."""
        super().check(schema)
        try:
            from pyarrow import ArrowException, parquet
        except ImportError:
            raise FlowError(
                f'{self.place} needs pyarrow: pip install "streamflow-iot[parquet]"'
            ) from None
        if not self.path.stat().st_size:
            raise FlowError(f"{self.place} is empty: there is nothing to replay")
        try:
            with parquet.ParquetFile(self.path) as file:
                rows, columns = file.metadata.num_rows, file.schema_arrow
        except (ArrowException, OSError) as error:
            raise FlowError(
                f"{self.place} is not Parquet, or is damaged: {_first_line(error)}"
            ) from None
        if not rows:
            raise FlowError(f"{self.place} is empty: there is nothing to replay")
        self.format.check_columns(columns, schema, self.place, told=self.fields)

    def open(self, partition: str, position: Position) -> Reader:
        """Behind the first `position` rows."""
        return _RowReader(self, position or 0)


class _RowReader(Reader):
    def __init__(self, source: ParquetFile, position: int) -> None:
        from pyarrow import parquet

        self._source, self._next = source, position
        self._file = parquet.ParquetFile(source.path)
        self._tables = self._behind(position)
        self._table: Any = None

    def _behind(self, skip: int) -> Iterator[Any]:
        groups = list(range(self._file.num_row_groups))
        while groups and skip >= (rows := self._file.metadata.row_group(groups[0]).num_rows):
            skip -= rows
            del groups[0]
        for group in groups:
            for table in self._file.iter_batches(row_groups=[group]):
                yield table.slice(min(skip, table.num_rows))
                skip = max(skip - table.num_rows, 0)

    def poll(self, limit: int) -> Messages:
        while not self._table:
            try:
                self._table = next(self._tables)
            except StopIteration:
                raise EndOfStream(f"{self._source.path} has been read") from None
            except OSError as error:
                place = f"{self._source.place} cannot be read behind row {self._next:,}"
                raise ConnectorError(f"{place}: {_first_line(error)}") from error
        table, self._table = self._table.slice(0, limit), self._table.slice(limit)
        first, self._next = self._next + 1, self._next + table.num_rows
        got = self._source.format.messages(table, range(first, self._next + 1))
        fields = {name: [word] * len(got.payloads) for name, word in self._source.fields.items()}
        return replace(got, fields=fields) if fields else got

    def position(self) -> int:
        return self._next

    def progress(self) -> float:
        return self._next / int(self._file.metadata.num_rows)

    def close(self) -> None:
        self._file.close()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(": ")
