"""Files: CSV, JSON lines and Parquet as sources; CSV, JSON lines and the console as sinks.

`files.csv("machines.csv")` is a source, `files.csv("rows.csv", of="rows")` a sink: a sink says
what it takes.
"""

from __future__ import annotations

import csv as csv_module
import gzip
import io
import logging
import os
import re
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any, ClassVar, overload

import orjson

from streamflow import (
    Batch,
    Csv,
    DeadLetter,
    Event,
    Json,
    Messages,
    Outlet,
    Position,
    Reader,
    Schema,
    Sink,
    Source,
    SystemClock,
    Writer,
    iso,
    records,
)
from streamflow.errors import ConnectorError, EndOfStream, FlowError

MAX_LINE = 1 << 20
"""Bytes of the longest line that is read as a message."""
CHUNK = MAX_LINE
"""Bytes read at once; not above `MAX_LINE`, so that only a line across two chunks is too long."""
KEPT = 1024
"""Bytes that a dead letter keeps of a line that is too long."""
IDLE = 0.05
"""Seconds between two looks at a followed file that has not grown."""

_SPEED = re.compile(r"(\d+(?:\.\d+)?)x")
_LOG = logging.getLogger("streamflow.files")


@overload
def csv(
    path: str | Path,
    *,
    follow: bool = False,
    speed: str = "max",
    delimiter: str = ",",
    name: str = "",
) -> CsvFile: ...
@overload
def csv(
    path: str | Path, *, of: Outlet, where: str | None = None, name: str = ""
) -> CsvSink: ...
def csv(path: str | Path, **options: Any) -> CsvFile | CsvSink:
    """A CSV file: a source, or with `of=` a sink. See `CsvFile` and `CsvSink`."""
    return CsvSink(Path(path), **options) if "of" in options else CsvFile(Path(path), **options)


@overload
def jsonl(
    path: str | Path, *, follow: bool = False, speed: str = "max", name: str = ""
) -> JsonlFile: ...
@overload
def jsonl(
    path: str | Path, *, of: Outlet, where: str | None = None, name: str = ""
) -> JsonlSink: ...
def jsonl(path: str | Path, **options: Any) -> JsonlFile | JsonlSink:
    """A file of JSON objects, one a line: a source, or with `of=` a sink. See `JsonlFile`, `JsonlSink`."""
    return JsonlSink(Path(path), **options) if "of" in options else JsonlFile(Path(path), **options)


def parquet(path: str | Path, *, speed: str = "max", name: str = "") -> ParquetFile:
    """A Parquet file as a source. See `ParquetFile`."""
    return ParquetFile(Path(path), speed=speed, name=name)


def console(of: Outlet = "rows", *, where: str | None = None, name: str = "") -> Console:
    """The console as a sink. See `Console`."""
    return Console(of=of, where=where, name=name)


def source(path: Path) -> Source:
    """The source for a file, by its ending.

    >>> source(Path("machines.tsv")).format
    Csv(delimiter='\\t')
    """
    name = path.name.lower()
    plain = name.removesuffix(".gz")
    if plain.endswith((".csv", ".tsv")):
        return csv(path, delimiter="\t" if plain.endswith(".tsv") else ",")
    if plain.endswith((".jsonl", ".ndjson", ".json")):
        return jsonl(path)
    if name.endswith(".parquet"):
        return parquet(path)
    raise FlowError(
        f"{path}: which kind of file is it? Known endings: .csv, .tsv, .jsonl, .ndjson, .json, "
        f"each also with .gz, and .parquet"
    )


