"""What if: readings with one sensor as expected, scored before the reading itself is learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamflow.core.batch import Batch, Mask, Rows, Values
from streamflow.core.state import State
from streamflow.stages.usual import Numbers, usual

SUSPECT = 3.0
"""A reading with a value so many deviations off is looked into."""


@dataclass(frozen=True)
class WhatIf:
    """A batch in which shadows stand before each suspect reading, one for each sensor.

    A shadow is the reading with that sensor as expected. It is scored and never learned, so its
    score is what the device's own detector would have said to it, at that very moment.

    Parameters
    ----------
    batch
        Shadows and readings.
    shadow
        Which are shadows.
    sensor
        The sensor, by number, that a shadow is of.
    of
        The number of the reading that each is, or is a shadow of.
    """

    batch: Batch
    shadow: Mask
    sensor: Rows
    of: Rows

    @staticmethod
    def about(batch: Batch, sensors: Sequence[str], state: State) -> WhatIf:
        """Look for suspects, and put shadows before them."""
        _, expected, off = usual(batch, sensors, state)
        copies = np.where((off > SUSPECT).any(axis=1), len(sensors), 0)
        of = np.repeat(np.arange(len(batch)), copies + 1)
        first = np.cumsum(copies + 1) - copies - 1
        sensor = np.arange(len(of)) - first[of]
        shadow = sensor < copies[of]
        if not shadow.any():
            return WhatIf(batch, shadow, sensor, of)
        wide = batch.take(of)
        columns = {}
        for j, name in enumerate(sensors):
            mine = shadow & (sensor == j) & np.isfinite(wide[name])
            columns[name] = np.where(mine, expected[of, j], wide[name])
        return WhatIf(wide.with_columns(columns), shadow, sensor, of)

    def columns(self, scores: Values, names: Sequence[str]) -> tuple[Mask, dict[str, Values]]:
        """Which rows are the readings, and for each sensor the scores without it; else missing."""
        without: Numbers = np.full((len(names), int(np.count_nonzero(~self.shadow))), np.nan)
        at = self.shadow
        without[self.sensor[at], self.of[at]] = scores[at]
        return ~at, dict(zip(names, without, strict=True))
