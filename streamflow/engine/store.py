"""The recovery store that Bytewax writes: read at any time, mended while no flow runs on it.

Bytewax keeps one SQLite file per recovery partition. `fronts` tells how far each worker of the
last execution has come; what counts of `snaps` is, for each step and key, the newest snapshot
before the least of those epochs. `commits` tells up to which epoch a file has dropped those that
newer ones replace. The values are pickled by Bytewax; ours are bytes with a checksum, so they are
read by an unpickler that refuses everything else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from streamflow.engine.pack import pack, unpack
from streamflow.engine.plain import from_plain, to_plain
from streamflow.engine.wal import log_is_damaged
from streamflow.errors import StateError

_NO_ACCESS = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")
"""How the names of errors begin that say nothing against the file itself."""
_PAGE = 16_384
"""Bytes of a page; SQLite's default is 4,096."""
_TRIES = 100
"""So often the files are opened anew until they show one moment."""


@dataclass(frozen=True)
class Snap:
    """One snapshot that a restart would go on from.

    `written` is when, in ns UTC by the clock of its host, to the second.
    """

    step: str
    key: str
    epoch: int
    written: int
    value: Any


class Store:
    """The recovery store in a folder.

    Parameters
    ----------
    folder
        Where its files are.
    flow
        The flow's name, which Bytewax puts before each step's.
    killed
        Whether the flow that wrote it last did not close it.
    """

    def __init__(self, folder: Path, flow: str, *, killed: bool = False) -> None:
        self._folder, self._killed = folder, killed
        self._prefix = f"{flow}."

    def files(self) -> list[Path]:
        """Its files, one per recovery partition."""
        return sorted(self._folder.glob("part-*.sqlite3"))

    def widen(self) -> None:
        """Give new files larger pages: snapshots are long, and each page of one is two writes."""
        for path in self.files():
            with closing(self._connect(path, write=True)) as database:
                # Under a -wal the size of a page stays as it is.
                database.execute("pragma journal_mode = delete")
                database.execute(f"pragma page_size = {_PAGE}")
                database.execute("vacuum")
                database.execute("pragma journal_mode = wal")

    def check(self, count: int) -> None:
        """Raise StateError for a file that is missing or damaged."""
        for number in range(count):
            path = self._folder / f"part-{number}.sqlite3"
            if not path.is_file():
                raise StateError(
                    f"{path} is missing: put it back from a backup of the whole folder, or start "
                    f"anew in another --state folder"
                )
            try:
                with closing(self._connect(path)) as database:
                    (verdict,) = database.execute("pragma integrity_check(1)").fetchone()
                    database.execute("select 1 from snaps, fronts, exs limit 1").fetchone()
            except sqlite3.Error as error:
                if error.sqlite_errorname.startswith(_NO_ACCESS):
                    raise StateError(
                        f"{path} cannot be read ({error}): SQLite reads it only where it may also "
                        f"write beside it; be the user that the flow runs as, or copy the folder"
                    ) from error
                verdict = str(error)
            except UnicodeDecodeError as error:  # what SQLite quotes of the damage need not be text
                verdict = str(error)
            if verdict != "ok":
                said = verdict.splitlines()[-1]
                raise StateError(
                    f"{path} is damaged ({said}): put the whole folder back from a backup, or "
                    f"start anew in another --state folder"
                )

    def resume_epoch(self) -> int:
        """The epoch a restart would go on from; what came before it is durable."""
        with ExitStack() as opened:
            return _resume_epoch(self._open(opened))

    def snaps(self, step: str | None = None) -> Iterator[Snap]:
        """What a restart would go on from: the newest snapshot of each key, of a step or of all."""
        newest: dict[tuple[str, str], tuple[int, str, bytes | None]] = {}
        with self._moment() as files:
            before = _resume_epoch(files)
            for file in files:
                rows = file.execute(
                    "select step_id, state_key, snap_epoch, created_at, ser_change from snaps "
                    "where snap_epoch < ? and (? is null or step_id = ?) order by snap_epoch",
                    (before, step, f"{self._prefix}{step}"),
                )
                for name, key, epoch, written, value in rows:
                    if (name, key) not in newest or newest[name, key][0] <= epoch:
                        newest[name, key] = (epoch, written, value)
        for (name, key), (epoch, written, value) in sorted(newest.items()):
            if value is not None:
                at = int(datetime.fromisoformat(f"{written}+00:00").timestamp()) * 10**9
                tree = unpack(from_plain(value))
                yield Snap(name.removeprefix(self._prefix), key, epoch, at, tree)

    def copy(self, folder: Path) -> None:
        """Copy the store as it is at one moment to a folder, while a flow may be writing to it."""
        with self._moment() as files:
            for path, file in zip(self.files(), files, strict=True):
                with closing(sqlite3.connect(folder / path.name)) as target, target:
                    file.backup(target)
                    _settle(target, _resume_epoch(files))

    def settle(self) -> None:
        """Put in order what a flow that was killed has left behind, before one goes on.

        What is durable is committed in every file. Snapshots of the epoch that never ended go:
        that epoch is run again with other readings in it, perhaps none for some key, and then
        that key's old snapshot, which counts readings that come again, would seem to be of it.

        Nobody else may have the files open. Raises StateError if a -wal file is damaged.
        """
        durable = self.resume_epoch()
        for path in self.files():
            with closing(self._connect(path)) as database:
                if log_is_damaged(path, database):
                    raise StateError(
                        f"{path}-wal is damaged: put the whole folder back from a backup, or start "
                        f"anew in another --state folder"
                    )
            try:
                with closing(self._connect(path, write=True)) as database, database:
                    _settle(database, durable)
                    database.execute("delete from snaps where snap_epoch >= ?", (max(durable, 1),))
            except sqlite3.Error as error:
                raise StateError(f"{path} cannot be written: {error}") from error

    def replace(
        self,
        values: Mapping[tuple[str, str], Any],
        steps: Mapping[str, str],
        forget: Collection[str] = (),
    ) -> None:
        """Put other values in place of snapshots, other names in place of steps; forget steps.

        What was there before is gone from the files, not just from view.
        """
        before = self.resume_epoch()
        for path in self.files():
            with closing(self._connect(path, write=True)) as database:
                with database:
                    for (step, key), value in values.items():
                        name = self._prefix + step
                        database.execute(
                            "update snaps set ser_change = ? where step_id = ? and state_key = ?",
                            (to_plain(pack(value)), name, key),
                        )
                    for old, new in steps.items():
                        database.execute(
                            "update snaps set step_id = ? where step_id = ?",
                            (self._prefix + new, self._prefix + old),
                        )
                    for step in forget:
                        database.execute(
                            "delete from snaps where step_id = ?", (self._prefix + step,)
                        )
                    database.execute("delete from snaps where snap_epoch >= ?", (before,))
                    _settle(database, before)
                database.execute("vacuum")
                busy, *_ = database.execute("pragma wal_checkpoint(truncate)").fetchone()
                if busy:
                    raise StateError(
                        f"the state is changed, but what was there before is still in "
                        f"{path}-wal, because another program reads it: end that program, then "
                        f"start and stop the flow once"
                    )

    def _open(self, opened: ExitStack) -> list[sqlite3.Connection]:
        return [opened.enter_context(closing(self._connect(path))) for path in self.files()]

    @contextmanager
    def _moment(self) -> Iterator[list[sqlite3.Connection]]:
        """All files as they are at one moment, whoever writes to them.

        Files come to a standstill one after the other, each for this reader only. What was durable
        before that is in all of them, unless an epoch ends meanwhile: then those that came last
        may know a later one, or have dropped what it replaces, and all are opened anew.
        """
        for _ in range(_TRIES):
            with ExitStack() as opened:
                files = self._open(opened)
                durable = _resume_epoch(files)
                for file in files:
                    file.execute("begin")
                    file.execute("select 1 from parts").fetchone()  # a read brings it about
                commits = [_last_commit(file) for file in files]
                if durable and durable == _resume_epoch(files):
                    self._check_ages(durable, commits)
                if max(commits) < max(durable, 1) and durable == _resume_epoch(files):
                    yield files
                    return
        raise self._lost(f"the files of {self._folder} do not fit each other")

    def _check_ages(self, durable: int, commits: Sequence[int]) -> None:
        """Raise StateError if a file has lost epochs: the others go on without asking it.

        Every file commits every epoch before the next one ends. So its last commit is of the last
        durable epoch, or of the one before if the flow ended in between; then, if it was killed,
        the file still has a -wal.
        """
        for path, commit in zip(self.files(), commits, strict=True):
            logged = not self._killed or Path(f"{path}-wal").stat().st_size > 0
            if commit < durable - (2 if logged else 1):
                raise self._lost(f"{path} ends at epoch {commit}, the others at {durable - 1}")

    def _lost(self, what: str) -> StateError:
        return StateError(
            f"{what}: a file was deleted (a -wal file?) or put back from an old backup. Put the "
            f"newest files back, or the whole folder from a backup, or start anew in another "
            f"--state folder"
        )

    def _connect(self, path: Path, *, write: bool = False) -> sqlite3.Connection:
        mode = "rw" if write else "ro"
        return sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=30)


def _settle(file: sqlite3.Connection, durable: int) -> None:
    """Without it a file whose -wal is gone, because it was closed, would look as if it had lost."""
    if durable and _last_commit(file) < durable - 1:
        file.execute(
            "insert or replace into commits (part_index, commit_epoch) "
            "select part_index, ? from parts",
            (durable - 1,),
        )


def _last_commit(file: sqlite3.Connection) -> int:
    (epoch,) = file.execute("select max(commit_epoch) from commits").fetchone()
    return int(epoch or 0)


def _resume_epoch(files: Sequence[sqlite3.Connection]) -> int:
    executions: dict[int, tuple[int, int]] = {}
    fronts: dict[tuple[int, int], int] = {}
    for file in files:
        rows = file.execute("select ex_num, worker_count, resume_epoch from exs")
        executions |= {number: (workers, epoch) for number, workers, epoch in rows}
        rows = file.execute("select ex_num, worker_index, worker_frontier from fronts")
        fronts |= {(number, worker): epoch for number, worker, epoch in rows}
    if not executions:
        return 0
    last = max(executions)
    workers, resumed = executions[last]
    return min(fronts.get((last, worker), resumed) for worker in range(workers))
