"""VUS-PR: the area under precision and recall, with labels whose edges are uncertain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamflow.core.batch import Rows, Values

WIDEST = 100
"""The widest buffer around a window, in rows; half of it lies on either side."""
_STEP, _THRESHOLDS = 5, 250


def vus_pr(score: Values, windows: Sequence[tuple[int, int]]) -> float | None:
    """The volume under the precision-recall surface; None without a window.

    For buffers of 0, 5, ... 100 rows the labels get ramps sqrt(1 - distance / buffer) on both
    sides, half a buffer long. Each buffer gives the area under precision and recall over 250
    thresholds, where recall is also multiplied by the share of windows that are touched. Their
    mean is the volume. A random score has about the share of labelled rows, a perfect one 1.

    Parameters
    ----------
    score
        float64[n], in order of time, higher is more anomalous; NaN counts as lowest.
    windows
        First and last row of each, in order, without overlap.

    Examples
    --------
    >>> score = np.zeros(1000)
    >>> score[500:600] = 1.0
    >>> vus_pr(score, [(500, 599)]) > 0.9 > vus_pr(-score, [(500, 599)])
    True

    References
    ----------
    Paparrizos et al.: Volume Under the Surface: A New Accuracy Evaluation Measure for Time-Series
    Anomaly Detection. PVLDB 15(11), 2022. The form of TSB-AD.
    """
    if not windows:
        return None
    score = np.where(np.isnan(score), -np.inf, score)
    size = len(score)
    label = np.zeros(size)
    for first, last in windows:
        label[first : last + 1] = 1.0
    order = np.argsort(-score, kind="stable")
    falling = score[order]
    cuts = falling[np.linspace(0, size - 1, _THRESHOLDS).astype(int)]
    taken = np.searchsorted(-falling, -cuts, side="right")
    areas = [
        _area(_soft(label, windows, buffer), label, score, order, cuts, taken)
        for buffer in range(0, WIDEST + 1, _STEP)
    ]
    return float(np.mean(areas))


def _soft(label: Values, windows: Sequence[tuple[int, int]], buffer: int) -> Values:
    """The labels with ramps on both sides of each window."""
    out, half = label.copy(), buffer // 2
    for first, last in windows if half else ():
        after = np.arange(last + 1, min(last + half + 1, len(label)))
        before = np.arange(max(first - half, 0), first)
        out[after] += np.sqrt(1 - (after - last) / buffer)
        out[before] += np.sqrt(1 - (first - before) / buffer)
    return np.minimum(out, 1.0)


def _area(
    soft: Values, label: Values, score: Values, order: Rows, cuts: Values, taken: Rows
) -> float:
    """The area under precision and recall for labels with one buffer."""
    marked = np.concatenate([[0.0], soft > 0, [0.0]])
    starts, ends = np.flatnonzero(np.diff(marked) > 0), np.flatnonzero(np.diff(marked) < 0)
    peaks = np.array([score[a:b].max() for a, b in zip(starts, ends, strict=True)])
    touched = (peaks[None, :] >= cuts[:, None]).mean(axis=1)
    hits = np.append(0.0, np.cumsum(soft[order]))[taken]
    # A buffer counts as something to find only where it was predicted.
    ramp = np.append(0.0, np.cumsum(np.where(label[order] > 0, 0.0, soft[order])))[taken]
    wanted = (2 * label.sum() + ramp) / 2
    recall = np.append(0.0, np.minimum(hits / wanted, 1) * touched)
    precision = hits / np.maximum(taken, 1)
    return float(np.sum(np.diff(recall) * precision))