@dataclass(frozen=True)
class _File(Source):
    path: Path
    speed: str = field(default="max", kw_only=True)
    kind: ClassVar[str]

    def __post_init__(self) -> None:
        if self.speed != "max" and not self.pace > 0:
            raise FlowError(f'{self._place}: speed={self.speed!r}; write "max", "1x" or "60x"')

    @property
    def step(self) -> str:
        """The step's name."""
        return self.name or self.kind

    @property
    def pace(self) -> float:
        """The factor in `speed`."""
        factor = _SPEED.fullmatch(self.speed)
        return inf if self.speed == "max" else float(factor[1]) if factor else 0.0

    @property
    def _place(self) -> str:
        return f"source {self.step!r}: {self.path}"

    def check(self, schema: Schema) -> None:
        """Raise FlowError unless it is a file that can be read and holds something."""
        path = self.path
        try:
            if path.is_dir():
                raise FlowError(f"{self._place} is a folder; name a file")
            if not path.exists():
                raise FlowError(f"source {self.step!r}: {_missing(path)}")
            with path.open("rb") as file:
                if not file.read(1):
                    raise FlowError(f"{self._place} is empty: there is nothing to replay")
        except OSError as error:
            raise FlowError(f"{self._place} cannot be read: {error.strerror}") from None


def _missing(path: Path) -> str:
    if not path.parent.is_dir():
        return f"no folder {path.parent}"
    close = get_close_matches(path.name, os.listdir(path.parent), 3)
    return f"no file {path}" + (f"; did you mean {' or '.join(close)}?" if close else "")


@dataclass(frozen=True)
class _TextFile(_File):
    follow: bool = field(default=False, kw_only=True)
    headed: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.follow and self.zipped:
            raise FlowError(f"{self._place} cannot be followed: it is compressed")
        if self.follow and self.speed != "max":
            raise FlowError(f"{self._place}: a followed file has no speed= but its own")

    @cached_property
    def zipped(self) -> bool:
        """Whether it is compressed."""
        return self.path.suffix.lower() == ".gz"

    def check(self, schema: Schema) -> None:
        """Raise FlowError unless it is text, or may become text if it is followed."""
        if self.follow and self.path.parent.is_dir() and not self.path.exists():
            return
        if not (self.follow and self.path.is_file() and not self.path.stat().st_size):
            super().check(schema)
        top = self._top()
        if b"\0" in top:
            raise FlowError(f"{self._place} is not UTF-8 text: it holds zero bytes")
        if not top.strip(b"\xef\xbb\xbf \r\n") and not self.follow:
            raise FlowError(f"{self._place} is empty: there is nothing to replay")
        self._check_top(top, schema)

    def _top(self) -> bytes:
        try:
            with gzip.open(self.path) if self.zipped else self.path.open("rb") as file:
                return file.read1(MAX_LINE)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FlowError(f"{self._place} is not gzip, or damaged: {error}") from None
        except OSError as error:
            raise FlowError(f"{self._place} cannot be read: {error.strerror}") from None

    def _check_top(self, top: bytes, schema: Schema) -> None:
        """Raise FlowError for what the first lines show."""

    def open(self, partition: str, position: Position) -> Reader:
        """From `position`: the offset in bytes (of the uncompressed text), and the line number."""
        return _Lines(self, partition, position)


