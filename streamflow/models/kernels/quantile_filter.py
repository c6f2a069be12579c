"""anomaly.QuantileFilter: a reading that scores above a running quantile is not learned."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import copysign
from struct import Struct
from typing import Any, Self

import numpy as np

from streamflow.core.batch import Codes, Mask, Values
from streamflow.core.kernel import kernel
from streamflow.core.memory import Field
from streamflow.models.kernels.base import Fields, Filter

SORTED = 6
"""`count` of a device whose five heights are in order: the sixth score has come."""
_RIVER = Struct("<21d2B")
"""River's quantile as its `__getstate__` has it: q; five increments, positions wanted, positions
and heights; how many heights there are, and whether they are in order."""


@kernel
def _passes(height, position, wanted, count, q, protects, rows, scores, learn, out):  # type: ignore[no-untyped-def]
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
        out[i] = not protects or bar == 0.0 or not score >= bar
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
            for k in range(5):
                n[k] = k + 1.0
                d[k] = 1.0 + 4.0 * steps[k]
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

    def passes(self, state: Fields, rows: Codes, scores: Values, learn: Mask) -> Mask:
        """Those that score less than the quantile so far; then their scores count in it."""
        out = np.empty(len(rows), bool)
        columns = (state["height"], state["position"], state["wanted"], state["count"])
        _passes(*columns, self.q, self.protects, rows, scores, learn, out)
        return out

    def export(self, state: Fields, row: int, river: Any) -> None:
        """Set its quantile; before the sixth score its positions are as they were made."""
        known = int(state["count"][row])
        if not known:
            return
        saved = list(_RIVER.unpack(river.quantile._quantile.__getstate__()))
        if known == SORTED:
            saved[6:11], saved[11:16] = (
                state["wanted"][row].tolist(),
                state["position"][row].tolist(),
            )
        saved[16:21] = state["height"][row].tolist()
        saved[21:] = [min(known, 5), known == SORTED]
        river.quantile._quantile.__setstate__(_RIVER.pack(*saved))
        river.quantile._is_updated = True

    def take_over(self, state: Fields, row: int, river: Any) -> None:
        """A trained filter's quantile."""
        saved = _RIVER.unpack(river.quantile._quantile.__getstate__())
        state["wanted"][row], state["position"][row] = saved[6:11], saved[11:16]
        state["height"][row] = saved[16:21]
        state["count"][row] = SORTED if saved[22] else saved[21]
