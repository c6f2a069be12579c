"""What is usual for each sensor of a device: a running mean and deviation, as a kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow.core.batch import Batch
from streamflow.core.kernel import kernel
from streamflow.core.memory import Field
from streamflow.core.state import State
from streamflow.models.kernels.base import inputs

FEW = 20
"""Before so many good values nothing is unusual."""
WEIGHT = 0.01
"""The least weight of a value: about the last hundred count."""
FARTHEST = 1e6
Numbers = NDArray[np.float64]


def fields(sensors: Sequence[str]) -> Mapping[str, Field]:
    """What is remembered of each sensor: 24 bytes."""
    shape = (len(sensors),)
    return {
        "usual_count": Field(np.float64, 0.0, shape),
        "usual_mean": Field(np.float64, np.nan, shape),
        "usual_var": Field(np.float64, 0.0, shape),
    }


def usual(batch: Batch, sensors: Sequence[str], state: State) -> tuple[Numbers, Numbers, Numbers]:
    """The values, what was expected of each, and how far off it is, in deviations; [n, d] each.

    m += a (x - m), v = (1 - a) (v + a (x - m)^2), a = max(1/n, 0.01), over the good values before.
    """
    seen, good = inputs(batch, sensors)
    expected, off = np.empty_like(seen.values), np.empty_like(seen.values)
    known: list[NDArray[Any]] = [state[name] for name in fields(sensors)]
    _usual(*known, batch.device, seen.values, seen.present, good.present, expected, off)
    return seen.values, expected, off


@kernel
def _usual(count, mean, var, rows, values, present, good, expected, off):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        row = rows[i]
        for j in range(values.shape[1]):
            x, m = values[i, j], mean[row, j]
            expected[i, j], off[i, j] = m, 0.0
            if present[i, j] and count[row, j] >= FEW:
                spread = max(np.sqrt(var[row, j]), 1e-9 * abs(m), 1e-300)
                off[i, j] = min(abs(x - m) / spread, FARTHEST)
            if good[i, j]:
                count[row, j] += 1.0
                if count[row, j] == 1.0:
                    mean[row, j] = x
                else:
                    a, d = max(1.0 / count[row, j], WEIGHT), x - m
                    mean[row, j] = m + a * d
                    var[row, j] = (1.0 - a) * (var[row, j] + a * d * d)
