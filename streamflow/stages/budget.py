"""Budgets: how many episodes a device may raise, and what is remembered to keep to it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from streamflow.core.duration import duration
from streamflow.core.memory import Field
from streamflow.errors import FlowError
from streamflow.stages.phases import KEPT, NEVER

BLOCKS = 16
"""Blocks in the time in which the budget has one episode."""
GENERATION = 4
"""Episodes that the budget has in a generation: half of the peaks kept, for two are looked at."""
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
