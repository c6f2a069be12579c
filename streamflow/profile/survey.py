"""Survey: what is seen of each device in one pass over batches, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamflow.core.batch import Batch, Mask, Rows, Times
from streamflow.core.index import Index
from streamflow.core.memory import Field, Memory
from streamflow.core.quality import Quality
from streamflow.core.state import Table

CHUNK = 65_536
"""So many readings are looked at at once; a repeated one is found within about so many."""
BUDGET = 256 << 20
"""Bytes for all devices; those that come later are only counted."""
SAMPLE = (256, 4096)
"""Readings kept of each device at the least and at the most, a uniform sample."""
TOP = 5
"""So many of a device's longest gaps are kept, and of its steps back in time."""
BINS = 256
DAY = 86_400 * 10**9
OLD = 946_684_800 * 10**9
"""2000-01-01: no clock that was ever set shows less."""
_LEAST_BACK = 1_500 * 10**9
"""A step back of less is disorder, not a clock that was set."""
_NONE = np.iinfo(np.int64).min
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))


class _Part(NamedTuple):
    """Readings sorted by device: those of `device[g]` are `start[g]` to `start[g + 1]`."""

    batch: Batch
    start: Rows
    device: NDArray[np.int32]
    code: NDArray[np.int32]
    """The device of each reading."""
    first: Mask
    """Where a device's readings begin."""
    rank: Rows
    """How many readings of its device came before each."""
    step: Times
    """From the device's reading before, 0 at its very first."""

    @property
    def time(self) -> Times:
        return self.batch.time

    @property
    def at(self) -> Rows:
        return self.start[:-1]

    @property
    def last(self) -> Rows:
        return self.start[1:] - 1


