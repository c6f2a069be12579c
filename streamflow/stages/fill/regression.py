"""What the sensor beside it that explains it best lets expect."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from streamflow.core.batch import Batch
from streamflow.core.kernel import inlined, kernel
from streamflow.core.memory import Field
from streamflow.core.state import State
from streamflow.stages.fill.base import Fill, filled_in
from streamflow.stages.values import stacked

N, MEAN_A, MEAN_B, VAR_A, VAR_B, COV = range(6)
"""`pairs`: of two sensors a < b, over the readings in which both are good."""
FORGETS = 1 / 1000
"""The least weight of a reading."""
PAIRS = 30
"""So many readings must have had both before one is told from the other."""
EXPLAINED = 0.5
"""The share of its variance that the other must explain: r squared."""
HUGE = 1e100
"""Values beyond are not learned: their squares would not be numbers."""


class Regression(Fill):
    """x_a = mean_a + cov / var_b (x_b - mean_b), b the sensor with the greatest r squared."""

    @property
    def fields(self) -> Mapping[str, Field]:
        """Moments of each pair of sensors, and when the last good value of each was."""
        d = len(self.sensors)
        return {
            "pairs": Field(np.float64, 0, (d * (d - 1) // 2, 6)),
            "time": Field(np.int64, 0, (d,)),
            "seen": Field(np.bool_, False, (d,)),
        }

    def on_batch(self, batch: Batch, state: State) -> Batch:
        """In one kernel."""
        values, good = stacked(batch, self.sensors)
        filled = np.zeros(values.shape, bool)
        known = (state["pairs"], state["time"], state["seen"], self.limit)
        regress(*known, batch.device, batch.time, values, good, filled)
        return filled_in(batch, self.sensors, values, filled)


@inlined
def _place(d, a, b):  # type: ignore[no-untyped-def]
    """Where the pair a < b is among all."""
    return a * d - a * (a + 1) // 2 + b - a - 1


@kernel
def regress(  # type: ignore[no-untyped-def]
    pairs, since, seen, limit, rows, time, values, good, filled
):
    """Fill `values` [d, n] in where they are missing, and set `filled` there."""
    d = len(values)
    for i in range(len(rows)):
        row = rows[i]
        for a in range(d):
            if not good[a, i]:
                continue
            since[row, a], seen[row, a] = time[i], True
            if abs(values[a, i]) > HUGE:
                continue
            for b in range(a + 1, d):
                if not good[b, i] or abs(values[b, i]) > HUGE:
                    continue
                own = pairs[row, _place(d, a, b)]
                own[N] += 1
                weight = max(1 / own[N], FORGETS)
                x, y = values[a, i] - own[MEAN_A], values[b, i] - own[MEAN_B]
                own[MEAN_A] += weight * x
                own[MEAN_B] += weight * y
                own[VAR_A] = (1 - weight) * (own[VAR_A] + weight * x * x)
                own[VAR_B] = (1 - weight) * (own[VAR_B] + weight * y * y)
                own[COV] = (1 - weight) * (own[COV] + weight * x * y)
        for j in range(d):
            if not np.isnan(values[j, i]) or not seen[row, j]:
                continue
            if not 0 <= time[i] - since[row, j] <= limit:
                continue
            best, expected = EXPLAINED, np.nan
            for k in range(d):
                if k == j or not good[k, i]:
                    continue
                own = pairs[row, _place(d, min(j, k), max(j, k))]
                other = own[VAR_B] if j < k else own[VAR_A]
                explained = own[COV] / own[VAR_A] * (own[COV] / own[VAR_B])
                if own[N] >= PAIRS and explained >= best:
                    best = explained
                    at, of = (own[MEAN_A], own[MEAN_B]) if j < k else (own[MEAN_B], own[MEAN_A])
                    expected = at + own[COV] / other * (values[k, i] - of)
            if np.isfinite(expected):
                values[j, i], filled[j, i] = expected, True