@dataclass(frozen=True)
class CsvFile(_TextFile):
    """Readings from a CSV file, plain or gzip: a header line, then a line each.

    Parameters
    ----------
    path
        The file; ".gz" at its end means gzip.
    follow
        Stay at its end and take every line that is added, once it is complete; it never ends. A
        file that is cut or replaced is read from its top, with a warning. While the flow is down
        the file may grow, but must not be replaced by a longer one.
    speed
        "max", or a multiple of real time by the event times: "1x", "60x".
    delimiter
        What separates the fields: one character.

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
            raise FlowError(f"{self._place}: delimiter={self.delimiter!r}; give one character")

    @property
    def format(self) -> Csv:
        """Lines of CSV."""
        return Csv(self.delimiter)

    def _check_top(self, top: bytes, schema: Schema) -> None:
        header, newline, _ = top.partition(b"\n")
        if not newline and len(top) == MAX_LINE:
            raise FlowError(f"{self._place}: the first line is longer than {MAX_LINE:,} bytes")
        if newline or not self.follow:
            self.format.check_header(header, schema, self._place)


@dataclass(frozen=True)
class JsonlFile(_TextFile):
    """Readings from a file of JSON objects, one a line, plain or gzip.

    Parameters
    ----------
    path, follow, speed
        As for `CsvFile`.
    """

    kind: ClassVar[str] = "jsonl"

    @property
    def format(self) -> Json:
        """JSON objects."""
        return Json()

    def _check_top(self, top: bytes, schema: Schema) -> None:
        if top.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
            raise FlowError(f"{self._place} is a JSON array; write one object per line")


class _Lines(Reader):
    """Reads chunks and splits them whole. An endless line costs no more memory than a chunk."""

    def __init__(self, source: _TextFile, partition: str, position: Position) -> None:
        self._source, self._partition = source, partition
        self._offset, self._line = position or (0, 1)  # of the next line to give
        self._raw: io.BufferedReader | None = None
        self._file: io.BufferedReader | gzip.GzipFile | None = None
        self._header = b""
        self._read = 0  # the offset up to which the file has been read
        self._lines: list[bytes] = []  # complete, and not given yet
        self._fault: tuple[str, int] | None = None  # why the first of them is dead, and its size
        self._tail, self._size = b"", 0  # of a line whose end has not been read
        self._wait = 0.0
        self._moved = self._over = False
        self._clock = SystemClock()

    def poll(self, limit: int) -> Messages | DeadLetter | None:
        if not self._lines:
            self._fill()
        if self._fault:
            (reason, size), self._fault = self._fault, None
            place = self._line
            self._give(1, size)
            payload = self._lines.pop(0)
            return DeadLetter(payload, reason, self._source.step, self._partition, place)
        lines = self._lines[:limit]
        del self._lines[:limit]
        first = self._line
        self._give(len(lines), sum(map(len, lines)))
        payloads = [line.rstrip(b"\r") for line in lines]
        full = [i for i, line in enumerate(payloads) if line.strip(b" ")]
        if not full:
            return None
        arrived = self._clock.now() if self._source.follow else None
        if len(full) == len(payloads):
            return Messages(payloads, range(first, self._line), self._header, arrived)
        some = [payloads[i] for i in full]
        return Messages(some, [first + i for i in full], self._header, arrived)

    def _give(self, lines: int, size: int) -> None:
        self._line += lines
        # The last line of a file may lack its line break.
        self._offset = min(self._offset + size + lines, self._read)

    def _fill(self) -> None:
        self._wait = 0.0
        if self._over:
            raise EndOfStream(f"{self._source.path} has been read")
        try:
            file = self._file or self._open()
            chunk = file.read1(CHUNK) if file else b""
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self._lines = [self._tail]
            self._fault = f"the gzip data is cut off or damaged here: {error}", self._size
            self._over = True
            return
        except OSError as error:
            path = self._source.path
            raise ConnectorError(f"{self._source.step}: cannot read {path}: {error}") from error
        if not chunk:
            self._end()
            return
        self._read += len(chunk)
        cut = chunk.rfind(b"\n")
        if cut < 0:
            self._grow(chunk)
            return
        first, *lines = chunk[:cut].split(b"\n")
        self._grow(first)
        self._complete()
        self._lines += lines
        self._grow(chunk[cut + 1 :])

    def _open(self) -> io.BufferedReader | gzip.GzipFile | None:
        source = self._source
        if source.follow and not source.path.exists():
            return None
        self._raw = raw = source.path.open("rb")
        file = gzip.GzipFile(fileobj=raw) if source.zipped else raw
        header = file.readline(MAX_LINE) if source.headed else b""
        if source.follow and source.headed and not header.endswith(b"\n"):
            raw.close()
            return None
        size = os.fstat(raw.fileno()).st_size
        if size < self._offset and not source.zipped:
            has = f"{source.path} has {size:,} bytes, but {self._offset:,} of it had been read"
            if not source.follow:
                raise ConnectorError(f"source {source.step!r}: {has}: it is another file")
            _LOG.warning("%s; reading it from the top", has)
            self._offset, self._line = 0, 1
        self._header = header.rstrip(b"\r\n")
        if self._offset < len(header):
            self._offset, self._line = len(header), 2
        self._read = file.seek(self._offset)
        self._file = file
        return file

    def _end(self) -> None:
        if not self._source.follow:
            if not self._size:
                raise EndOfStream(f"{self._source.path} has been read")
            self._complete()
            return
        self._wait = IDLE
        if self._file is None or not self._replaced():
            return
        # Who had the old file open may have written a last line: look once more before leaving.
        if not self._moved:
            self._moved = True
        elif self._size:
            self._complete()
        else:
            _LOG.warning("%s was cut or replaced; reading it from the top", self._source.path)
            self.close()
            self._file, self._moved = None, False
            self._offset, self._line = 0, 1

    def _replaced(self) -> bool:
        try:
            there = self._source.path.stat()
        except FileNotFoundError:
            return False
        here = os.fstat(self._raw.fileno()) if self._raw else there
        return not os.path.samestat(there, here) or there.st_size < self._read

    def _grow(self, part: bytes) -> None:
        """The line whose end has not been read goes on."""
        self._size += len(part)
        if self._size <= MAX_LINE:
            self._tail += part
        else:
            self._tail = (self._tail + part[:KEPT])[:KEPT]

    def _complete(self) -> None:
        """The line whose end had not been read is complete."""
        self._lines = [self._tail]
        if self._size > MAX_LINE:
            reason = f"a line of {self._size:,} bytes, longer than {MAX_LINE:,}"
            self._fault = reason, self._size
        self._tail, self._size = b"", 0

    def position(self) -> list[int]:
        return [self._offset, self._line]

    def next_poll(self) -> float:
        return self._wait

    def progress(self) -> float | None:
        if self._source.follow or self._raw is None:
            return None
        done = self._raw.tell() if self._source.zipped else self._offset
        return done / os.fstat(self._raw.fileno()).st_size

    def close(self) -> None:
        if self._raw is not None:
            self._raw.close()


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
        place, path, folder = f"sink {self.step!r}", self.path, self.path.parent
        if path.is_dir():
            raise FlowError(f"{place}: {path} is a folder; name a file")
        if folder.exists() and not folder.is_dir():
            raise FlowError(f"{place}: {folder} is a file, so {path} cannot be in it")
        if not folder.is_dir():
            raise FlowError(f"{place}: no folder {folder}; make it first")
        if not os.access(path if path.exists() else folder, os.W_OK):
            raise FlowError(f"{place}: {path} cannot be written: permission denied")


@dataclass(frozen=True)
class JsonlSink(_FileSink):
    """Writes JSON objects, one a line; times in ISO 8601, UTC; what is not finite as null.

    A fresh run replaces the file. One that resumes cuts it back to what was durable and goes on.

    Parameters
    ----------
    path
        The file.
    """

    kind: ClassVar[str] = "jsonl"

    def open(self, resume: Position) -> Writer:
        """Behind offset `resume`."""
        return _JsonlWriter(self, resume)


@dataclass(frozen=True)
class CsvSink(_FileSink):
    """Writes CSV. A fresh run replaces the file, as for `JsonlSink`.

    Rows have the columns device, time, tags and columns. Events, and rejected readings, whose
    fields vary, hold what varies as JSON in the last column, `fields`.

    Parameters
    ----------
    path
        The file.
    """

    kind: ClassVar[str] = "csv"

    def open(self, resume: Position) -> Writer:
        """Behind offset `resume`."""
        return _CsvWriter(self, resume)


class _FileWriter(Writer):
    def __init__(self, sink: _FileSink, resume: Position) -> None:
        self._sink = sink
        path = sink.path
        try:
            self._file = path.open("r+b" if resume is not None and path.exists() else "wb")
            end = self._file.seek(0, os.SEEK_END)
            if resume is not None and end < resume:
                _LOG.warning("%s has lost what had been written; it goes on from here", path)
            if resume is not None:
                self._file.truncate(min(end, resume))
                end = self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise self._failed(error) from error
        self._durable = end

    def _failed(self, error: OSError) -> ConnectorError:
        place = f"sink {self._sink.step!r}"
        return ConnectorError(f"{place}: cannot write {self._sink.path}: {error.strerror}")

    def _append(self, data: bytes) -> None:
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from error

    def snapshot(self) -> int:
        end = self._file.tell()
        if end != self._durable:
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                raise self._failed(error) from error
            self._durable = end
        return end

    def close(self) -> None:
        self.snapshot()
        self._file.close()


class _JsonlWriter(_FileWriter):
    def write(self, items: Batch | Sequence[Event] | Sequence[DeadLetter]) -> None:
        newline = orjson.OPT_APPEND_NEWLINE
        self._append(b"".join([orjson.dumps(row, option=newline) for row in _rows(items)]))


class _CsvWriter(_FileWriter):
    _EVENT = ("id", "kind", "step", "device", "time", "fields")
    _FIXED: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "alerts": _EVENT,
        "events": _EVENT,
        "rejected": ("step", "reason", "device", "time", "fields"),
        "dead_letters": ("source", "partition", "place", "byte", "reason", "payload"),
    }

    def __init__(self, sink: CsvSink, resume: Position) -> None:
        super().__init__(sink, resume)
        self._names: list[str] = []
        if self._durable:
            with sink.path.open(encoding="utf-8", newline="") as file:
                self._names = next(csv_module.reader(file))

    def write(self, items: Batch | Sequence[Event] | Sequence[DeadLetter]) -> None:
        names = list(self._FIXED.get(self._sink.of, ()))
        if not names and isinstance(items, Batch):
            names = ["device", "time", *items.tags, *items.columns]
        text = io.StringIO()
        writer = csv_module.writer(text, lineterminator="\n")
        if names != self._names:
            if self._names:
                raise ConnectorError(
                    f"sink {self._sink.step!r}: {self._sink.path} has the columns "
                    f"{', '.join(self._names)}; the flow now gives {', '.join(names)}"
                )
            self._names = names
            writer.writerow(names)
        for row in _rows(items):
            rest = {name: value for name, value in row.items() if name not in names}
            fields = orjson.dumps(rest).decode() if "fields" in names else None
            writer.writerow([fields if name == "fields" else row.get(name) for name in names])
        self._append(text.getvalue().encode())


def _rows(items: Batch | Sequence[Event] | Sequence[DeadLetter]) -> Iterator[Mapping[str, Any]]:
    for row in records(items):
        yield {**row, "time": iso(row["time"])} if isinstance(items, Batch) else row


@dataclass(frozen=True)
class Console(Sink):
    """Prints one line per item to standard output."""

    def open(self, resume: Position) -> Writer:
        """Nothing to resume."""
        return _ConsoleWriter()


class _ConsoleWriter(Writer):
    def write(self, items: Batch | Sequence[Event] | Sequence[DeadLetter]) -> None:
        sys.stdout.write("".join([_sentence(row) for row in _rows(items)]))
        sys.stdout.flush()


def _sentence(row: Mapping[str, Any]) -> str:
    lead = [_shown(row[name]) for name in ("time", "device", "kind") if name in row]
    rest = [name for name in row if name not in ("time", "device", "kind")]
    rest.sort(key=lambda name: name == "id")
    fields = [f"{name}={_shown(row[name])}" for name in rest if row[name] is not None]
    return " ".join([*lead, *fields]) + "\n"


def _shown(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if text.isprintable() else repr(text)
