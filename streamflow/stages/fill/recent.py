"""The mean or the median of the last good values."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from streamflow.core.batch import Batch
from streamflow.core.kernel import kernel
from streamflow.core.memory import Field
from streamflow.core.state import State
from streamflow.stages.fill.base import Fill, filled_in
from streamflow.stages.values import stacked

WINDOW = 32
"""So many of the last good values."""


class Mean(Fill):
    """The mean of the last 32 good values."""

    median = False

    @property
    def fields(self) -> Mapping[str, Field]:
        """The last good values of each sensor, how many there have been, and when the last was."""
        d = len(self.sensors)
        return {
            "recent": Field(np.float64, 0, (d, WINDOW)),
            "count": Field(np.int64, 0, (d,)),
            "time": Field(np.int64, 0, (d,)),
        }

    def on_batch(self, batch: Batch, state: State) -> Batch:
        """In one kernel, which looks at the window only where there is a gap."""
        values, good = stacked(batch, self.sensors)
        filled = np.zeros(values.shape, bool)
        known = (state["recent"], state["count"], state["time"], self.limit, self.median)
        average(*known, batch.device, batch.time, values, good, filled)
        return filled_in(batch, self.sensors, values, filled)


class Median(Mean):
    """The median of the last 32 good values."""

    median = True


@kernel
def average(  # type: ignore[no-untyped-def]
    recent, count, since, limit, median, rows, time, values, good, filled
):
    """Fill `values` [d, n] in where they are missing, and set `filled` there."""
    ordered = np.empty(recent.shape[2])
    for i in range(len(rows)):
        row = rows[i]
        for j in range(len(values)):
            if good[j, i]:
                recent[row, j, count[row, j] % len(ordered)] = values[j, i]
                count[row, j] += 1
                since[row, j] = time[i]
            elif np.isnan(values[j, i]) and count[row, j] > 0:
                if not 0 <= time[i] - since[row, j] <= limit:
                    continue
                n = min(count[row, j], len(ordered))
                total = 0.0
                for k in range(n):
                    x = recent[row, j, k]
                    total += x
                    at = k
                    while median and at > 0 and ordered[at - 1] > x:
                        ordered[at] = ordered[at - 1]
                        at -= 1
                    ordered[at] = x
                middle = (ordered[n // 2] + ordered[(n - 1) // 2]) / 2
                values[j, i], filled[j, i] = middle if median else total / n, True
