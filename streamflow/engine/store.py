"""The recovery store that Bytewax writes, read and mended while no flow runs on it.

Bytewax keeps one SQLite file per recovery partition. `fronts` tells how far each worker of the
last execution has come; what counts of `snaps` is, for each step and key, the newest snapshot
before the least of those epochs. Its values are pickled by Bytewax; ours are bytes and plain
positions, so they are read by an unpickler that refuses everything else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamflow.engine.plain import from_plain, to_plain
from streamflow.errors import StateError


@dataclass(frozen=True)
class Snap:
    """One snapshot that a restart would go on from."""

    step: str
    key: str
    epoch: int
    value: Any


class Store:
    """The recovery store in a folder.

    Parameters
    ----------
    folder
        Where its files are.
    flow
        The flow's name, which Bytewax puts before each step's.
    """

    def __init__(self, folder: Path, flow: str) -> None:
        self._folder = folder
        self._prefix = f"{flow}."

    def files(self) -> list[Path]:
        """Its files, one per recovery partition."""
        return sorted(self._folder.glob("part-*.sqlite3"))

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
                    (verdict,) = database.execute("pragma quick_check(1)").fetchone()
                    database.execute("select 1 from snaps, fronts, exs limit 1").fetchone()
            except sqlite3.Error as error:
                verdict = str(error)
            if verdict != "ok":
                raise StateError(
                    f"{path} is damaged ({verdict}): put the whole folder back from a backup, or "
                    f"start anew in another --state folder"
                )

    def resume_epoch(self) -> int:
        """The epoch a restart would go on from; what came before it is durable."""
        executions: dict[int, tuple[int, int]] = {}
        fronts: dict[tuple[int, int], int] = {}
        for path in self.files():
            with closing(self._connect(path)) as database:
                rows = database.execute("select ex_num, worker_count, resume_epoch from exs")
                executions |= {number: (workers, epoch) for number, workers, epoch in rows}
                rows = database.execute("select ex_num, worker_index, worker_frontier from fronts")
                fronts |= {(number, worker): epoch for number, worker, epoch in rows}
        if not executions:
            return 0
        last = max(executions)
        workers, resumed = executions[last]
        return min(fronts.get((last, worker), resumed) for worker in range(workers))

    def snaps(self) -> Iterator[Snap]:
        """What a restart would go on from: the newest snapshot of each step and key."""
        before = self.resume_epoch()
        newest: dict[tuple[str, str], tuple[int, bytes | None]] = {}
        for path in self.files():
            with closing(self._connect(path)) as database:
                rows = database.execute(
                    "select step_id, state_key, snap_epoch, ser_change from snaps "
                    "where snap_epoch < ? order by snap_epoch",
                    (before,),
                )
                for step, key, epoch, value in rows:
                    if (step, key) not in newest or newest[step, key][0] <= epoch:
                        newest[step, key] = (epoch, value)
        for (step, key), (epoch, value) in sorted(newest.items()):
            if value is not None:
                yield Snap(step.removeprefix(self._prefix), key, epoch, from_plain(value))

    def replace(self, values: Mapping[tuple[str, str], Any], steps: Mapping[str, str]) -> None:
        """Put other values in place of snapshots, and other names in place of steps.

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
                            (to_plain(value), name, key),
                        )
                    for old, new in steps.items():
                        database.execute(
                            "update snaps set step_id = ? where step_id = ?",
                            (self._prefix + new, self._prefix + old),
                        )
                    database.execute("delete from snaps where snap_epoch >= ?", (before,))
                database.execute("vacuum")
                database.execute("pragma wal_checkpoint(truncate)")

    def _connect(self, path: Path, *, write: bool = False) -> sqlite3.Connection:
        mode = "rw" if write else "ro"
        return sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=30)
