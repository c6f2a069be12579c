"""anomaly.QuantileFilter: a reading that scores above a running quantile is not learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import copysign
from struct import Struct
from typing import Any, Self

import numpy as np

from streamflow.core.batch import Codes, Mask, Values
from streamflow.core.memory import Field
from streamflow.models.kernels.base import Fields, Filter, kernel

SORTED = 6
"""`count` of a device whose five heights are in order: the sixth score has come."""
_RIVER = Struct("<26d2B")
"""River's quantile as its `__getstate__` has it: q, five increments, desired positions, positions
and heights, five more numbers, and how many heights there are and whether they are in order."""


@kernel
def _passes(height, position, wanted, count, q, rows, scores, learn, out):  # type: ignore[no-untyped-def]
    steps = np.array([0.0, q / 2.0, q, (1.0 + q) / 2.0, 1.0])
    for i in range(len(rows)):
        if not learn[i]:
            out[i] = False
            continue
        row, score = rows[i], scores[i]
        known = count[row]
        bar = 0.0
        if known == SORTED:
            bar = height[row, 2]
        elif known > 0:
            few = np.sort(height[row, :known])
            bar = few[int(min(known - 1.0, known * q))]
        # To River a quantile of 0 is none.
        out[i] = bar == 0.0 or not score >= bar
        if np.isnan(score):
            continue
        h, n, d = height[row], position[row], wanted[row]
        if known < 5:
            h[known] = score
            count[row] = known + 1
            continue
        if known == 5:
            h[:] = np.sort(h)
            count[row] = SORTED
        cell = 4
        if score < h[0]:
            h[0] = score
            cell = 1
        else:
            for k in range(1, 5):
                if h[k - 1] <= score and score < h[k]:
                    cell = k
                    break
            if score > h[4]:
                h[4] = score
        for k in range(cell, 5):
            n[k] += 1.0
        for k in range(5):
            d[k] += steps[k]
        for k in range(1, 4):
            gap = d[k] - n[k]
            if (gap >= 1.0 and n[k + 1] - n[k] > 1.0) or (gap <= -1.0 and n[k - 1] - n[k] < -1.0):
                side = copysign(1.0, gap)
                right = (n[k] - n[k - 1] + side) * (h[k + 1] - h[k]) / (n[k + 1] - n[k])
                left = (n[k + 1] - n[k] - side) * (h[k] - h[k - 1]) / (n[k] - n[k - 1])
                moved = h[k] + side / (n[k + 1] - n[k - 1]) * (right + left)
                if h[k - 1] < moved and moved < h[k + 1]:
                    h[k] = moved
                else:
                    to = k + int(side)
                    h[k] += side * (h[to] - h[k]) / (n[to] - n[k])
                n[k] += side


@dataclass(frozen=True)
class Quantile(Filter):
    """River's QuantileFilter, by the P2 algorithm (Jain & Chlamtac, 1985).

    State: five heights of the distribution of scores, where they are among the scores and where
    they ought to be, and how many scores there were, up to six. A score that is not a number is
    learned from, and does not count.
    """

    q: float
    protects: bool
    fields: dict[str, Field] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for name in ("height", "position", "wanted"):
            self.fields[name] = Field(np.float64, 0.0, (5,))
        self.fields["count"] = Field(np.int8)

    @classmethod
    def of(cls, river: Any, sensors: tuple[str, ...]) -> Self:  # noqa: ARG003
        """The kernel of a filter."""
        return cls(river.q, river.protect_anomaly_detector)
