"""Which stage is compared with which loop: add a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.cleaning_speed import loops
from benchmarks.cleaning_speed.data import Row
from streamflow import Deduplicate, GuardClock, Reorder, Resample, Silent, Stage

Loop = Callable[[list[Row]], list[Row]]


@dataclass(frozen=True)
class Pair:
    """A stage, what makes a loop that does the same, and how many times faster the stage is."""

    stage: Stage
    loop: Callable[[], Loop]
    floor: float


PAIRS = (
    Pair(GuardClock(), loops.GuardClock, 20.0),
    Pair(Deduplicate(), loops.Deduplicate, 18.0),
    Pair(Reorder(lateness="5s"), loops.Reorder, 8.0),
    Pair(Silent(after="5s"), loops.Silent, 16.0),
    Pair(Resample(every="10s"), loops.Resample, 6.0),
)
"""The floors are for the full size."""
