"""Queue: a durable queue in one SQLite file, and what becomes of a damaged one.

What is committed survives kill -9 and a power cut. Each item has a number; numbers only grow. One
process has the file open at a time, held by a lock beside it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamflow.engine.pack import intact, pack, unpack
from streamflow.engine.sqlfile import connect, damage, put_aside, readable
from streamflow.errors import ConnectorError, NotConnected

log = logging.getLogger("streamflow.buffer")

_TABLES = """
create table items (
    number integer primary key, count integer not null, size integer not null, item blob not null
);
create table facts (name text primary key, value blob not null) without rowid;
"""
_APPLICATION = 0x5346_5131
"""Says that a SQLite file is one of ours."""
_UNCOMMITTED = 8 << 20
"""So many bytes are committed at the latest, so that the log stays small."""
_KEPT_FREE, _GIVEN_BACK = 4096, 1024
"""Free pages that the file keeps, and how many of the others go back to the disk at once."""


@dataclass(frozen=True)
class Item:
    """Something in the queue: its number, how many things it holds, and its bytes."""

    number: int
    count: int
    data: bytes


class Queue:
    """An open queue; its methods may be called by several threads.

    Parameters
    ----------
    path
        The file. A damaged one is put aside, and what can be read of it taken over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._guard = threading.RLock()
        self.problem: ConnectorError | None = None
        """Why it can do nothing more."""
        self.closed = False
        self._lock = _locked(path)
        try:
            with self._failing():
                self._file = _open(path)
                self._read()
        except BaseException:
            os.close(self._lock)
            raise

    def _read(self) -> None:
        sums = "select count(*), coalesce(sum(count), 0), coalesce(sum(size), 0) from items"
        self.items: int
        self.count: int
        self.size: int
        self.items, self.count, self.size = self._file.execute(sums).fetchone()
        facts = dict(self._file.execute("select name, value from facts"))
        self.last: int = unpack(facts["last"]) if "last" in facts else 0
        self.dropped: int = unpack(facts["dropped"]) if "dropped" in facts else 0
        self.position: Any = unpack(facts["position"]) if "position" in facts else None
        self._uncommitted = 0
        self._begun = False

    def put(self, data: bytes, count: int) -> None:
        """Add an item behind the others; durable with the next `commit`."""
        with self._writing():
            row = (self.last + 1, count, len(data), data)
            self._file.execute("insert into items values (?, ?, ?, ?)", row)
            self.last += 1
            self._add(1, count, len(data))
            self._uncommitted += len(data)
            if self._uncommitted >= _UNCOMMITTED:
                self.commit()

    def commit(self) -> None:
        """Return when everything up to now is durable."""
        with self._guard, self._failing():
            if self._begun:
                self._set("last", self.last)
                self._file.execute("commit")
                self._begun, self._uncommitted = False, 0

    def oldest(self, limit: int, size: int, after: int = 0) -> list[Item]:
        """The oldest items behind number `after`: at most so many, of so many bytes, but one."""
        rows = "select number, count, item from items where number > ? order by number limit ?"
        out: list[Item] = []
        with self._guard, self._failing():
            for row in self._file.execute(rows, (after, limit)):
                out.append(Item(*row))
                size -= len(out[-1].data)
                if size <= 0:
                    break
        return out

    def done(self, items: Sequence[Item], position: Any) -> None:
        """They are where they belong, and that goes on from `position`: durable on return."""
        with self._writing():
            self._delete([item.number for item in items])
            self.position = position
            self._set("position", position)
            self.commit()
            (free,) = self._file.execute("pragma freelist_count").fetchone()
            if free > _KEPT_FREE:
                # Each step of it gives one page back, and `execute` takes one step.
                self._file.executescript(f"pragma incremental_vacuum({_GIVEN_BACK})")

    def drop(self, size: int, busy: Collection[int]) -> int:
        """Let go of the oldest items but the busy ones, at least so many bytes; their counts."""
        with self._writing():
            numbers, before = [], self.count
            for number, bytes_ in self._file.execute(
                "select number, size from items order by number"
            ):
                if size <= 0:
                    break
                if number not in busy:
                    numbers.append(number)
                    size -= bytes_
            self._delete(numbers)
            self.dropped += before - self.count
            self._set("dropped", self.dropped)
            return before - self.count

    def cut(self, last: int) -> None:
        """Take back what came after number `last`; the next one is the one after it."""
        with self._writing():
            rows = self._file.execute("select number from items where number > ?", (last,))
            self._delete([number for (number,) in rows])
            self.last = last
            self.commit()

    def clear(self) -> None:
        """Start anew."""
        with self._writing():
            self._file.execute("delete from items")
            self._file.execute("delete from facts")
            self.last = 0
            self.commit()
            self._read()

    def close(self) -> None:
        """Let go; what is not committed is gone."""
        with self._guard:
            self.closed = True
            self.problem = self.problem or ConnectorError(f"the queue {self.path} is closed")
            self._file.close()
            os.close(self._lock)

    def _delete(self, numbers: Sequence[int]) -> None:
        gone = "delete from items where number = ? returning count, size"
        for number in numbers:
            for count, size in self._file.execute(gone, (number,)).fetchall():
                self._add(-1, -count, -size)

    def _add(self, items: int, count: int, size: int) -> None:
        self.items += items
        self.count += count
        self.size += size

    def _set(self, name: str, value: Any) -> None:
        self._file.execute("insert or replace into facts values (?, ?)", (name, pack(value)))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._guard, self._failing():
            if not self._begun:
                self._file.execute("begin immediate")
                self._begun = True
            yield

    @contextmanager
    def _failing(self) -> Iterator[None]:
        if self.problem:  # SQLite may have taken back what was not durable
            raise self.problem
        try:
            yield
        except sqlite3.Error as error:
            self.problem = ConnectorError(
                f"the queue {self.path} failed: {error}. What was durable is so still; once this "
                f"is mended, start again to go on"
            )
            raise self.problem from error


