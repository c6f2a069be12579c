"""Files: CSV, JSON lines and Parquet as sources; CSV, JSON lines and the console as sinks.

`files.csv("machines.csv")` is a source, `files.csv("rows.csv", of="rows")` a sink: a sink says
what it takes.
"""

from __future__ import annotations

import csv as csv_lines
import gzip
import io
import logging
import os
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, overload

import orjson
from streamflow_connectors._flat import Items, flat
from streamflow_connectors._lines import CHUNK, DAMAGED, LineReader

from streamflow import (
    Batch,
    Csv,
    Json,
    Outlet,
    Position,
    Reader,
    Schema,
    Sink,
    Source,
    Writer,
)
from streamflow.errors import ConnectorError, FlowError

if TYPE_CHECKING:
    from streamflow_connectors.parquet import ParquetFile

_LOG = logging.getLogger("streamflow.files")
_SPEED = re.compile(r"(\d+(?:\.\d+)?)x")


@overload
def csv(
    path: str | Path,
    *,
    follow: bool = False,
    speed: str = "max",
    delimiter: str = ",",
    fields: Mapping[str, str] = ...,
    name: str = "",
) -> CsvFile: ...
@overload
def csv(path: str | Path, *, of: Outlet, where: str | None = None, name: str = "") -> CsvSink: ...
def csv(path: str | Path, **options: Any) -> CsvFile | CsvSink:
    """A CSV file: a source, or a sink if it says `of=`. See `CsvFile` and `CsvSink`."""
    return (CsvSink if "of" in options else CsvFile)(Path(path), **options)


@overload
def jsonl(
    path: str | Path,
    *,
    follow: bool = False,
    speed: str = "max",
    format: Json = ...,
    fields: Mapping[str, str] = ...,
    name: str = "",
) -> JsonlFile: ...
@overload
def jsonl(
    path: str | Path, *, of: Outlet, where: str | None = None, name: str = ""
) -> JsonlSink: ...
def jsonl(path: str | Path, **options: Any) -> JsonlFile | JsonlSink:
    """JSON objects, one a line: a source, or a sink with `of=`. See `JsonlFile`, `JsonlSink`."""
    return (JsonlSink if "of" in options else JsonlFile)(Path(path), **options)


def parquet(path: str | Path, **options: Any) -> ParquetFile:
    """A Parquet file as a source. See `streamflow_connectors.parquet.ParquetFile`."""
    from streamflow_connectors.parquet import ParquetFile

    return ParquetFile(Path(path), **options)


def console(of: Outlet = "rows", *, where: str | None = None, name: str = "") -> Console:
    """The console as a sink. See `Console`."""
    return Console(of=of, where=where, name=name)


def source(path: Path) -> Source:
    r"""The source for a file, by its ending; FlowError if it tells nothing.

    >>> source(Path("machines.tsv.gz")).format
    Csv(delimiter='\t')
    """
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    if ending in (".csv", ".tsv"):
        return csv(path, delimiter="\t" if ending == ".tsv" else ",")
    if ending in (".jsonl", ".ndjson", ".json"):
        return jsonl(path)
    if path.suffix.lower() == ".parquet":
        return parquet(path)
    raise FlowError(
        f"{path}: its ending does not say what it is; known are .csv, .tsv, .jsonl, .ndjson and "
        f".json, each also with .gz behind it, and .parquet"
    )


@dataclass(frozen=True)
class File(Source):
    """What all files share as sources."""

    path: Path
    speed: str = field(default="max", kw_only=True)
    fields: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    kind: ClassVar[str]

    def __post_init__(self) -> None:
        if self.speed != "max" and not self.pace > 0:
            raise FlowError(
                f'{self.place}: speed={self.speed!r}; write "max", "1x" for real time, "60x"'
            )

    @property
    def step(self) -> str:
        """The step's name."""
        return self.name or self.kind

    @property
    def pace(self) -> float:
        """The number in `speed`."""
        factor = _SPEED.fullmatch(self.speed)
        return inf if self.speed == "max" else float(factor[1]) if factor else 0.0

    @property
    def place(self) -> str:
        """How an error names it."""
        return f"source {self.step!r}: {self.path}"

    def check(self, schema: Schema) -> None:
        """Raise FlowError unless it is a file that can be read."""
        path = self.path
        try:
            if path.is_dir():
                raise FlowError(f"{self.place} is a folder; name a file")
            path.open("rb").close()
        except (FileNotFoundError, NotADirectoryError):
            raise FlowError(f"{self.place}: {_missing(path)}") from None
        except OSError as error:
            raise FlowError(f"{self.place} cannot be read: {error.strerror}") from None


