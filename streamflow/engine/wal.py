"""SQLite's -wal file: does it hold transactions that SQLite will not see?

SQLite takes the first frame whose checksum is wrong for the end of the log, and goes on without a
word from what is before it. If whole transactions come after that, the frame was not the last one
written when a process was killed: the file is damaged.

Source: sqlite.org/fileformat2.html, section 4; sqlite.org/walformat.html, section 2.1.
"""

from __future__ import annotations

import sqlite3
import struct
import sys
from pathlib import Path

_HEADER = struct.Struct(">8xI4x8s8x")  # page size, salts
_FRAME = struct.Struct(">4xI8s8x")  # pages after the commit or 0, salts


def hidden_commits(path: Path, database: sqlite3.Connection) -> int:
    """Transactions in the log of a database that SQLite does not see; one can be a torn last one.

    Parameters
    ----------
    path
        The database; nobody else may have it open.
    database
        A connection to it.
    """
    log = Path(f"{path}-wal")
    if not log.exists() or log.stat().st_size < _HEADER.size:
        return 0
    database.execute("select 1 from sqlite_schema").fetchone()  # SQLite reads its log
    with Path(f"{path}-shm").open("rb") as index:
        (seen,) = struct.unpack("<I" if sys.byteorder == "little" else ">I", index.read(20)[16:])
    hidden = 0
    with log.open("rb") as file:
        page, salts = _HEADER.unpack(file.read(_HEADER.size))
        number = 0
        while len(head := file.read(_FRAME.size)) == _FRAME.size:
            number += 1
            committed, salt = _FRAME.unpack(head)
            # Frames with other salts are left over from before the log was last begun anew.
            hidden += number > seen and committed > 0 and salt == salts
            file.seek(page, 1)
    return hidden