def _locked(path: Path) -> int:
    """The lock beside a queue, held; NotConnected if somebody else has it."""
    lock = None
    try:
        lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if lock is None:
            raise ConnectorError(f"the queue {path} failed: {error.strerror}") from error
        os.close(lock)
        raise NotConnected(f"the queue {path} is in use by another flow") from None
    return lock


def _open(path: Path) -> sqlite3.Connection:
    """The file of a queue, made if there is none, replaced if it is damaged."""
    file = connect(path, _TABLES, _APPLICATION)
    try:
        wrong = damage(path, file, _APPLICATION) or _wrong_checksum(file)
    except BaseException:
        file.close()
        raise
    if wrong is None:
        return file
    file.close()
    aside = put_aside(path)
    file = connect(path, _TABLES, _APPLICATION)
    file.execute("begin immediate")
    _take_over(aside, file)
    (saved,) = file.execute("select count(*) from items").fetchone()
    file.execute("commit")
    log.error(
        "the queue %s is damaged (%s): it is kept as %s. %d of its items could be read and wait "
        "in a new one; what else it held is lost",
        *(path, wrong, aside, saved),
    )
    return file


def _wrong_checksum(file: sqlite3.Connection) -> str | None:
    for number, data in file.execute("select number, item from items order by number"):
        if not intact(data):
            return f"the checksum of item {number} does not fit"
    for name, data in file.execute("select name, value from facts"):
        if not intact(data):
            return f"the checksum of {name!r} does not fit"
    return None


def _take_over(damaged: Path, file: sqlite3.Connection) -> None:
    """Items and facts that can be read: from both ends, as far as each goes."""
    with closing(readable(damaged)) as old:
        for order in ("asc", "desc"):
            with suppress(sqlite3.Error, UnicodeDecodeError, TypeError):
                rows = f"select number, count, size, item from items order by number {order}"
                for row in old.execute(rows):
                    add = "insert or ignore into items values (?, ?, ?, ?)"
                    if intact(row[-1]) and not file.execute(add, row).rowcount:
                        break
        with suppress(sqlite3.Error, UnicodeDecodeError, TypeError):
            for fact in old.execute("select name, value from facts"):
                if intact(fact[1]):
                    file.execute("insert into facts values (?, ?)", fact)