def _missing(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    names = os.listdir(path.parent) if os.access(path.parent, os.R_OK) else []
    close = get_close_matches(path.name, names, 3)
    return "no such file" + (f"; did you mean {' or '.join(close)}?" if close else "")


@dataclass(frozen=True)
class TextFile(File):
    """What all text files share as sources."""

    follow: bool = field(default=False, kw_only=True)
    headed: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.follow and self.zipped:
            raise FlowError(f"{self.place} cannot be followed: it is compressed")
        if self.follow and self.speed != "max":
            raise FlowError(f"{self.place} is followed, so it has no speed= but its own")

    @property
    def zipped(self) -> bool:
        """Whether it is compressed."""
        return self.path.suffix.lower() == ".gz"

    def check(self, schema: Schema) -> None:
        """Raise FlowError unless it is text; a followed file may be empty or yet to come."""
        if self.follow and os.path.isdir(self.path.parent) and not os.path.exists(self.path):
            return
        super().check(schema)
        try:
            with gzip.open(self.path) if self.zipped else self.path.open("rb") as file:
                top = file.read1(CHUNK)
        except DAMAGED as error:
            raise FlowError(f"{self.place} is not gzip, or is damaged: {error}") from None
        if b"\0" in top:
            raise FlowError(f"{self.place} is not text in UTF-8: it holds zero bytes")
        if top.strip(b"\xef\xbb\xbf \r\n"):
            self.check_top(top, schema)
        elif not self.follow:
            raise FlowError(f"{self.place} is empty: there is nothing to replay")

    @abstractmethod
    def check_top(self, top: bytes, schema: Schema) -> None:
        """Raise FlowError for what the first lines show."""

    def open(self, partition: str, position: Position) -> Reader:
        """From `position`: the offset in bytes of the (uncompressed) text, and the line number."""
        return LineReader(self, partition, position)


@dataclass(frozen=True)
class CsvFile(TextFile):
    """Readings from a CSV file, plain or gzip: a header line, then a line each.

    Parameters
    ----------
    path
        The file; ".gz" at its end means gzip.
    follow
        Stay at its end and take every line that is added, once it is complete. A file that is cut
        or replaced is read from its top, with a warning. While the flow is down the file may
        grow, but must not be replaced by a longer one.
    speed
        "max", or a multiple of real time, by the event times: "1x", "60x".
    delimiter
        What separates the fields: one character.
    fields
        What the file does not say of its readings, the same for all: the flow's name for the
        device or a tag -> a word, as in {"machine": "press-1"}.

    Examples
    --------
    >>> CsvFile(Path("machines.csv"), speed="60x").pace
    60.0
    """

    delimiter: str = field(default=",", kw_only=True)
    kind: ClassVar[str] = "csv"
    headed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            raise FlowError(f"{self.place}: delimiter={self.delimiter!r} must be one character")

    @property
    def format(self) -> Csv:
        """Lines of CSV."""
        return Csv(self.delimiter)

    def check_top(self, top: bytes, schema: Schema) -> None:
        """Raise FlowError if the header lacks a field; one that is not complete may be followed."""
        header, newline, _ = top.partition(b"\n")
        if not newline and len(top) == CHUNK:
            raise FlowError(f"{self.place}: its first line is longer than {CHUNK:,} bytes")
        if newline or not self.follow:
            self.format.check_header(header, schema, self.place, told=self.fields)


@dataclass(frozen=True)
class JsonlFile(TextFile):
    """Readings from a file of JSON objects, one a line, plain or gzip.

    Parameters
    ----------
    path, follow, speed, fields
        As for `CsvFile`.
    format
        Where in an object the fields stand.

    Examples
    --------
    >>> JsonlFile(Path("machines.jsonl"), format=Json(paths={"bar": "data.bar"})).step
    'jsonl'
    """

    format: Json = field(default=Json(), kw_only=True)
    kind: ClassVar[str] = "jsonl"

    def check_top(self, top: bytes, schema: Schema) -> None:
        """Raise FlowError for JSON that is not in lines."""
        array = top.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
        if array and self.format.readings != ".":
            raise FlowError(f"{self.place} is a JSON array; write one object per line")


@dataclass(frozen=True)
class _FileSink(Sink):
    path: Path
    kind: ClassVar[str]

    @property
    def step(self) -> str:
        """The step's name."""
        return self.name or f"{self.kind}_{self.of}"

    @property
    def promise(self) -> str:
        """A restart cuts the file back to its snapshot: no line twice, none torn."""
        return "once"

    def check(self, schema: Schema) -> None:
        """Raise FlowError unless the file can be written."""
        place, folder = f"sink {self.step!r}: {self.path}", self.path.parent
        if os.path.isdir(self.path):
            raise FlowError(f"{place} is a folder; name a file")
        if os.path.isfile(folder):
            raise FlowError(f"{place} cannot be written: {folder} is a file, not a folder")
        if not os.path.isdir(folder):
            raise FlowError(f"{place} cannot be written: there is no folder {folder}")
        if not os.access(self.path if os.path.exists(self.path) else folder, os.W_OK):
            raise FlowError(f"{place} cannot be written: permission denied")


@dataclass(frozen=True)
class JsonlSink(_FileSink):
    """Writes JSON objects, one a line; times in ISO 8601, UTC; what is not finite is null.

    A fresh run replaces the file. One that resumes cuts it back to what was durable, and goes on.

    Parameters
    ----------
    path
        The file.

    Examples
    --------
    >>> JsonlSink(Path("alerts.jsonl"), of="alerts").step
    'jsonl_alerts'
    """

    kind: ClassVar[str] = "jsonl"

    def open(self, resume: Position) -> Writer:
        """Behind the offset `resume`."""
        return _JsonlWriter(self, resume)


@dataclass(frozen=True)
class CsvSink(_FileSink):
    """Writes CSV; a fresh run replaces the file, as for `JsonlSink`.

    Rows have the columns device, time, the tags and the columns. Events and rejected readings
    differ in their fields: what has no column of its own is JSON in the last one, `fields`.

    Parameters
    ----------
    path
        The file.

    Examples
    --------
    >>> CsvSink(Path("rows.csv"), where="score > 0.5").step
    'csv_rows'
    """

    kind: ClassVar[str] = "csv"

    def open(self, resume: Position) -> Writer:
        """Behind the offset `resume`."""
        return _CsvWriter(self, resume)


class _FileWriter(Writer):
    def __init__(self, sink: _FileSink, resume: Position) -> None:
        self._sink = sink
        with _writing(sink):
            kept = resume is not None and sink.path.exists()
            self._file = sink.path.open("r+b" if kept else "wb")
            size = self._file.seek(0, os.SEEK_END)
            if size < (resume or 0):
                _LOG.warning("%s has lost lines; it goes on behind the others", sink.path)
            self._durable = self._file.seek(min(size, resume or 0))
            if kept:
                self._file.truncate()

    def _append(self, data: bytes) -> None:
        with _writing(self._sink):
            self._file.write(data)
            self._file.flush()

    def snapshot(self) -> int:
        end = self._file.tell()
        if end != self._durable:
            with _writing(self._sink):
                os.fsync(self._file.fileno())
            self._durable = end
        return end

    def close(self) -> None:
        self.snapshot()
        self._file.close()


@contextmanager
def _writing(sink: _FileSink) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = f"sink {sink.step!r}: {sink.path}"
        raise ConnectorError(f"{place} cannot be written: {error.strerror}") from error


class _JsonlWriter(_FileWriter):
    def write(self, items: Items) -> None:
        newline = orjson.OPT_APPEND_NEWLINE
        self._append(b"".join([orjson.dumps(row, option=newline) for row in flat(items)]))


_EVENT = ["id", "kind", "step", "device", "time", "fields"]
_COLUMNS: Mapping[Outlet, list[str]] = {
    "alerts": _EVENT,
    "events": _EVENT,
    "rejected": ["step", "reason", "device", "time", "fields"],
    "dead_letters": ["source", "partition", "place", "byte", "reason", "payload"],
}


class _CsvWriter(_FileWriter):
    def __init__(self, sink: CsvSink, resume: Position) -> None:
        super().__init__(sink, resume)
        with sink.path.open(encoding="utf-8", newline="") as file:
            self._header = next(csv_lines.reader(file), None)

    def write(self, items: Items) -> None:
        if isinstance(items, Batch) and self._sink.of == "rows":
            header = ["device", "time", *items.tags, *items.columns]
        else:
            header = _COLUMNS[self._sink.of]
        text = io.StringIO()
        writer = csv_lines.writer(text, lineterminator="\n")
        if self._header is None:
            writer.writerow(header)
        elif self._header != header:
            raise ConnectorError(
                f"sink {self._sink.step!r}: {self._sink.path} has the columns "
                f"{', '.join(self._header)}; now it is to have {', '.join(header)}"
            )
        self._header = header
        for row in flat(items):
            if header[-1] == "fields":
                other = {name: value for name, value in row.items() if name not in header}
                row = {**row, "fields": orjson.dumps(other).decode()}
            writer.writerow([row.get(name) for name in header])
        self._append(text.getvalue().encode())


@dataclass(frozen=True)
class Console(Sink):
    """Prints one line for each item.

    Examples
    --------
    >>> Console(of="alerts").step
    'console_alerts'
    """

    def open(self, resume: Position) -> Writer:
        """There is nothing to resume."""
        return _ConsoleWriter()


class _ConsoleWriter(Writer):
    def write(self, items: Items) -> None:
        print("".join([_sentence(row) for row in flat(items)]), end="", flush=True)


def _sentence(row: Mapping[str, Any]) -> str:
    lead = [name for name in ("time", "device", "kind") if name in row]
    rest = [name for name in row if name not in lead and row[name] is not None]
    words = [_word(row[name]) for name in lead] + [f"{name}={_word(row[name])}" for name in rest]
    return " ".join(words) + "\n"


def _word(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if text.isprintable() else repr(text)
