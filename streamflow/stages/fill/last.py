"""The last good value."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from streamflow.core.batch import Batch
from streamflow.core.kernel import kernel
from streamflow.core.memory import Field
from streamflow.core.state import State
from streamflow.stages.fill.base import Fill, filled_in
from streamflow.stages.values import stacked


class Last(Fill):
    """x[t] = x[t0], t0 the time of the last good value in arrival order."""

    @property
    def fields(self) -> Mapping[str, Field]:
        """The last good value of each sensor, and when it was."""
        shape = (len(self.sensors),)
        return {"value": Field(np.float64, np.nan, shape), "time": Field(np.int64, 0, shape)}

    def on_batch(self, batch: Batch, state: State) -> Batch:
        """In one kernel."""
        values, good = stacked(batch, self.sensors)
        filled = np.zeros(values.shape, bool)
        known = (state["value"], state["time"], self.limit)
        hold(*known, batch.device, batch.time, values, good, filled)
        return filled_in(batch, self.sensors, values, filled)


@kernel
def hold(value, since, limit, rows, time, values, good, filled):  # type: ignore[no-untyped-def]
    """Fill `values` [d, n] in where they are missing, and set `filled` there.

    State: each sensor's last good value and when it was, [devices, d]; `limit`, the greatest age
    of a value that is still used.
    """
    for i in range(len(rows)):
        row = rows[i]
        for j in range(len(values)):
            if good[j, i]:
                value[row, j], since[row, j] = values[j, i], time[i]
            elif np.isnan(values[j, i]) and not np.isnan(value[row, j]):
                age = time[i] - since[row, j]
                if 0 <= age <= limit:
                    values[j, i], filled[j, i] = value[row, j], True
