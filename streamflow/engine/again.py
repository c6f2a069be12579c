"""Again: readings of messages that a source gives a second time are recognised and counted once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from streamflow.core.batch import Mask, Rows
from streamflow.core.connect import Decoded, Messages

Ids = NDArray[np.int64]
Place = tuple[str, str]
"""A source step and its partition."""
_SMALLEST = 1024
_ORDINAL = np.int64(0x1E3779B97F4A7C15)
_DEVICE = np.int64(0x42B2AE3D27D4EB4F)


@dataclass(frozen=True, eq=False)
class Origin:
    """Where the readings of a parcel came from.

    Parameters
    ----------
    source, partition
        The step, and its partition.
    ids
        int64[n], what makes each reading itself; never 0.
    message
        intp[n], the message that each came in; never falling.
    """

    source: str
    partition: str
    ids: Ids
    message: Rows

    def take(self, rows: Rows | slice) -> Origin:
        """The same of some readings."""
        return Origin(self.source, self.partition, self.ids[rows], self.message[rows])


class Namer:
    """Names the readings of one partition: 63 bits that are the same when they come again.

    A reading is known by its message, its device and which of that device's message it is. A
    message is known by the id that its source gives, else by its bytes and by what its transport
    said of it.
    """

    def __init__(self, source: str, partition: str) -> None:
        self._source, self._partition = source, partition
        self._devices: NDArray[np.int64] = np.zeros(0, np.int64)

    def origin(self, messages: Messages, decoded: Decoded) -> Origin:
        """Where these readings came from."""
        batch, message = decoded
        known = len(self._devices)
        if known < len(batch.devices):  # a partition's names only become more
            new = [crc32(name.encode()) for name in batch.devices[known:]]
            self._devices = np.concatenate([self._devices, np.array(new, np.int64)])
        ids = _hashes(messages)[message] + self._devices[batch.device] * _DEVICE
        first = np.searchsorted(message, message)
        ids += (np.arange(len(message)) - first) * _ORDINAL
        return Origin(self._source, self._partition, np.where(ids == 0, 1, ids), message)


def _hashes(messages: Messages) -> Ids:
    if messages.ids is not None:
        told = messages.ids
    elif messages.fields:
        words = zip(*messages.fields.values(), strict=True)
        lines = ["\x1f".join(["" if w is None else w for w in of]).encode() for of in words]
        told = [b"\x1e".join(pair) for pair in zip(lines, messages.payloads, strict=True)]
    else:
        told = messages.payloads
    from streamflow.engine import again_kernels

    out = np.empty(len(told), np.int64)
    end = np.cumsum(np.fromiter(map(len, told), np.int64, len(told)))
    again_kernels.hashes(np.frombuffer(b"".join(told), np.uint8), end, out)
    return out


class Seen:
    """The readings that came lately, by their ids.

    Each partition has two sets of ids. When the present one holds the readings of `window`
    messages it becomes the one before, and an empty one takes its place: what is remembered is
    always between one window and two.

    >>> seen = Seen({"mqtt": 2}, [("mqtt", "0")])
    >>> ids, message = np.array([11, 12, 11]), np.arange(3)
    >>> seen.new(Origin("mqtt", "0", ids, message)).tolist()
    [True, True, False]
    """

    def __init__(self, windows: Mapping[str, int], partitions: Collection[Place]) -> None:
        self._windows = windows
        self._sets = {key: [_Set(), _Set()] for key in partitions}
        self._messages = dict.fromkeys(partitions, 0)

    def new(self, origin: Origin) -> Mask:
        """bool[n]: which of these readings come for the first time; from now on all are known."""
        key, ids = (origin.source, origin.partition), origin.ids
        new = np.ones(len(ids), np.bool_)
        now, before = self._sets[key]
        others = [s for k, s in self._sets.items() if k[0] == origin.source and k != key]
        for one in (before, *chain.from_iterable(others)):
            one.exclude(ids, new)
        now.add(ids, new)
        if new.any():
            self._messages[key] += 1 + int(np.count_nonzero(np.diff(origin.message[new])))
        if self._messages[key] >= self._windows[origin.source]:
            self._sets[key] = [_Set(), now]
            self._messages[key] = 0
        return new

    def snapshot(self) -> dict[str, Any]:
        """What is known, as a plain tree."""
        return {
            "/".join(key): {
                "messages": self._messages[key],
                "now": now.ids(),
                "before": before.ids(),
            }
            for key, (now, before) in self._sets.items()
        }

    def restore(self, tree: Mapping[str, Any]) -> None:
        """Know it again; what partitions knew that are no more is let go."""
        for key, sets in self._sets.items():
            saved = tree.get("/".join(key))
            if saved is not None:
                self._messages[key] = saved["messages"]
                for one, name in zip(sets, ("now", "before"), strict=True):
                    one.add(saved[name], np.ones(len(saved[name]), np.bool_))


class _Set:
    """A set of numbers other than 0, in a table of open addressing."""

    def __init__(self) -> None:
        self._table = np.zeros(0, np.int64)
        self._count = 0

    def exclude(self, ids: Ids, new: Mask) -> None:
        """Clear `new` where the set holds an id."""
        if self._count:
            from streamflow.engine import again_kernels

            again_kernels.exclude(self._table, ids, new)

    def add(self, ids: Ids, new: Mask) -> None:
        """Take ids in where `new` is set, and clear it where the set holds them already."""
        from streamflow.engine import again_kernels

        if 2 * (self._count + len(ids)) > len(self._table):
            size = _SMALLEST
            while size < 4 * (self._count + len(ids)):
                size *= 2
            old, self._table = self.ids(), np.zeros(size, np.int64)
            again_kernels.add(self._table, old, np.ones(len(old), np.bool_))
        again_kernels.add(self._table, ids, new)
        self._count += int(np.count_nonzero(new))

    def ids(self) -> Ids:
        """The numbers."""
        out: Ids = self._table[self._table != 0]
        return out