class Survey:
    """Takes batches in order of arrival, and keeps for each device counts, extremes and a sample.

    Parameters
    ----------
    sensors
        Which columns to look at.
    now
        The present, ns UTC: times a day behind it are from a clock that is wrong.
    """

    def __init__(self, sensors: Sequence[str], now: int) -> None:
        self.sensors = list(sensors)
        self.index = Index()
        self.beyond = 0
        """Readings of devices for which there was no room."""
        self.readings = 0
        self._now = now
        self._waiting: list[Batch] = []
        self._count = 0
        self._room = 0
        self._before = np.zeros(0, np.uint64)
        self._rng = np.random.default_rng(0)
        self.late = np.zeros(BINS, np.int64)
        """Late readings by how late, in quarters of a power of two of ns."""
        self._table: Table | None = None

    @property
    def table(self) -> dict[str, NDArray[Any]]:
        """Field -> a row for each device of `index`; see `_memory`."""
        return {} if self._table is None else self._table.columns

    def add(self, batch: Batch) -> None:
        """Take the next batch."""
        self._waiting.append(batch)
        self._count += len(batch)
        if self._count >= CHUNK:
            self.settle()

    def settle(self) -> None:
        """Look at what has been taken."""
        if not self._count:
            return
        batch = Batch.concat(self._waiting)
        self._waiting, self._count = [], 0
        self.readings += len(batch)
        rows, _ = self.index.locate(batch)
        if self._table is None:
            self._begin(len(self.index))
        assert self._table is not None
        self._table.grow(min(len(self.index.names), self._room))
        fits = rows < self._room
        if not fits.all():
            self.beyond += int(np.count_nonzero(~fits))
            batch, rows = batch.take(fits), rows[fits]
        batch = batch.replace(device=rows, devices=self.index.names)
        batch = self._once(batch)
        if len(batch):
            self._look(batch)

    def _begin(self, devices: int) -> None:
        s = len(self.sensors)
        row = 8 * (3 + 3 * s)
        size = int(np.clip(BUDGET // 4 // (row * max(devices, 1)), *SAMPLE))
        memory = _memory(size, s)
        self._room = max(BUDGET // memory.bytes_per_device, 16)
        self._table = Table(memory)

    def _once(self, batch: Batch) -> Batch:
        """The readings that are no copies of one before; the others are counted."""
        key = _hashes(batch, self.sensors)
        both = np.concatenate([self._before, key])
        _, first = np.unique(both, return_index=True)
        new = np.zeros(len(both), bool)
        new[first] = True
        new = new[len(self._before) :]
        self._before = key
        np.add.at(self.table["copies"], batch.device[~new], 1)
        return batch.take(new)

    def _look(self, batch: Batch) -> None:
        order, start, device = batch.groups
        batch = batch.take(order)
        t, time = self.table, batch.time
        first = np.zeros(len(batch), bool)
        first[start[:-1]] = True
        code = batch.device
        rank = np.arange(len(batch)) - np.repeat(start[:-1], np.diff(start)) + t["count"][code]
        before = np.concatenate([[0], time[:-1]])
        before[start[:-1]] = t["last"][device]
        step = np.where(rank > 0, time - before, 0)
        part = _Part(batch, start, device, code, first, rank, step)
        self._times(part)
        self._values(part)
        t["first"][device] = np.where(t["count"][device] == 0, time[part.at], t["first"][device])
        t["last"][device] = time[part.last]
        t["count"][device] += np.diff(start)

    def _times(self, part: _Part) -> None:
        t, time, step, at = self.table, part.time, part.step, part.at
        device, code = part.device, part.code
        t["old"][device] += np.add.reduceat(time < OLD, at)
        t["ahead"][device] += np.add.reduceat(time > self._now + DAY, at)
        t["same"][device] += np.add.reduceat((part.rank > 0) & (step == 0), at)
        forward = step > 0
        np.add.at(t["steps"], (code[forward], _bins(step[forward])), 1)
        _keep(t["gap"], t["gap_at"], code, step, time - step, forward)
        # A reading that is only late is followed by one where time was before.
        after = np.concatenate([step[1:], [0]])
        after[part.last] = 0
        back = (step <= -_LEAST_BACK) & (after < -step // 2)
        t["set_back"][device] += np.add.reduceat(back, at)
        _keep(t["back"], t["back_at"], code, -step, time, back)
        self._order(part)

    def _order(self, part: _Part) -> None:
        """Which readings come behind later ones; after a step of more than a day back, anew."""
        t, time, at, device = self.table, part.time, part.at, part.device
        anew = part.step < -DAY
        newest = _running_max(time, part.first | anew)
        was = np.where(t["count"][device] > 0, t["newest"][device], _NONE)
        times = np.cumsum(anew)
        sizes = np.diff(part.start)
        still = times == np.repeat(times[at] - anew[at], sizes)
        newest = np.where(still, np.maximum(newest, np.repeat(was, sizes)), newest)
        behind = newest - time
        t["late"][device] += np.add.reduceat(behind > 0, at)
        t["late_most"][device] = np.maximum(t["late_most"][device], np.maximum.reduceat(behind, at))
        np.add.at(self.late, _bins(behind[behind > 0]), 1)
        t["newest"][device] = newest[part.last]

    def _values(self, part: _Part) -> None:
        t, batch, device = self.table, part.batch, part.device
        at, last, rank = part.at, part.last, part.rank
        size = t["sample"].shape[1]
        # A uniform sample: reading number r takes a place with probability size / (r + 1).
        place = np.where(rank < size, rank, (self._rng.random(len(rank)) * (rank + 1)).astype(int))
        chosen = np.flatnonzero(place < size)
        where = (part.code[chosen], place[chosen])
        t["sample_time"][where] = part.time[chosen]
        t["sample_step"][where] = part.step[chosen]
        t["sample_lag"][where] = (part.time - batch.arrived)[chosen]
        for i, sensor in enumerate(self.sensors):
            values = batch[sensor]
            finite = np.isfinite(values)
            invalid = (batch.flags(sensor) & Quality.INVALID) != 0
            t["missing"][device, i] += np.add.reduceat(np.isnan(values), at)
            t["infinite"][device, i] += np.add.reduceat(np.isinf(values), at)
            t["invalid"][device, i] += np.add.reduceat(invalid, at)
            low = np.minimum.reduceat(np.where(finite, values, np.inf), at)
            high = np.maximum.reduceat(np.where(finite, values, -np.inf), at)
            t["low"][device, i] = np.minimum(t["low"][device, i], low)
            t["high"][device, i] = np.maximum(t["high"][device, i], high)
            before = np.concatenate([[np.nan], values[:-1]])
            before[at] = t["value"][device, i]
            with np.errstate(invalid="ignore", over="ignore"):
                change = values - before
            after = np.concatenate([-change[1:], [np.nan]])
            after[last] = np.nan
            lower = np.minimum(np.abs(change), np.abs(after))
            peak = np.where(np.sign(change) * np.sign(after) > 0, lower, 0.0)
            t["sample"][(*where, i)] = values[chosen]
            t["sample_change"][(*where, i)] = change[chosen]
            t["sample_peak"][(*where, i)] = peak[chosen]
            t["peak"][device, i] = np.maximum(t["peak"][device, i], np.maximum.reduceat(peak, at))
            same = values == before
            t["repeats"][device, i] += np.add.reduceat(same, at)
            self._runs(i, part, same)
            t["value"][device, i] = values[last]

    def _runs(self, i: int, part: _Part, same: Mask) -> None:
        """The longest run of equal values, over the edges of chunks."""
        t, time, device = self.table, part.time, part.device
        groups = np.arange(len(device))
        head = np.flatnonzero(part.first | ~same)
        length = np.diff(np.append(head, len(same)))
        began = time[head].copy()
        group = np.searchsorted(part.start, head, side="right") - 1
        goes_on = same[head]  # only at the first reading of a device
        length[goes_on] += t["run"][device[group[goes_on]], i]
        began[goes_on] = t["run_from"][device[group[goes_on]], i]
        ended = time[np.append(head[1:], len(same)) - 1]
        best = np.lexsort((-length, group))
        best = best[np.searchsorted(group[best], groups)]
        longer = length[best] > t["longest"][device, i]
        who = device[longer]
        t["longest"][who, i] = length[best][longer]
        t["longest_from"][who, i] = began[best][longer]
        t["longest_to"][who, i] = ended[best][longer]
        final = np.searchsorted(group, groups, side="right") - 1
        t["run"][device, i], t["run_from"][device, i] = length[final], began[final]


def _memory(size: int, sensors: int) -> Memory:
    """What is kept of a device."""
    whole = ("count", "copies", "old", "ahead", "same", "late", "late_most", "set_back")
    fields: dict[str, Any] = dict.fromkeys((*whole, "first", "last", "newest"), 0)
    fields["steps"] = Field(np.int32, 0, (BINS,))
    for name in ("gap", "gap_at", "back", "back_at"):
        fields[name] = Field(np.int64, 0, (TOP,))
    for name in ("sample_time", "sample_step", "sample_lag"):
        fields[name] = Field(np.int64, 0, (size,))
    for name in ("sample", "sample_change", "sample_peak"):
        fields[name] = Field(np.float64, 0, (size, sensors))
    numbers = ("missing", "infinite", "invalid", "repeats", "run", "longest")
    for name in (*numbers, "run_from", "longest_from", "longest_to"):
        fields[name] = Field(np.int64, 0, (sensors,))
    fields["low"] = Field(np.float64, np.inf, (sensors,))
    fields["high"] = Field(np.float64, -np.inf, (sensors,))
    fields["value"] = Field(np.float64, np.nan, (sensors,))
    fields["peak"] = Field(np.float64, 0, (sensors,))
    return Memory(fields)


def _hashes(batch: Batch, sensors: Sequence[str]) -> NDArray[np.uint64]:
    """A number for each reading, the same for the same device, time and values."""
    a, b = _MIX
    with np.errstate(over="ignore"):
        key = batch.time.view(np.uint64) * a ^ batch.device.astype(np.uint64) * b
        for sensor in sensors:
            values = np.where(np.isnan(batch[sensor]), np.nan, batch[sensor] + 0.0)
            key = (key ^ values.view(np.uint64)) * a
            key ^= key >> np.uint64(29)
    return key


def _bins(ns: Times) -> NDArray[np.intp]:
    """Quarters of a power of two."""
    return np.asarray(np.minimum(np.log2(ns) * 4, BINS - 1), np.intp)


def _running_max(time: Times, begin: Mask) -> Times:
    """The greatest time so far, anew from each reading where `begin` is true."""
    order = np.argsort(time, kind="stable")
    rank = np.empty(len(time), np.int64)
    rank[order] = np.arange(len(time))
    base = np.cumsum(begin) * len(time)
    return np.asarray(time[order][np.maximum.accumulate(rank + base) - base])


def _keep(
    top: NDArray[np.int64],
    top_at: NDArray[np.int64],
    code: NDArray[np.int32],
    size: Times,
    at: Times,
    where: Mask,
) -> None:
    """Keep each device's largest sizes and where they were; `top` is sorted, largest first."""
    better = np.flatnonzero(where & (size > top[code, -1]))
    order = better[np.lexsort((-size[better], code[better]))]
    own = code[order]
    rank = np.arange(len(order)) - np.searchsorted(own, own)
    for k in order[rank < TOP].tolist():
        row = code[k]
        if size[k] > top[row, -1]:
            i = int(np.searchsorted(-top[row], -size[k], side="right"))
            top[row, i + 1 :], top_at[row, i + 1 :] = top[row, i:-1], top_at[row, i:-1]
            top[row, i], top_at[row, i] = size[k], at[k]
