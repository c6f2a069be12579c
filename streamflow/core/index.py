"""Index: the devices of one shard, a row each, shared by the tables of all its steps."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamflow.core.batch import Batch, Codes, Rows

NEVER = np.iinfo(np.int64).min
"""`Index.seen` of a device that was never heard of."""
_VOCABULARIES = 16
"""Of so many vocabularies (one per source partition) the translation is remembered."""
_SPARE = 8
"""One row in so many may be an erased device's that waits to be given to a new one."""


@dataclass
class _Translation:
    devices: Sequence[str]
    rows: Codes


class Index:
    """Device name -> row, and when each row was last heard of (`seen`).

    `names` is the vocabulary of every batch inside the shard. It only grows while somebody may
    look at it: the rows of erased devices go to new ones only when there are many, in a new list
    of names, so that batches on their way out keep theirs.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.seen = np.full(16, NEVER)
        self._used = np.zeros(16, bool)
        self._row: dict[str, int] = {}
        self._free: list[int] = []
        self._erased: list[int] = []
        self._known: OrderedDict[int, _Translation] = OrderedDict()

    def __len__(self) -> int:
        return len(self._row)

    def row(self, name: str) -> int | None:
        """The row of a device, if it is known."""
        return self._row.get(name)

    def rows(self) -> Rows:
        """All rows in use, in order."""
        return np.flatnonzero(self._used)

    def devices(self) -> list[str]:
        """The names of `rows()`."""
        if len(self._row) == len(self.names):
            return self.names.copy()
        return [self.names[row] for row in self.rows().tolist()]

    def add(self, name: str) -> int:
        """The row of a device, new if need be."""
        row = self._row.get(name)
        return self._add([name])[0] if row is None else row

    def locate(self, batch: Batch) -> tuple[Codes, list[int]]:
        """The row of each reading, int32[n], and the rows of devices not known before."""
        key = id(batch.devices)
        known = self._known.get(key)
        if known is None or known.devices is not batch.devices:
            known = _Translation(batch.devices, np.full(len(batch.devices), -1, np.int32))
            self._known[key] = known
            if len(self._known) > _VOCABULARIES:
                self._known.popitem(last=False)
        elif len(known.rows) < len(batch.devices):
            room = np.full(len(batch.devices) * 5 // 4, -1, np.int32)
            room[: len(known.rows)] = known.rows
            known.rows = room
        rows = known.rows[batch.device]
        missing = rows < 0
        if self._erased or self._free:
            missing |= ~self._used[rows]
        if not missing.any():
            return rows, []
        codes = list(dict.fromkeys(batch.device[missing].tolist()))
        names = [batch.devices[code] for code in codes]
        new = self._add(list(dict.fromkeys(name for name in names if name not in self._row)))
        known.rows[codes] = [self._row[name] for name in names]
        return known.rows[batch.device], new

    def erase(self, rows: Sequence[int]) -> None:
        """Forget devices by row."""
        for row in rows:
            del self._row[self.names[row]]
        self._used[rows] = False
        self.seen[rows] = NEVER
        self._erased += rows
        if _SPARE * len(self._erased) > len(self._row):
            self.names = self.names.copy()
            for row in self._erased:
                self.names[row] = ""
            self._free = sorted([*self._free, *self._erased], reverse=True)
            self._erased = []
            self._known.clear()

    def restore(self, names: Sequence[str], seen: Sequence[int]) -> None:
        """Start over with these devices, row i being `names[i]`."""
        self.__init__()  # type: ignore[misc]
        self.names = list(names)
        self._row = dict(zip(self.names, range(len(self.names)), strict=True))
        self._make_room(len(self.names))
        self._used[: len(self.names)] = True
        self.seen[: len(self.names)] = seen

    def _add(self, names: list[str]) -> list[int]:
        """Rows for devices that have none."""
        reused = [self._free.pop() for _ in names[: len(self._free)]]
        for row, name in zip(reused, names, strict=False):
            self.names[row] = name
        rows = [*reused, *range(len(self.names), len(self.names) + len(names) - len(reused))]
        self.names += names[len(reused) :]
        if len(self.names) > len(self.seen):
            self._make_room(len(self.names))
        self._row.update(zip(names, rows, strict=True))
        self._used[rows] = True
        return rows

    def _make_room(self, rows: int) -> None:
        room = max(rows, 2 * len(self.seen))
        seen, used = np.full(room, NEVER), np.zeros(room, bool)
        seen[: len(self.seen)], used[: len(self._used)] = self.seen, self._used
        self.seen, self._used = seen, used
