"""Split: each reading to the shard of its device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from streamflow.core.batch import Batch
from streamflow.engine.intake import Parcel

Addressed = tuple[str, Parcel]
MOST_SHARDS = 2**16
"""A shard's number fits 16 bits, which NumPy sorts without comparing."""
END = np.iinfo(np.int64).max
"""The time to which a partition has come that has ended."""


class Splitter:
    """Splits the parcels of one source partition: crc32(device) % shards.

    With `tell_all` every shard hears how far the partition has come, also of what is not for it.

    >>> from streamflow.core.batch import Batch
    >>> names = ["pump-0", "pump-4", "pump-0"]
    >>> batch = Batch.of([{"device": name, "time": 0} for name in names], [])
    >>> [(key, part.batch and len(part.batch)) for key, part in
    ...  Splitter(2, "0").parcels(Parcel(3, 3, batch))]
    [('0', 2), ('1', 1), ('1', None)]
    """

    def __init__(self, shards: int, partition: str, *, tell_all: bool = False) -> None:
        self._shards = shards
        self._partition, self._tell_all = partition, tell_all
        self._home = str(crc32(partition.encode()) % shards)
        self._devices: Sequence[str] = ()
        self._shard_of = np.zeros(0, np.uint16)
        self._newest: int | None = None

    def parcels(self, parcel: Parcel) -> list[Addressed]:
        """One parcel for each shard, and one with the counts and the dead letters."""
        about: Any = {"polled": parcel.polled}
        counts = Parcel(parcel.received, parcel.decoded, dead=parcel.dead, **about)
        if parcel.batch is None or not len(parcel.batch):
            return [(self._home, counts)]
        newest = int(parcel.batch.arrived.max())
        self._newest = max(newest, self._newest or newest)
        shard = self._of(parcel.batch)
        readings = np.bincount(shard, minlength=self._shards)
        numbers = np.flatnonzero(readings).tolist()
        if self._tell_all:
            about |= {"partition": self._partition, "newest": self._newest}
        elif len(numbers) == 1 and not parcel.dead:
            return [(str(numbers[0]), parcel)]
        # Sorted once; what each shard is given is a view.
        order = np.argsort(shard, kind="stable")
        batch, origin = parcel.batch.take(order), parcel.origin and parcel.origin.take(order)
        ends = np.cumsum(readings)
        out = []
        for number in numbers:
            rows = slice(ends[number] - readings[number], ends[number])
            of = origin and origin.take(rows)
            part = Parcel(0, 0, batch.take(rows), of, live=parcel.live, **about)
            out.append((str(number), part))
        if self._tell_all:
            others = sorted(set(range(self._shards)).difference(numbers))
            out += [(str(number), Parcel(0, 0, live=parcel.live, **about)) for number in others]
        return [*out, (self._home, counts)]

    def last_tick(self) -> list[Addressed]:
        """The newest arrival, for all shards: local runs hear it, too."""
        ended: Any = {"partition": self._partition, "newest": END} if self._tell_all else {}
        if self._newest is None and not ended:
            return []
        return [(str(n), Parcel(0, 0, tick=self._newest, **ended)) for n in range(self._shards)]

    def marker(self) -> list[Addressed]:
        """The word that what was before it is durable."""
        return [(self._home, Parcel(0, 0, marker=True))]

    def stop(self) -> list[Addressed]:
        """The word that this is a stop, for all shards: one may be where no signal has come yet."""
        return [(str(n), Parcel(0, 0, stop=True)) for n in range(self._shards)]

    def _of(self, batch: Batch) -> NDArray[np.uint16]:
        if batch.devices is not self._devices:
            self._devices, self._shard_of = batch.devices, np.zeros(0, np.uint16)
        known = len(self._shard_of)
        if known < len(batch.devices):
            new = [crc32(name.encode()) % self._shards for name in batch.devices[known:]]
            self._shard_of = np.concatenate([self._shard_of, np.array(new, np.uint16)])
        out: NDArray[np.uint16] = self._shard_of[batch.device]
        return out
