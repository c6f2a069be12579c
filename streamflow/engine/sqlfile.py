"""SQLite files of our own beside a flow: made, checked when they are opened, put aside if damaged.

WAL mode with synchronous=FULL: what is committed survives kill -9 and a power cut, and another
process may read meanwhile.

Source: sqlite.org/wal.html, sqlite.org/pragma.html#pragma_synchronous.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

from streamflow.engine.wal import log_is_damaged
from streamflow.errors import ConnectorError

_DAMAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


def connect(path: Path, tables: str, application: int) -> sqlite3.Connection:
    """A connection for any thread; makes the file with its tables if there is none.

    `application` is the number that says whose file it is.
    """
    if not path.exists():
        # It was put aside by a process that was killed before it could take the log along.
        for ending in ("-wal", "-shm"):
            Path(f"{path}{ending}").unlink(missing_ok=True)
    file = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    try:
        if not file.execute("select count(*) from sqlite_schema").fetchone()[0]:
            file.execute("pragma auto_vacuum = incremental")
            file.execute("pragma journal_mode = wal")
            file.executescript(f"begin; {tables} pragma application_id = {application}; commit;")
        file.execute("pragma synchronous = full")
    except sqlite3.Error as error:
        if not is_damage(error):
            file.close()
            raise
    return file


def is_damage(error: sqlite3.Error) -> bool:
    """Whether this says something against the file itself, not the disk it is on."""
    return error.sqlite_errorcode & 0xFF in _DAMAGES


def damage(path: Path, file: sqlite3.Connection, application: int) -> str | None:
    """What is wrong with a file; None if nothing is. ConnectorError if it is of something else."""
    try:
        logged = log_is_damaged(path, file)
        (kind,) = file.execute("pragma application_id").fetchone()
        if kind != application:
            raise ConnectorError(f"{path} is not ours, but a database of something else")
        (verdict,) = file.execute("pragma quick_check(1)").fetchone()
    except UnicodeDecodeError as error:  # what SQLite quotes of the damage need not be text
        return str(error)
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        return str(error)
    if verdict != "ok":
        return str(verdict).splitlines()[-1]
    return "its log is damaged" if logged else None


def put_aside(path: Path) -> Path:
    """Give a damaged file, which nobody has open, another name; that name."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.rename(aside)
    with suppress(FileNotFoundError):
        Path(f"{path}-wal").rename(f"{aside}-wal")
    Path(f"{path}-shm").unlink(missing_ok=True)
    return aside


def readable(path: Path) -> sqlite3.Connection:
    """A connection that only reads."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
