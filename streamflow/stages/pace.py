"""How fast values change, reading by reading, as a kernel."""

from __future__ import annotations

import numpy as np

from streamflow.core.kernel import kernel
from streamflow.core.quality import Quality

ROUNDING = 1e-12
"""Relative to the values: what a difference may be off by."""
_TOO_FAST = int(Quality.TOO_FAST)


@kernel
def pace(last, since, rates, rows, time, values, usable, flags):  # type: ignore[no-untyped-def]
    """Set TOO_FAST in `flags` [d, n] for the values [d, n] that are usable.

    `rates` [d] are per second. State, [devices, d]: the last value that was not too fast, and its
    time. At that very time there is no rate: the value passes, and does not take its place.
    """
    for i in range(len(rows)):
        row = rows[i]
        for j in range(len(values)):
            if not usable[j, i]:
                continue
            x, before = values[j, i], last[row, j]
            if not np.isnan(before):
                seconds = abs(time[i] - since[row, j]) / 1e9
                change = abs(x - before) - ROUNDING * (abs(x) + abs(before))
                if change > rates[j] * seconds:
                    if seconds > 0:
                        flags[j, i] |= _TOO_FAST
                    continue
            last[row, j], since[row, j] = x, time[i]
