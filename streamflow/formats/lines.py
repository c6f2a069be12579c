"""Lines: a stream of bytes cut into messages, whatever the pieces it comes in."""

from __future__ import annotations

MAX_LINE = 1 << 20
"""Bytes of the longest line that is a message."""
_KEPT = 1024


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

    Only the first line of what `feed` gives can be a `LongLine`, if chunks are not longer than
    `MAX_LINE`.

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
            self._tail = (self._tail + part[:_KEPT])[:_KEPT]
