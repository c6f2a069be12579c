"""Hold a sensor's last good value, reading by reading, as a kernel."""

from __future__ import annotations

import numpy as np

from streamflow.models.kernels.base import kernel


@kernel
def hold(value, since, limit, rows, time, values, flags, filled):  # type: ignore[no-untyped-def]
    """Fill `values` [d, n] in where they are missing, and set `filled` there.

    State: each sensor's last good value and when it was, [devices, d]; `limit`, the greatest age
    of a value that is still used.
    """
    for i in range(len(rows)):
        row = rows[i]
        for j in range(len(values)):
            if np.isfinite(values[j, i]):
                if flags[j, i] == 0:
                    value[row, j], since[row, j] = values[j, i], time[i]
            elif np.isnan(values[j, i]) and not np.isnan(value[row, j]):
                age = time[i] - since[row, j]
                if 0 <= age <= limit:
                    values[j, i], filled[j, i] = value[row, j], True
