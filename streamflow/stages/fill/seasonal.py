"""What is usual at this hour of the day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np

from streamflow.core.batch import Batch, Times
from streamflow.core.kernel import kernel
from streamflow.core.memory import Field
from streamflow.core.state import State
from streamflow.formats.times import zone
from streamflow.stages.fill.base import Fill, filled_in
from streamflow.stages.values import stacked

HOUR = 3600 * 10**9
_QUARTER = HOUR // 4
SLOT, READINGS = range(2)
"""`now`: the hour that is being averaged, and how many values are in it."""
DAYS = 5
"""A day weighs 1 in so many, once there have been as many."""


class Seasonal(Fill):
    """The mean of this hour of the day over the days before, a day's hour counting once."""

    @property
    def fields(self) -> Mapping[str, Field]:
        """The hour that is now, the profile of the day, and when the last good value was."""
        d = len(self.sensors)
        return {
            "now": Field(np.int64, 0, (d, 2)),
            "sum": Field(np.float64, 0, (d,)),
            "profile": Field(np.float64, 0, (d, 24)),
            "days": Field(np.int64, 0, (d, 24)),
            "time": Field(np.int64, 0, (d,)),
        }

    def on_batch(self, batch: Batch, state: State) -> Batch:
        """In one kernel, given the hours."""
        values, good = stacked(batch, self.sensors)
        filled = np.zeros(values.shape, bool)
        known = [state[name] for name in self.fields]
        hours = local_hours(batch.time, self.timezone)
        usual(*known, self.limit, batch.device, batch.time, hours, values, good, filled)
        return filled_in(batch, self.sensors, values, filled)


def local_hours(time: Times, timezone: str) -> Times:
    """Hours since 1970 on the clocks of a time zone.

    >>> (local_hours(np.array([0, 1_751_364_000 * 10**9]), "Europe/Berlin") % 24).tolist()
    [1, 12]
    """
    if timezone == "UTC":
        return time // HOUR
    quarters, back = np.unique(time // _QUARTER, return_inverse=True)
    offsets = np.array([_offset(quarter, timezone) for quarter in quarters.tolist()], np.int64)
    return np.asarray((time + offsets[back]) // HOUR)


@lru_cache(maxsize=4096)
def _offset(quarter: int, timezone: str) -> int:
    """What the clocks are ahead of UTC, in ns; they change at whole quarters of an hour."""
    moment = datetime.fromtimestamp(quarter * 900, UTC).astimezone(zone(timezone))
    ahead = moment.utcoffset()
    assert ahead is not None
    return round(ahead.total_seconds()) * 10**9


@kernel
def usual(  # type: ignore[no-untyped-def]
    now, total, profile, days, since, limit, rows, time, hours, values, good, filled
):
    """Fill `values` [d, n] in where they are missing, and set `filled` there."""
    for i in range(len(rows)):
        row = rows[i]
        for j in range(len(values)):
            own = now[row, j]
            if good[j, i]:
                if own[SLOT] != hours[i] and own[READINGS] > 0:
                    hour = own[SLOT] % 24
                    days[row, j, hour] += 1
                    mean = total[row, j] / own[READINGS]
                    weight = 1 / min(days[row, j, hour], DAYS)
                    profile[row, j, hour] += weight * (mean - profile[row, j, hour])
                    total[row, j], own[READINGS] = 0.0, 0
                own[SLOT] = hours[i]
                own[READINGS] += 1
                total[row, j] += values[j, i]
                since[row, j] = time[i]
                continue
            hour = hours[i] % 24
            known = days[row, j, hour] > 0 and 0 <= time[i] - since[row, j] <= limit
            if known and np.isnan(values[j, i]):
                values[j, i], filled[j, i] = profile[row, j, hour], True
