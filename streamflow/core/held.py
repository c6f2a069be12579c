"""Held: the readings that one step of one shard holds back, a slot each in arrays that grow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow.core.batch import Batch, Codes, Rows, Words

_ROOM = 4096
"""Slots that are kept when nothing is held."""
_FREE = -1
_UNSEEN = -2


class Held:
    """A pool of slots: putting readings in or taking them out costs the same however many stay.

    Parameters
    ----------
    device, time, arrived
        Of the reading in each slot.
    links
        intp[slots, 2], for the step's own use: by it a device's readings can be chained. What
        stands there is not saved.

    Examples
    --------
    >>> held = Held()
    >>> batch = Batch.of([{"device": "a", "time": t, "x": 0.5} for t in (7, 5)], ["x"])
    >>> slots = held.put(batch)
    >>> held.take(slots[1:], ["a"]).time.tolist(), len(held)
    ([5], 1)
    """

    def __init__(self) -> None:
        self._count = self._next = 0
        self._clear()

    def _clear(self) -> None:
        self.device = np.zeros(0, np.int32)
        self.time = np.zeros(0, np.int64)
        self.arrived = np.zeros(0, np.int64)
        self.links = np.zeros((0, 2), np.intp)
        self._order = np.zeros(0, np.int64)  # the number of the reading, in order of arrival
        self._slots = np.zeros(0, np.intp)  # from `_count` on: the free ones
        self._columns: dict[str, NDArray[np.float64]] = {}
        self._quality: dict[str, NDArray[np.uint16]] = {}
        self._tags: dict[str, _Tag] = {}

    def __len__(self) -> int:
        return self._count

    def put(self, batch: Batch) -> Rows:
        """Hold readings; the slots they are in."""
        n = len(batch)
        first = self._count
        if first + n > len(self.time):
            self._grow(first + n)
        slots = self._slots[first : first + n].copy()
        self.device[slots], self.time[slots] = batch.device, batch.time
        self.arrived[slots] = batch.arrived
        self._order[slots] = np.arange(self._next, self._next + n)
        self._next += n
        self._count += n
        size = len(self.time)
        for name in _new(batch.columns, self._columns):
            self._columns[name] = np.full(size, np.nan)
        for name, column in self._columns.items():
            column[slots] = batch.columns.get(name, np.nan)
        for name in _new(batch.quality, self._quality):
            self._quality[name] = np.zeros(size, np.uint16)
        for name, flags in self._quality.items():
            flags[slots] = batch.quality.get(name, 0)
        for name in _new(batch.tags, self._tags):
            self._tags[name] = _Tag(size)
        for name, tag in self._tags.items():
            tag.put(slots, batch.tags.get(name))
        return slots

    def look(self, slots: Rows, devices: Sequence[str]) -> Batch:
        """The readings in these slots, over the vocabulary `devices`; they stay."""
        quality = {name: flags.take(slots) for name, flags in self._quality.items()}
        return Batch(
            devices,
            self.device.take(slots),
            self.time.take(slots),
            self.arrived.take(slots),
            {name: column.take(slots) for name, column in self._columns.items()},
            {name: Words(tag.codes.take(slots), tag.known) for name, tag in self._tags.items()},
            {name: flags for name, flags in quality.items() if flags.any()},
        )

    def free(self, slots: Rows) -> None:
        """Give slots back; each once."""
        self._order[slots] = _FREE
        self._count -= len(slots)
        self._slots[self._count : self._count + len(slots)] = slots
        if not self._count and len(self.time) > _ROOM:
            self._clear()

    def take(self, slots: Rows, devices: Sequence[str]) -> Batch:
        """The readings in these slots, which become free."""
        out = self.look(slots, devices)
        self.free(slots)
        return out

    def slots(self) -> Rows:
        """The slots in use, in order of arrival."""
        used = np.flatnonzero(self._order >= 0)
        return used[np.argsort(self._order[used])]

    def of(self, rows: Rows) -> Rows:
        """The slots of these devices' readings."""
        return np.flatnonzero((self._order >= 0) & np.isin(self.device, rows))

    def oldest(self) -> int | None:
        """The first arrival of those held."""
        return int(self.arrived[self._order >= 0].min()) if self._count else None

    def _grow(self, need: int) -> None:
        old = len(self.time)
        size = max(need, 2 * old, 64)

        def larger(array: NDArray[Any], fill: float) -> NDArray[Any]:
            new = np.full((size, *array.shape[1:]), fill, array.dtype)
            new[:old] = array
            return new

        self.device, self.time = larger(self.device, 0), larger(self.time, 0)
        self.arrived, self.links = larger(self.arrived, 0), larger(self.links, -1)
        self._order = larger(self._order, _FREE)
        self._columns = {name: larger(values, np.nan) for name, values in self._columns.items()}
        self._quality = {name: larger(flags, 0) for name, flags in self._quality.items()}
        for tag in self._tags.values():
            tag.codes = larger(tag.codes, -1)
        self._slots = np.concatenate([self._slots, np.arange(old, size)])


def _new(given: Iterable[str], known: Mapping[str, object]) -> list[str]:
    """Names not known yet, in the order given: a set's would be another in each process."""
    return [name for name in given if name not in known]


class _Tag:
    """A tag of the readings in the slots, over a vocabulary of its own."""

    def __init__(self, size: int) -> None:
        self.codes: Codes = np.full(size, -1, np.int32)
        self.known: list[str] = []
        self._code: dict[str, int] = {}
        self._from: Sequence[str] = ()
        self._own: Codes = np.array([-1], np.int32)

    def put(self, slots: Rows, words: Words | None) -> None:
        if words is None:
            self.codes[slots] = -1
            return
        if len(self.known) > 2 * len(self.codes):
            self._forget()
        if words.vocabulary is not self._from or len(self._own) <= len(self._from):
            self._from = words.vocabulary
            self._own = np.full(len(self._from) + 1, _UNSEEN, np.int32)
            self._own[-1] = -1  # where a missing word's code, -1, leads to
        codes = self._own[words.codes]
        new = codes == _UNSEEN
        if new.any():
            for code in np.unique(words.codes[new]).tolist():
                self._own[code] = self._number(self._from[code])
            codes = self._own[words.codes]
        self.codes[slots] = codes

    def _number(self, word: str) -> int:
        code = self._code.get(word)
        if code is None:
            code = self._code[word] = len(self.known)
            self.known.append(word)
        return code

    def _forget(self) -> None:
        """Keep the words in the slots only; batches that were given out keep the old list."""
        compact = Words(self.codes, self.known).compact()
        self.codes, self.known = compact.codes, list(compact.vocabulary)
        self._code = {word: code for code, word in enumerate(self.known)}
        self._from = ()
        self._own = np.array([-1], np.int32)
