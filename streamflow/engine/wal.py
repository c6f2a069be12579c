"""SQLite's -wal file: is it damaged where SQLite would not say so?

SQLite takes the first frame whose checksum is wrong for the end of the log, and goes on without a
word from the transactions before it. That is right for the last frame that a killed process was
writing; if others come after it, the file is damaged.

Source: sqlite.org/fileformat2.html, section 4; sqlite.org/walformat.html, section 2.1.
"""

from __future__ import annotations

import sqlite3
import struct
import sys
from pathlib import Path
from typing import BinaryIO

_HEADER = struct.Struct(">I4xI4x8s8s")  # magic number, page size, salts, checksum
_FRAME = struct.Struct(">8s8s8s")  # page and commit size, salts, checksum
_BIG_ENDIAN = 0x377F0683
_MODULO = 2**32


def log_is_damaged(path: Path, database: sqlite3.Connection) -> bool:
    """Whether there is a wrong frame in the log, and it is not the last one that was written.

    Parameters
    ----------
    path
        The database; nobody else may have it open.
    database
        A connection to it.
    """
    log = Path(f"{path}-wal")
    if not log.exists() or log.stat().st_size < _HEADER.size:
        return False
    database.execute("select 1 from sqlite_schema").fetchone()  # SQLite reads its log
    with Path(f"{path}-shm").open("rb") as index:
        (seen,) = struct.unpack("<I" if sys.byteorder == "little" else ">I", index.read(20)[16:])
    with log.open("rb") as file:
        return _goes_on_behind_a_wrong_frame(file, seen)


def _goes_on_behind_a_wrong_frame(file: BinaryIO, seen: int) -> bool:
    magic, page, salts, summed = _HEADER.unpack(file.read(_HEADER.size))
    order = ">" if magic == _BIG_ENDIAN else "<"
    if seen:
        file.seek((seen - 1) * (_FRAME.size + page), 1)
        summed = _FRAME.unpack(file.read(_FRAME.size))[2]
        file.seek(page, 1)
    wrong = False
    while len(head := file.read(_FRAME.size)) == _FRAME.size:
        what, salt, claimed = _FRAME.unpack(head)
        # Frames with other salts are left over from before the log was last begun anew.
        if wrong and salt == salts:
            return True
        body = file.read(page)
        if not wrong:
            summed = _checksum(what + body, summed, order)
            wrong = salt != salts or claimed != summed
    return False


def _checksum(data: bytes, before: bytes, order: str) -> bytes:
    a, b = struct.unpack(">2I", before)
    words = struct.unpack(f"{order}{len(data) // 4}I", data[: len(data) // 4 * 4])
    for first, second in zip(words[::2], words[1::2], strict=False):
        a = (a + first + b) % _MODULO
        b = (b + second + a) % _MODULO
    return struct.pack(">2I", a, b)
