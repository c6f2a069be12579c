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


@dataclass
class _Translation:
    devices: Sequence[str]
    rows: Codes


class Index:
    """Device name -> row. Rows of erased devices are given to new ones.

    `names` is the vocabulary of every batch inside the shard. It only grows while somebody may
    look at it: erasing starts a new list, so that batches on their way out keep their names.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.seen = np.full(16, NEVER)
        self._row: dict[str, int] = {}
        self._free: list[int] = []
        self._known: OrderedDict[int, _Translation] = OrderedDict()

    def __len__(self) -> int:
        return len(self._row)

    def row(self, name: str) -> int | None:
        """The row of a device, if it is known."""
        return self._row.get(name)

    def rows(self) -> Rows:
        """All rows in use, in order."""
        return np.array(sorted(self._row.values()), np.intp)

    def add(self, name: str) -> int:
        """The row of a device, new if need be."""
        row = self._row.get(name)
        if row is None:
            if self._free:
                row = self._free.pop()
                self.names[row] = name
            else:
                row = len(self.names)
                self.names.append(name)
            self._row[name] = row
            if row >= len(self.seen):
                self.seen = np.concatenate([self.seen, np.full(len(self.seen), NEVER)])
            self.seen[row] = NEVER
        return row

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
            room = np.full(2 * len(batch.devices), -1, np.int32)
            room[: len(known.rows)] = known.rows
            known.rows = room
        rows = known.rows[batch.device]
        new: list[int] = []
        missing = rows < 0
        if missing.any():
            before = len(self._row)
            for code in dict.fromkeys(batch.device[missing].tolist()):
                row = self.add(batch.devices[code])
                known.rows[code] = row
                if len(self._row) > before:
                    before = len(self._row)
                    new.append(row)
            rows = known.rows[batch.device]
        return rows, new

    def erase(self, rows: Sequence[int]) -> None:
        """Forget devices by row."""
        self.names = self.names.copy()
        for row in rows:
            del self._row[self.names[row]]
            self.names[row] = ""
            self.seen[row] = NEVER
        self._free.extend(sorted(rows, reverse=True))
        self._known.clear()

    def restore(self, names: Sequence[str], seen: Sequence[int]) -> None:
        """Start over with these devices, row i being `names[i]`."""
        self.__init__()  # type: ignore[misc]
        self.names = list(names)
        self._row = {name: row for row, name in enumerate(names)}
        self.seen = np.full(max(16, len(names)), NEVER)
        self.seen[: len(names)] = seen
