"""Letters: dead letters and rejected readings, kept in one SQLite file beside the state.

DIR/letters.sqlite3 may be read at any time by another process. The flow writes it; what was not
durable with the flow's state is taken back when it goes on, so each letter is there once. When the
file's limit is reached the oldest letters go; how many is kept.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import orjson

from streamflow.core.batch import Batch
from streamflow.core.connect import DeadLetter
from streamflow.engine.sqlfile import connect, damage, put_aside, readable
from streamflow.errors import ConnectorError, StateError

log = logging.getLogger("streamflow.letters")

LETTERS = "letters.sqlite3"
"""The file's name in a state directory."""
MAX_BYTES = 128 << 20
"""The most that is kept, by payload; with all else the file has up to twice as many."""
_SPARE = 0.9
"""When there is too much, the oldest go until this share of the limit is left."""
_OVERHEAD = 100
"""Bytes a letter takes beside its texts."""
_TABLES = """
create table letters (
    id integer primary key autoincrement, kind text not null, kept integer not null,
    source text, partition text, place text, byte integer, step text, device text, time integer,
    reason text not null, payload blob not null, context blob, size integer not null,
    queued integer, redelivered integer not null default 0
);
create index queue on letters (queued) where queued is not null;
create table facts (name text primary key, value integer not null) without rowid;
"""
_APPLICATION = 0x5346_4C31
NO_CONTEXT = msgspec.msgpack.encode([b"", {}, None])
"""Of a dead letter: no header, no fields, not live."""
_COLUMNS = (
    "kind, kept, source, partition, place, byte, step, device, time, reason, payload, context, size"
)
_OF_ITS_OWN = ("device", "time", "step", "reason")
"""What has a column of its own; the rest of a rejected reading is its payload."""


@dataclass(frozen=True)
class Letter:
    """One dead letter (kind "dead") or rejected reading (kind "rejected").

    Parameters
    ----------
    id
        Its number in the file.
    kept
        When it was set aside, ns UTC.
    source, partition, place, byte
        Where a dead letter came from, and the byte that is wrong if it is known.
    step, device, time
        Of a rejected reading: the step that set it aside, its device and event time.
    payload
        The message; or the reading's other fields as JSON.
    context
        What it takes to decode the message again.
    queued
        Its place in the order of redelivery; None if it was not asked for.
    redelivered
        Whether the flow has taken it again, and that is durable.
    """

    id: int
    kind: str
    kept: int
    source: str | None
    partition: str | None
    place: str | None
    byte: int | None
    step: str | None
    device: str | None
    time: int | None
    reason: str
    payload: bytes
    context: bytes | None
    queued: int | None
    redelivered: bool


class Letters:
    """The file, open for writing.

    Parameters
    ----------
    path
        The file. A damaged one is put aside, and a new one made.
    max_bytes
        The most that is kept.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path, self._max = path, max_bytes
        with self._failing():
            self._file = _open(path)
            self._measure()
            self._begun = False

    def _measure(self) -> None:
        sums = "select coalesce(sum(size), 0) from letters"
        self.size: int
        (self.size,) = self._file.execute(sums).fetchone()
        self.purged = self.fact("purged")

    def fact(self, name: str) -> int:
        """A number that is kept beside the letters; 0 if it is not there."""
        found = self._file.execute("select value from facts where name = ?", (name,)).fetchone()
        return int(found[0]) if found else 0

    def set_fact(self, name: str, value: int) -> None:
        """Keep a number."""
        with self.writing() as file:
            file.execute("insert or replace into facts values (?, ?)", (name, value))

    def add(self, items: Batch | Iterable[DeadLetter], now: int) -> None:
        """Keep rejected readings or dead letters."""
        rows = list(_rejected(items, now) if isinstance(items, Batch) else _dead(items, now))
        with self.writing() as file:
            marks = ", ".join("?" * len(_COLUMNS.split(",")))
            file.executemany(f"insert into letters ({_COLUMNS}) values ({marks})", rows)
            self.size += sum(row[-1] for row in rows)
            if self.size > self._max:
                self._purge()

    def _purge(self) -> None:
        """The oldest go, but not what waits for its redelivery."""
        excess = self.size - int(_SPARE * self._max)
        oldest = "select id, size from letters where queued is null or redelivered order by id"
        gone = []
        for number, size in self._file.execute(oldest):
            if excess <= 0:
                break
            excess -= size
            gone.append((number,))
        self._file.executemany("delete from letters where id = ?", gone)
        self.set_fact("purged", self.purged + len(gone))
        self._measure()
        log.warning(
            "%s has reached %d bytes: the %d oldest letters are gone, %d so far",
            *(self.path, self._max, len(gone), self.purged),
        )

    def roll_back(self, last: int) -> None:
        """Take back the letters behind number `last`; the next one is the one after it."""
        with self.writing() as file:
            file.execute("delete from letters where id > ?", (last,))
            file.execute("delete from sqlite_sequence")
            file.execute("insert into sqlite_sequence values ('letters', ?)", (last,))
        self.commit()
        self._measure()

    def commit(self) -> int:
        """Return when all is durable; the number of the last letter."""
        with self._failing():
            if self._begun:
                self._file.execute("commit")
                self._begun = False
            found = self._file.execute("select seq from sqlite_sequence").fetchone()
            return int(found[0]) if found else 0

    def shred(self) -> None:
        """Commit, and let nothing of what was deleted stay in the file or its log."""
        self.commit()
        with self._failing():
            self._file.execute("vacuum")
            self._file.execute("pragma wal_checkpoint(truncate)").fetchone()
        self._measure()

    def close(self) -> None:
        """Let go; what is not committed is gone."""
        self._file.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The file, in a transaction that `commit` ends."""
        with self._failing():
            if not self._begun:
                self._file.execute("begin immediate")
                self._begun = True
            yield self._file

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise ConnectorError(
                f"{self.path} failed: {error}. What was durable is so still; once this is mended, "
                f"start again to go on"
            ) from error


