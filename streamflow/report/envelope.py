"""Thin a series of readings for drawing, losing neither its extremes nor its gaps."""

from __future__ import annotations

from base64 import b64encode

import numpy as np
from numpy.typing import NDArray

POINTS = 3_000
"""A series of at most this many values is kept whole."""

BUCKETS = 1_500
"""Groups of equal size into which a longer series is cut; gaps cut some of them once more."""

GAPS = 500
"""A gap below this fraction of the series is under two pixels wide: it is not worth a cut."""

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


def envelope(time: Int64, value: Float64) -> tuple[Int64, Float64]:
    """Points whose line looks like the line through all readings.

    Up to `POINTS` values are kept as they are. Of more, every bucket keeps the rows of its lowest
    and of its highest value, at their own times, so no spike vanishes or moves. There are at most
    `BUCKETS` buckets and one more for every gap, of which at most `GAPS` are told apart.

    A gap becomes one point with the value NaN. It is a step in time of more than 10 usual steps
    (their median), or of more than 1.5 where rows without a value lie between. Measured on the
    rows that have a value, so two sensors that report in turn are two unbroken lines.

    Parameters
    ----------
    time
        int64[n], ns, ascending.
    value
        float64[n]; what is not finite is missing.

    Examples
    --------
    >>> import numpy as np
    >>> time, value = np.arange(5), np.array([1.0, 2.0, np.nan, 4.0, 5.0])
    >>> envelope(time, value)
    (array([0, 1, 1, 3, 4]), array([ 1.,  2., nan,  4.,  5.]))
    """
    seen = np.flatnonzero(np.isfinite(value))
    time, value = time[seen], value[seen]
    run = np.concatenate(([0], np.cumsum(_gaps(time, np.diff(seen) > 1))))[: seen.size]
    if seen.size > POINTS:
        rows = _extremes(value, run)
        time, value, run = time[rows], value[rows], run[rows]
    after = np.flatnonzero(np.diff(run)) + 1
    return np.insert(time, after, time[after - 1]), np.insert(value, after, np.nan)


def _gaps(time: Int64, missing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which steps between successive values are gaps; `missing`: rows were left out there."""
    step = np.diff(time)
    forward = step[step > 0]
    if not forward.size:
        return np.zeros(step.size, dtype=np.bool_)
    usual = np.where(missing, 1.5, 10.0) * np.median(forward)
    wide: NDArray[np.bool_] = step > np.maximum(usual, (time[-1] - time[0]) / GAPS)
    return wide


def _extremes(value: Float64, run: NDArray[np.int64]) -> NDArray[np.intp]:
    """Rows of the lowest and the highest value of each bucket; a bucket never spans two runs."""
    cuts = np.arange(BUCKETS) * value.size // BUCKETS
    starts = np.union1d(cuts, np.flatnonzero(np.diff(run)) + 1)
    bucket = np.repeat(np.arange(starts.size), np.diff(starts, append=value.size))
    rows = []
    for extreme in (np.minimum.reduceat(value, starts), np.maximum.reduceat(value, starts)):
        reached = np.flatnonzero(value == extreme[bucket])
        rows.append(reached[np.unique(bucket[reached], return_index=True)[1]])
    return np.union1d(*rows)


def pack(time: Int64, value: Float64) -> dict[str, object]:
    """A series as JSON values at 11 characters a point, for `page.js` to unpack.

    Time is `origin + unit * uint32` in ms; the unit is a power of ten ns, so whole seconds stay
    whole. Value is `base + float32`; the base is the median, so that a level far from zero keeps
    its detail. Values beyond ±1e38 are drawn there: float32 ends soon after.
    """
    if not time.size:
        return {"origin": 0, "unit": 1, "time": "", "base": 0, "value": ""}
    unit, span = 1, int(time[-1] - time[0])
    while span // unit >= 2**32:
        unit *= 10
    value = np.clip(value, -1e38, 1e38)
    base = float(np.nanmedian(value))
    return {
        "origin": int(time[0]) / 1e6,
        "unit": unit / 1e6,
        "time": _base64(((time - time[0]) // unit).astype("<u4")),
        "base": base,
        "value": _base64((value - base).astype("<f4")),
    }


def _base64(column: NDArray[np.generic]) -> str:
    return b64encode(column.tobytes()).decode("ascii")
