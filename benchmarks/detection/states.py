"""How well a score tells, row by row, whether the state is normal: the measures of SKAB."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
START = 400
"""Rows of a run that are not judged: the first ones, from which a limit may be found."""


def measures(
    scores: Sequence[Values], limits: Sequence[float], anomaly: Sequence[Mask]
) -> dict[str, float]:
    """Of all runs together: F1, false alarm rate, missed alarm rate (both in %), AUC-PR.

    Parameters
    ----------
    scores
        Of each run, the score of each row.
    limits
        Of each run; a score above it is an alarm. For the AUC-PR scores are divided by it.
    anomaly
        Of each run, whether a row is labelled.

    Examples
    --------
    >>> score, labelled = np.tile([0.0, 1.0, 0.0, 1.0], 200), np.tile([False, True], 400)
    >>> measures([score], [0.5], [labelled])
    {'F1': 1.0, 'FAR': 0.0, 'MAR': 0.0, 'AUC-PR': 1.0}
    """
    parts = [
        (run[START:] / limit, labelled[START:])
        for run, limit, labelled in zip(scores, limits, anomaly, strict=True)
    ]
    score = np.nan_to_num(np.concatenate([part for part, _ in parts]))
    labels = np.concatenate([part for _, part in parts])
    alarm = score > 1
    hit, false = (alarm & labels).sum(), (alarm & ~labels).sum()
    return {
        "F1": float(2 * hit / max(alarm.sum() + labels.sum(), 1)),
        "FAR": float(100 * false / max((~labels).sum(), 1)),
        "MAR": float(100 * (labels.sum() - hit) / max(labels.sum(), 1)),
        "AUC-PR": area(labels, score),
    }


def area(labels: Mask, score: Values) -> float:
    """Average precision: the area under precision over recall; equal scores come together.

    >>> area(np.array([True, False, True]), np.array([3.0, 2.0, 1.0]))
    0.8333333333333333
    """
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(labels[order])
    last = np.flatnonzero(np.diff(score[order], append=-np.inf))
    precision, recall = hits[last] / (last + 1), hits[last] / hits[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))
