"""Budgets: how high a score must be for a device to raise so many episodes, and no more.

The kernel parts are called by `streamflow.stages.episode`, reading by reading.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from streamflow.core.duration import duration
from streamflow.core.memory import Field
from streamflow.errors import FlowError
from streamflow.models.kernels.base import inlined

KEPT = 8
"""The largest peaks that are kept of a generation."""
BLOCKS = 16
"""Blocks in the time in which the budget has one episode."""
GENERATION = 4
"""Episodes that the budget has in a generation: half of the peaks kept, for two are looked at."""
MATURE = 2.0
"""A device's own level counts for others once it has seen the time of so many episodes."""
FLEET = 15
"""The latest levels of devices that a fleet prior takes the median of."""
NEVER = np.iinfo(np.int64).min
_BUDGET = re.compile(r"\s*(\d+(?:\.\d+)?) per device per (hour|day|week|month|year)\s*")
_PER = {"hour": "1h", "day": "1d", "week": "7d", "month": "30d", "year": "365d"}


@dataclass(frozen=True)
class Budget:
    """So many episodes of a device in so much event time.

    Parameters
    ----------
    interval
        ns in which there is one.
    """

    interval: int

    @property
    def block(self) -> int:
        """ns of which the largest score is one peak."""
        return max(self.interval // BLOCKS, 1)

    @property
    def generation(self) -> int:
        """ns after which a generation of peaks makes room for the next."""
        return self.interval * GENERATION


def parse(step: str, text: str) -> Budget:
    """A budget as people write it.

    >>> parse("alert", "3 per device per week").interval // 10**9
    201600
    >>> parse("alert", "few")
    Traceback (most recent call last):
    ...
    streamflow.errors.FlowError: step 'alert': budget='few' is none; write it like '3 per device \
per week', with hour, day, week, month or year
    """
    found = _BUDGET.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise FlowError(
            f"step {step!r}: budget={text!r} is none; write it like '3 per device per week', "
            f"with hour, day, week, month or year"
        )
    if not float(found[1]):
        raise FlowError(
            f"step {step!r}: budget={text!r} allows no alert at all; allow some, as in "
            f"'1 per device per month', or leave the step out"
        )
    return Budget(max(round(duration(_PER[found[2]]) / float(found[1])), 1))


def fields() -> dict[str, Field]:
    """What is remembered of a device's scores: 232 bytes."""
    return {
        "flat": Field(np.float64, np.nan),  # the only score so far; infinite after a second one
        "last": Field(np.int64, NEVER),  # event time of the last score
        "block": Field(np.int64),  # time seen in this block
        "top": Field(np.float64, -np.inf),  # the block's largest score
        "level": Field(np.float64, np.inf),  # a score above it opens an episode
        "peaks": Field(np.float64, -np.inf, (2, KEPT)),  # of this and the last generation, falling
        "entries": Field(np.int64, 0, (2,)),  # blocks of each
        "span": Field(np.int64, 0, (2,)),  # time seen in each
        "spent": Field(np.int64, 0, (2,)),  # episodes opened in each
    }


@inlined
def observe(flat, last, block, interval, row, time, value):  # type: ignore[no-untyped-def]
    """Let the device's own clock run to this reading; False while its scores say nothing yet.

    Silence counts up to the interval. A late reading does not turn the clock back, unless by
    more than that: then it was ahead before.
    """
    if flat[row] != np.inf:
        if np.isnan(flat[row]):
            flat[row] = value
        elif value != flat[row]:
            flat[row] = np.inf
    counts = flat[row] == np.inf
    if counts:
        if last[row] == NEVER:
            last[row] = time
        step = time - last[row]
        if step > 0:
            block[row] += min(step, interval)
            last[row] = time
        elif step < -interval:
            last[row] = time
    return counts


@inlined
def keep(block, top, peaks, entries, span, spent, generation, row):  # type: ignore[no-untyped-def]
    """End the device's block: its largest score is a peak of this generation."""
    at = KEPT
    while at > 0 and peaks[row, 0, at - 1] < top[row]:
        if at < KEPT:
            peaks[row, 0, at] = peaks[row, 0, at - 1]
        at -= 1
    if at < KEPT:
        peaks[row, 0, at] = top[row]
    entries[row, 0] += 1
    span[row, 0] += block[row]
    block[row], top[row] = 0, -np.inf
    if span[row, 0] >= generation:
        for j in range(KEPT):
            peaks[row, 1, j] = peaks[row, 0, j]
            peaks[row, 0, j] = -np.inf
        entries[row, 1], span[row, 1] = entries[row, 0], span[row, 0]
        spent[row, 1] = spent[row, 0]
        entries[row, 0], span[row, 0], spent[row, 0] = 0, 0, 0


@inlined
def allowed(entries, span, spent, interval, row):  # type: ignore[no-untyped-def]
    """Which of the peaks kept a score must exceed, counted from the largest; 0 for none."""
    due = (span[row, 0] + span[row, 1]) / interval
    used = spent[row, 0] + spent[row, 1]
    rank = int(due + 0.5 - max(0.0, used - due))
    if rank < 1 or used + 1 > 2 * due:
        rank = 0
    return min(rank, (entries[row, 0] + entries[row, 1]) // 4)


@inlined
def ranked(peaks, rank, row):  # type: ignore[no-untyped-def]
    """The peak of this rank among those of both generations."""
    a, b, found = 0, 0, -np.inf
    for _ in range(rank):
        if b >= KEPT or (a < KEPT and peaks[row, 0, a] >= peaks[row, 1, b]):
            found = peaks[row, 0, a]
            a += 1
        else:
            found = peaks[row, 1, b]
            b += 1
    return found
