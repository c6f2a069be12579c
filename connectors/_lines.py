"""Lines of text files: read in chunks, cut in bulk, followed as they grow."""

from __future__ import annotations

import gzip
import io
import logging
import os
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from streamflow import DeadLetter, Messages, Position, Reader, SystemClock
from streamflow.errors import ConnectorError, EndOfStream

if TYPE_CHECKING:
    from streamflow_connectors.files import TextFile

CHUNK = 1 << 20
"""Bytes read at once."""
MAX_LINE = CHUNK
"""Bytes of the longest line that is a message; not below `CHUNK`, see `Lines`."""
KEPT = 1024
"""Bytes that are kept of a longer one."""
IDLE = 0.05
"""Seconds between two looks at a followed file that has not grown."""
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)
"""How gzip says that its data is not what it should be."""

_LOG = logging.getLogger("streamflow.files")


class LongLine(bytes):
    """The first bytes of a line longer than `MAX_LINE`; the rest was let go."""

    size: int
    """How many bytes the whole line had."""

    @property
    def reason(self) -> str:
        """Why it is no message."""
        return f"a line of {self.size:,} bytes, longer than {MAX_LINE:,}"


class Lines:
    r"""Cuts chunks of bytes at their line breaks; an endless line costs no endless memory.

    Of what `feed` gives only the first line can be a `LongLine`: it alone may have begun before.

    >>> lines = Lines()
    >>> lines.feed(b"a\nb"), lines.feed(b"c\nd"), lines.end()
    ([b'a'], [b'bc'], b'd')
    """

    def __init__(self) -> None:
        self._tail = b""
        self.pending = 0
        """Bytes of the line whose end has not come."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete with this chunk, without their line breaks."""
        lines = chunk.split(b"\n")
        self._grow(lines[0])
        if len(lines) == 1:
            return []
        lines[0] = self.end()
        self._grow(lines.pop())
        return lines

    def end(self) -> bytes:
        """The line whose end had not come: it is complete."""
        line = self._tail
        if self.pending > MAX_LINE:
            line = LongLine(line)
            line.size = self.pending
        self._tail, self.pending = b"", 0
        return line

    def _grow(self, part: bytes) -> None:
        self.pending += len(part)
        if self.pending <= MAX_LINE:
            self._tail += part
        else:
            self._tail = (self._tail + part[:KEPT])[:KEPT]


class LineReader(Reader):
    """The lines of a file, plain, compressed or followed.

    Its position is the offset of the next line, in the uncompressed text, and its number.
    """

    def __init__(self, source: TextFile, partition: str, position: Position) -> None:
        self._source, self._partition = source, partition
        # Of the next line to give.
        self._offset, self._line = (int(at) for at in position or (0, 1))
        self._raw: io.BufferedReader | None = None
        self._file: io.BufferedReader | gzip.GzipFile | None = None
        self._header = b""
        self._lines = Lines()
        self._ready: list[bytes] = []
        self._read = 0  # the offset up to which the file has been read
        self._wait = 0.0
        self._moved = self._over = False
        self._clock = SystemClock()

    def poll(self, limit: int) -> Messages | DeadLetter | None:
        if self._over:
            raise EndOfStream(f"{self._source.path} has been read")
        if not self._ready:
            try:
                self._fill()
            except DAMAGED as error:
                self._over = True
                return self._dead(self._lines.end(), f"gzip is cut off or damaged here: {error}")
            except OSError as error:
                place = self._source.place
                raise ConnectorError(f"{place} cannot be read: {error.strerror}") from error
        if self._ready and isinstance(long := self._ready[0], LongLine):
            del self._ready[0]
            return self._dead(long, long.reason)
        lines = self._ready[:limit]
        del self._ready[:limit]
        places: Sequence[int] = range(self._line, self._line + len(lines))
        self._give(len(lines), sum(map(len, lines)))
        payloads = [line.rstrip(b"\r") for line in lines]
        if not all(payloads) or any(map(bytes.isspace, payloads)):
            full = [i for i, line in enumerate(payloads) if line.strip(b" ")]
            payloads, places = [payloads[i] for i in full], [places[i] for i in full]
        if not payloads:
            return None
        arrived = self._clock.now() if self._source.follow else None
        told = {name: [word] * len(payloads) for name, word in self._source.fields.items()}
        return Messages(payloads, places, self._header, arrived, told)

    def _dead(self, line: bytes, reason: str) -> DeadLetter:
        place = self._line
        self._give(1, line.size if isinstance(line, LongLine) else len(line))
        return DeadLetter(bytes(line), reason, self._source.step, self._partition, place)

    def _give(self, lines: int, size: int) -> None:
        self._line += lines
        # The last line of a file may lack its line break.
        self._offset = min(self._offset + size + lines, self._read)

    def _fill(self) -> None:
        self._wait = 0.0
        file = self._file or self._open()
        chunk = file.read1(CHUNK) if file else b""
        self._read += len(chunk)
        if chunk:
            self._ready = self._lines.feed(chunk)
        elif self._source.follow:
            self._linger()
        elif self._lines.pending:
            self._ready = [self._lines.end()]
        else:
            raise EndOfStream(f"{self._source.path} has been read")

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
            has = f"{source.place} has {size:,} bytes, where {self._offset:,} had been read"
            if not source.follow:
                raise ConnectorError(f"{has}: it is another file")
            _LOG.warning("%s; it is read from the top", has)
            self._offset, self._line = 0, 1
        if self._offset < len(header):
            self._offset, self._line = len(header), 2
        self._header = header.rstrip(b"\r\n")
        self._read = file.seek(self._offset)
        self._file = file
        return file

    def _linger(self) -> None:
        """Stay at the end of a followed file, until it is cut or another has taken its place."""
        self._wait = IDLE
        if self._raw is None or self._file is None or not self._replaced(self._raw):
            return
        if not self._moved:
            # Whoever had the old file open may have written a last line: look once more.
            self._moved = True
        elif self._lines.pending:
            self._ready = [self._lines.end()]
        else:
            _LOG.warning("%s was cut or replaced; it is read from the top", self._source.place)
            self._raw.close()
            self._file, self._moved = None, False
            self._offset, self._line = 0, 1

    def _replaced(self, raw: io.BufferedReader) -> bool:
        try:
            there = self._source.path.stat()
        except FileNotFoundError:
            return False
        return not os.path.samestat(there, os.fstat(raw.fileno())) or there.st_size < self._read

    def position(self) -> list[int]:
        return [self._offset, self._line]

    def next_poll(self) -> float:
        return self._wait

    def progress(self) -> float | None:
        if self._raw is None or self._source.follow:
            return None
        done = self._raw.tell() if self._source.zipped else self._offset
        return done / max(os.fstat(self._raw.fileno()).st_size, 1)

    def close(self) -> None:
        if self._raw is not None:
            self._raw.close()