def _open(path: Path) -> sqlite3.Connection:
    file = connect(path, _TABLES, _APPLICATION)
    try:
        wrong = damage(path, file, _APPLICATION)
    except BaseException:
        file.close()
        raise
    if wrong is None:
        return file
    file.close()
    aside = put_aside(path)
    log.error("%s is damaged (%s): it is kept as %s, and a new one begun", path, wrong, aside)
    return connect(path, _TABLES, _APPLICATION)


def letters(
    path: Path, where: str = "1", values: Sequence[Any] = (), limit: int = -1, order: str = "id"
) -> Iterator[Letter]:
    """Letters of a file that a flow may be writing to: those for which an SQL condition holds."""
    names = Letter.__dataclass_fields__
    query = f"select {', '.join(names)} from letters where {where} order by {order} limit ?"
    if not path.exists():
        return
    try:
        with closing(readable(path)) as file:
            for row in file.execute(query, (*values, limit)):
                yield Letter(*row)
    except sqlite3.Error as error:
        raise StateError(f"{path} cannot be read: {error}") from error


def purged(path: Path) -> int:
    """How many letters have gone because there were too many."""
    if not path.exists():
        return 0
    with closing(readable(path)) as file:
        found = file.execute("select value from facts where name = 'purged'").fetchone()
    return int(found[0]) if found else 0


def copy_letters(folder: Path, to: Path) -> None:
    """Copy the letters of a state directory, while a flow may be writing them."""
    if (folder / LETTERS).exists():
        file = readable(folder / LETTERS)
        with closing(file), closing(sqlite3.connect(to / LETTERS)) as copy:
            file.backup(copy)


def _dead(items: Iterable[DeadLetter], now: int) -> Iterator[tuple[Any, ...]]:
    for one in items:
        context = msgspec.msgpack.encode([one.header, dict(one.fields), one.arrived])
        payload = one.payload or b""
        size = _OVERHEAD + len(payload) + len(context) + len(one.reason)
        where = (one.source, one.partition, str(one.place), one.byte)
        yield ("dead", now, *where, None, None, None, one.reason, payload, context, size)


def _rejected(batch: Batch, now: int) -> Iterator[tuple[Any, ...]]:
    arrived = batch.arrived.tolist()
    for row, at in zip(batch.rows(), arrived, strict=True):
        rest = {name: value for name, value in row.items() if name not in _OF_ITS_OWN}
        payload = orjson.dumps(rest)
        # In history a reading arrives at its event time.
        context = msgspec.msgpack.encode(None if at == row["time"] else at)
        size = _OVERHEAD + len(payload) + len(row["reason"])
        own = (row["step"], row["device"], row["time"], row["reason"], payload, context, size)
        yield ("rejected", now, None, None, None, None, *own)


def context_of(letter: Letter) -> Any:
    """A dead letter's header, fields and arrival; a rejected reading's arrival, None in history."""
    return msgspec.msgpack.decode(letter.context) if letter.context else None


def reading_of(letter: Letter) -> Mapping[str, Any]:
    """What a rejected reading holds beside device and time."""
    reading: Mapping[str, Any] = orjson.loads(letter.payload)
    return reading
