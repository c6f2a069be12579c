"""What was found: from the result of a flow back to the readings that went in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from streamflow import Batch, Quality
from streamflow.core.batch import Mask, Rows
from streamflow.engine.result import Result
from streamflow.testing import Truth

Where = Mapping[str, Mask]
"""Sensor -> bool[n], or "" -> bool[n] for readings as a whole."""
Find = Callable[[Result, Batch], Where]
Due = Callable[[Batch, Truth, str], Where]

AHEAD = 300 * 10**9
"""What `GuardClock` takes for right: an offset of 5 minutes."""


@dataclass(frozen=True)
class Count:
    """How many were found rightly, found wrongly, and missed."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.right + other.right, self.wrong + other.wrong, self.missed + other.missed)

    @property
    def due(self) -> int:
        """How many there were to find."""
        return self.right + self.missed

    @property
    def precision(self) -> float:
        """The share of what was found that is a fault; 1 of nothing."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        """The share of the faults that was found; 1 of none."""
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0


def numbers(batch: Batch) -> Rows:
    """The numbers of its readings."""
    known = np.array([int(word) for word in batch.tags["n"].vocabulary], np.intp)
    return known[batch.tags["n"].codes]


def flagged(flag: Quality) -> Find:
    """Values with a flag."""

    def find(result: Result, batch: Batch) -> Where:
        at = numbers(result.rows)
        out = {}
        for sensor in batch.columns:
            out[sensor] = np.zeros(len(batch), bool)
            out[sensor][at] = (result.rows.flags(sensor) & flag) != 0
        return out

    return find


def rejected(result: Result, batch: Batch) -> Where:
    """Readings that were set aside."""
    out = np.zeros(len(batch), bool)
    out[[int(row["n"]) for row in result.rejected]] = True
    return {"": out}


def retimed(result: Result, batch: Batch) -> Where:
    """Readings that were set aside, or given another time: a right one, or for a right one."""
    out = rejected(result, batch)[""]
    at, rows = numbers(result.rows), result.rows
    was, now = (np.abs(time - rows.arrived) <= AHEAD for time in (batch.time[at], rows.time))
    out[at] |= (rows.time != batch.time[at]) & (was | now)
    return {"": out}


def overtaking(result: Result, batch: Batch) -> Where:
    """Readings that came out before one that had come in before them, of the same device."""
    out = np.zeros(len(batch), bool)
    order, start, _ = result.rows.groups
    at = numbers(result.rows)[order]
    for a, b in zip(start[:-1].tolist(), start[1:].tolist(), strict=True):
        least = np.minimum.accumulate(at[a:b][::-1])[::-1]
        out[at[a:b]] = at[a:b] > least
    return {"": out}


def values(batch: Batch, truth: Truth, kind: str) -> Where:
    """All values at fault."""
    return {sensor: truth.value(kind, sensor) for sensor in batch.columns}


def readings(_: Batch, truth: Truth, kind: str) -> Where:
    """All readings at fault."""
    return {"": truth.reading(kind)}


def behind(count: int, *, changes: bool = False, equal: bool = False) -> Due:
    """The values at fault that have so many of their device's before them that are, in a row.

    With `changes`, only values other than the one before count; with `equal`, a row ends with one.
    """

    def due(batch: Batch, truth: Truth, kind: str) -> Where:
        order, start, _ = batch.groups
        first = np.zeros(len(batch), bool)
        first[start[:-1]] = True
        out = {}
        for sensor in batch.columns:
            at = truth.value(kind, sensor)[order]
            column = batch[sensor][order]
            same = np.concatenate([[False], column[1:] == column[:-1]])
            begin = first | ~at | np.concatenate([[True], ~at[:-1]])
            if equal:
                begin |= ~same
            counted = np.cumsum(~same if changes else np.ones(len(at), bool))
            head = np.maximum.accumulate(np.where(begin, np.arange(len(at)), 0))
            late = np.zeros(len(at), bool)
            late[order] = at & (counted - counted[head] >= count)
            out[sensor] = late
        return out

    return due


def judge(found: Where, before: Where, truth: Where, due: Where, origin: Rows) -> Count:
    """Count what was found beyond what is found in the untouched copy; there nothing counts."""
    total = Count()
    for key, at in found.items():
        new = ~before[key][origin]
        right = int(np.count_nonzero(at & due[key] & new))
        wrong = int(np.count_nonzero(at & ~truth[key] & new))
        missed = int(np.count_nonzero(~at & due[key] & new))
        total += Count(right, wrong, missed)
    return total
