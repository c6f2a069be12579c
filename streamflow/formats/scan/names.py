"""Names: the devices that a scan knows, in a hash table that a kernel can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow.core.kernel import kernel, part
from streamflow.formats.scan.words import PADDING, word

_FACTOR = np.uint64(0xFF51AFD7ED558CCD)
_ALL = np.uint64(2**64 - 1)


class Names:
    """The number of a name in a list that only grows.

    Parameters
    ----------
    table
        int32[a power of two], open addressing: numbers of names; -1 is free.
    text
        uint8: the names, each from a whole word on.
    start, size
        int64: where the text of each begins, and its bytes.
    """

    def __init__(self) -> None:
        self.table = np.full(64, -1, np.int32)
        self.text = np.zeros(1024, np.uint8)
        self.start = np.zeros(64, np.int64)
        self.size = np.zeros(64, np.int64)
        self._count = self._end = 0
        _enter(self.table, self.text, self.start, self.size, 0, 0)  # so that warm compiles it

    def update(self, names: Sequence[str]) -> None:
        """Take in what the list has grown by."""
        first, count = self._count, len(names)
        if first == count:
            return
        raw = [name.encode("utf-8", "surrogatepass") for name in names[first:]]
        size = np.array([len(one) for one in raw])
        ends = self._end + np.cumsum(size + -size % 8)
        self.text = _room(self.text, int(ends[-1]) + len(PADDING))
        self.start, self.size = _room(self.start, count), _room(self.size, count)
        self.start[first:count] = [self._end, *ends[:-1]]
        self.size[first:count] = size
        for start, one in zip(self.start[first:count].tolist(), raw, strict=True):
            self.text[start : start + len(one)] = np.frombuffer(one, np.uint8)
        self._count, self._end = count, int(ends[-1])
        if 2 * count > len(self.table):
            self.table = np.full(4 * (1 << count.bit_length()), -1, np.int32)
            first = 0
        _enter(self.table, self.text, self.start, self.size, first, count)


def _room(array: NDArray[Any], size: int) -> NDArray[Any]:
    """The array, with room for so many elements and as many again if it had to grow."""
    if size <= len(array):
        return array
    wider = np.zeros(2 * size, array.dtype)
    wider[: len(array)] = array
    return wider


@part
def _hash(data: Any, at: int, size: int) -> Any:
    key = np.uint64(size)
    while size > 0:
        eight = word(data, at)
        if size < 8:
            eight &= _ALL >> np.uint64(64 - 8 * size)
        key = (key ^ eight) * _FACTOR
        key ^= key >> np.uint64(32)
        at += 8
        size -= 8
    return key


@part
def _same(data: Any, at: int, text: Any, start: int, size: int) -> Any:
    while size >= 8:
        if word(data, at) != word(text, start):
            return False
        at += 8
        start += 8
        size -= 8
    if size == 0:
        return True
    return (word(data, at) ^ word(text, start)) << np.uint64(64 - 8 * size) == 0


@part
def find(data: Any, at: int, count: int, table: Any, text: Any, start: Any, size: Any) -> Any:
    """The number of the name of so many bytes that stands there; -1 if it is not known."""
    mask = np.uint64(len(table) - 1)
    slot = _hash(data, at, count) & mask
    while True:
        number = table[slot]
        if number < 0 or (size[number] == count and _same(data, at, text, start[number], count)):
            return np.int64(number)
        slot = (slot + np.uint64(1)) & mask


@kernel
def _enter(table: Any, text: Any, start: Any, size: Any, first: int, end: int) -> None:
    mask = np.uint64(len(table) - 1)
    for number in range(first, end):
        slot = _hash(text, start[number], size[number]) & mask
        while table[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        table[slot] = number
