"""The Hampel identifier, reading by reading, as a kernel that looks ahead."""

from __future__ import annotations

import numpy as np

from streamflow.core.quality import Quality
from streamflow.models.kernels.base import inlined, kernel

SPREAD = 1 / 200
"""The weight of a value in the usual deviation from the median."""
MAD = 1.4826
"""Standard deviations in a median absolute deviation of normal values."""
DEVIATIONS = 1.2533
"""Standard deviations in a mean absolute deviation of normal values."""
_SPIKE = int(Quality.SPIKE)


@inlined
def _replace(ordered, n, old, new):  # type: ignore[no-untyped-def]
    """Take `old` out of n ordered values, and put `new` into its place in the order."""
    k = 0
    while k < n - 1 and ordered[k] != old:
        k += 1
    while k > 0 and ordered[k - 1] > new:
        ordered[k] = ordered[k - 1]
        k -= 1
    while k < n - 1 and ordered[k + 1] < new:
        ordered[k] = ordered[k + 1]
        k += 1
    ordered[k] = new


@inlined
def _median_distance(ordered, n):  # type: ignore[no-untyped-def]
    """The median of |x - median|: the two ends of what is nearest to the median move outwards."""
    half = n // 2
    middle = ordered[half]
    low, high, distance = half, half, 0.0
    for _ in range(half):
        down = middle - ordered[low - 1] if low > 0 else np.inf
        up = ordered[high + 1] - middle if high < n - 1 else np.inf
        if down < up:
            low, distance = low - 1, down
        else:
            high, distance = high + 1, up
    return distance


@kernel
def hampel(  # type: ignore[no-untyped-def]
    recent, ordered, spread, away, count, sigmas, confirm, wait, now, order, start, device, arrived,
    values, usable, flags, waits
):  # fmt: skip
    """Set SPIKE in `flags` [d, n] for the values [d, n] that are usable.

    `waits` is set for the readings about which the next ones must say more. State, [devices, d]:
    the last values and the same in order, the usual deviation from the median, the last
    spike, how many values have been seen and how many in a row were spikes.
    """
    d, width = len(values), recent.shape[2]
    for g in range(len(device)):
        row = device[g]
        first, stop = start[g], start[g + 1]
        at = first
        while at < stop:
            i = order[at]
            until = min(at + confirm, stop - 1)
            told = until == at + confirm
            closed = now - arrived[i] >= wait
            for ahead in range(at + 1, until + 1):
                if arrived[order[ahead]] - wait >= arrived[i]:
                    until, closed = ahead - 1, True
                    break
            if not (told or closed):
                # Must any of its values wait?
                for j in range(d):
                    if usable[j, i] and count[row, j, 0] >= width:
                        middle = ordered[row, j, width // 2]
                        far = abs(values[j, i] - middle)
                        if far > sigmas * spread[row, j] and far > sigmas * MAD * _median_distance(
                            ordered[row, j], width
                        ):
                            waits[i] = True
                if waits[i]:
                    break
            for j in range(d):
                if not usable[j, i]:
                    continue
                x = values[j, i]
                seen = count[row, j]
                if seen[0] < width:
                    # Fill the window, in order.
                    k = seen[0]
                    recent[row, j, k] = x
                    while k > 0 and ordered[row, j, k - 1] > x:
                        ordered[row, j, k] = ordered[row, j, k - 1]
                        k -= 1
                    ordered[row, j, k] = x
                    seen[0] += 1
                    continue
                middle = ordered[row, j, width // 2]
                far = abs(x - middle)
                limit = sigmas * spread[row, j]
                if far > limit:
                    limit = max(limit, sigmas * MAD * _median_distance(ordered[row, j], width))
                if far > limit:
                    # Where nothing follows in time: has what was far before been near to it?
                    agree = seen[1] >= confirm and abs(x - away[row, j]) < far
                    for ahead in range(at + 1, until + 1):
                        if usable[j, order[ahead]]:
                            y = values[j, order[ahead]]
                            agree = abs(y - x) < abs(y - middle)
                            if not agree:
                                break
                    if not agree:
                        flags[j, i] |= _SPIKE
                        seen[1] += 1
                        away[row, j] = x
                        usual = DEVIATIONS * (limit if limit > 0 else far)
                        spread[row, j] += SPREAD * (usual - spread[row, j])
                        continue
                    # A new level: what is known of the old one moves along.
                    for k in range(width):
                        recent[row, j, k] += x - middle
                        ordered[row, j, k] += x - middle
                    far = 0.0
                seen[1] = 0
                k = seen[0] % width
                _replace(ordered[row, j], width, recent[row, j, k], x)
                recent[row, j, k] = x
                seen[0] += 1
                weight = max(SPREAD, 1 / (seen[0] - width))
                spread[row, j] += weight * (DEVIATIONS * far - spread[row, j])
            at += 1
        while at < stop:
            waits[order[at]] = True
            at += 1
