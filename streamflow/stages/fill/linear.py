"""The straight line between the good values on both sides of a gap."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from streamflow.core.batch import Batch, Groups, Mask
from streamflow.core.kernel import inlined, kernel
from streamflow.core.memory import Field
from streamflow.core.state import State
from streamflow.stages import lookahead
from streamflow.stages.fill.base import Fill, filled_in
from streamflow.stages.values import stacked

ROWS = 100
"""A gap of more readings is not filled, and no more of a device wait for its end."""


class Linear(Fill):
    """x[t] = x0 + (x1 - x0)(t - t0) / (t1 - t0); the gap's readings wait for x1."""

    holds = True

    @property
    def fields(self) -> Mapping[str, Field]:
        """The last good value of each sensor, when it was, and how long the gap is."""
        shape = (len(self.sensors),)
        return {
            "value": Field(np.float64, np.nan, shape),
            "time": Field(np.int64, 0, shape),
            "gap": Field(np.int64, 0, shape),
        }

    def on_batch(self, batch: Batch, state: State) -> Batch:
        """Fill gaps that have ended; hold back those that may end yet."""
        return lookahead.on_batch(batch, state, self._look(state))

    def on_tick(self, now: int, state: State) -> Batch | None:
        """What has waited for as long as a gap may last."""
        return lookahead.on_tick(now, state, self._look(state), self._wait)

    def on_end(self, state: State) -> Batch | None:
        """No gap will end any more."""
        return lookahead.on_end(state, self._look(state))

    @property
    def _wait(self) -> int:
        return min(self.limit, lookahead.LONGEST)

    def _look(self, state: State) -> lookahead.Look:
        def look(batch: Batch, now: int) -> tuple[Batch, Mask]:
            values, good = stacked(batch, self.sensors)
            filled, waits = np.zeros(values.shape, bool), np.zeros(len(batch), bool)
            known = (state["value"], state["time"], state["gap"], self._wait, now)
            readings = (batch.time, batch.arrived, values, good, filled, waits)
            complete = not np.isnan(values).any()
            interpolate(*known, *(_singly(batch) if complete else batch.groups), *readings)
            return filled_in(batch, self.sensors, values, filled), waits

        return look


def _singly(batch: Batch) -> Groups:
    """Each reading by itself: where no gap waits for its end, there is no need to sort."""
    return Groups(np.arange(len(batch)), np.arange(len(batch) + 1), batch.device)


@inlined
def _next_good(order, at, stop, most, since, limit, now, time, arrived, good):  # type: ignore[no-untyped-def]
    """The place of the next good value behind `at`; -1 if there is none in time, -2 if unknown."""
    i = order[at]
    found = -2 if now - arrived[i] < limit else -1
    for ahead in range(at + 1, stop):
        k = order[ahead]
        if arrived[k] - limit >= arrived[i] or time[k] - since > limit or ahead - at > most:
            found = -1
            break
        if good[k] and time[k] > time[i]:
            found = ahead
            break
    return found


@kernel
def interpolate(  # type: ignore[no-untyped-def]
    value, since, gap, limit, now, order, start, device, time, arrived, values, good, filled, waits
):
    """Fill `values` [d, n] in where they are missing, and set `filled` there, or `waits` [n]."""
    d = len(values)
    for g in range(len(device)):
        row, stop = device[g], start[g + 1]
        at = start[g]
        while at < stop:
            i = order[at]
            for j in range(d):
                if good[j, i] or not np.isnan(values[j, i]) or np.isnan(value[row, j]):
                    continue
                age = time[i] - since[row, j]
                most = ROWS - gap[row, j]
                if not 0 < age < limit or most <= 0:
                    continue
                found = _next_good(
                    order, at, stop, most, since[row, j], limit, now, time, arrived, good[j]
                )
                if found == -2:
                    waits[i] = True
                elif found >= 0:
                    k = order[found]
                    share = age / (time[k] - since[row, j])
                    x0, x1 = value[row, j], values[j, k]
                    values[j, i], filled[j, i] = x0 + (x1 - x0) * share, True
            if waits[i]:
                for j in range(d):
                    if filled[j, i]:
                        values[j, i], filled[j, i] = np.nan, False
                break
            for j in range(d):
                if good[j, i]:
                    value[row, j], since[row, j], gap[row, j] = values[j, i], time[i], 0
                elif np.isnan(values[j, i]) or filled[j, i]:
                    gap[row, j] += 1
            at += 1
        while at < stop:
            waits[order[at]] = True
            at += 1
