"""Steps of a sensor, reading by reading, as a kernel: values that suddenly lie on a coarse grid."""

from __future__ import annotations

import numpy as np

from streamflow.core.kernel import kernel
from streamflow.core.quality import Quality

LAST, STEP, USUAL = range(3)
"""`grid`: the last value, the step that recent changes are multiples of, the widest usual step."""
FITTING, CHANGES, SEEN = range(3)
"""`fits`: changes in a row that are multiples of the step; changes ever seen; any value seen."""
ENOUGH = 8
"""So many changes in a row that fit are no chance."""
LEARNED = 100
"""Changes after which a sensor's usual step is known."""
ACCEPTED = 1000
"""After so many changes in a row that fit, this is how the sensor is now."""
PRECISION = 1e-6
"""What two values differ by, relative to their size, without being different multiples."""
SPAN = 32
"""Changes of more steps than this say nothing about a grid."""
_COARSE = int(Quality.COARSE)


@kernel
def lattice(grid, fits, wider, rows, values, usable, flags):  # type: ignore[no-untyped-def]
    """Set COARSE in `flags` [d, n] for the values [d, n] that are usable.

    A value is coarse while all changes of late are multiples of a step that is at least `wider`
    times the widest that has been usual.
    """
    for i in range(len(rows)):
        row = rows[i]
        for j in range(len(values)):
            if not usable[j, i]:
                continue
            own, fit = grid[row, j], fits[row, j]
            x = values[j, i]
            if not fit[SEEN]:
                fit[SEEN], own[LAST] = 1, x
            change = abs(x - own[LAST])
            if change > 0:
                least = PRECISION * (abs(x) + abs(own[LAST]))
                own[LAST] = x
                fit[CHANGES] += 1
                step = own[STEP]
                times = np.rint(change / step) if step > 0 else 0.0
                if 0 < times <= SPAN and abs(change - step * times) <= least:
                    fit[FITTING] += 1
                else:
                    own[STEP] = change if change > 16 * least else 0.0
                    fit[FITTING] = 1
                if fit[FITTING] >= ENOUGH and own[STEP] > own[USUAL]:
                    known = fit[CHANGES] > LEARNED and fit[FITTING] <= ACCEPTED
                    if not known or own[STEP] < wider * own[USUAL]:
                        own[USUAL] = own[STEP]
            if fit[FITTING] >= ENOUGH and own[STEP] > own[USUAL]:
                flags[j, i] |= _COARSE
