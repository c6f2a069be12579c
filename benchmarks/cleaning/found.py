"""What was found: from the result of a flow back to the readings that went in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass

import numpy as np

from streamflow import Batch, Quality
from streamflow.core.batch import Codes, Mask, Rows
from streamflow.engine.result import Result

Where = Mapping[str, Mask]
"""Sensor -> bool[n], or "" -> bool[n] for readings as a whole."""
Find = Callable[[Result, Batch], Where]

AHEAD = 300 * 10**9
"""What `GuardClock` takes for right: an offset of 5 minutes."""


@dataclass(frozen=True)
class Count:
    """What was found rightly and wrongly; of what was to be found, how much was, and was not."""

    right: int = 0
    wrong: int = 0
    met: int = 0
    missed: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    @property
    def due(self) -> int:
        """How many there were to find."""
        return self.met + self.missed

    @property
    def precision(self) -> float:
        """The share of what was found that is a fault; 1 of nothing."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        """The share of what was to be found that was; 1 of nothing."""
        return self.met / self.due if self.due else 1.0


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


def judge(
    found: Where, before: Where, truth: Where, due: Where, origin: Rows, whole: Codes | None
) -> Count:
    """Count what was found beyond what is found in the untouched copy; there nothing counts.

    `whole`, the devices of the readings, is given where a fault is met once any of it is found.
    """
    total = Count()
    for key, at in found.items():
        new = ~before[key][origin]
        right, want = at & truth[key] & new, due[key] & new
        wrong = int(np.count_nonzero(at & ~truth[key] & new))
        if whole is None:
            met, missed = np.count_nonzero(at & want), np.count_nonzero(~at & want)
        else:
            wanted = np.unique(whole[want])
            met = np.count_nonzero(np.isin(wanted, whole[right]))
            missed = len(wanted) - met
        total += Count(int(np.count_nonzero(right)), wrong, int(met), int(missed))
    return total
