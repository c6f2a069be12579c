"""anomaly.GaussianScorer and anomaly.StandardAbsoluteDeviation: one value against its moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import erf, sqrt
from math import pow as power
from typing import Any, Self

import numpy as np
from river import anomaly, stats

from streamflow.core.batch import Codes, Mask, Values
from streamflow.core.kernel import kernel
from streamflow.core.memory import Field
from streamflow.models.kernels.base import CannotCompileError, Detector, Fields, Inputs
from streamflow.models.kernels.standard import HALF


@kernel
def _gaussian(n, mean, spread, ring, head, window, grace, half, rows, x, here, y, good, may, out):  # type: ignore[no-untyped-def]
    root2 = sqrt(2.0)
    for i in range(len(rows)):
        row = rows[i]
        if here[i]:
            if n[row] < grace:
                out[i] = 0.0
            else:
                variance = spread[row] / (n[row] - 1) if n[row] > 1 else 0.0
                # River's sigma is complex below 0, and it raises: there is no score.
                if variance < 0.0:
                    out[i] = np.nan
                else:
                    sigma = power(variance, half)
                    cdf = 0.0
                    if sigma != 0.0:
                        cdf = 0.5 * (1.0 + erf((x[i] - mean[row]) / sigma / root2))
                    out[i] = 2 * abs(cdf - 0.5)
        if may[i] and good[i]:
            if window > 0:
                at = head[row] % window
                if head[row] >= window:
                    old = ring[row, at]
                    before = mean[row]
                    n[row] -= 1.0
                    if n[row] == 0.0:
                        mean[row] = 0.0
                    else:
                        mean[row] -= (1.0 / n[row]) * (old - mean[row])
                    spread[row] -= (old - before) * (old - mean[row])
                ring[row, at] = y[i]
                head[row] += 1
            before = mean[row]
            n[row] += 1.0
            mean[row] += (1.0 / n[row]) * (y[i] - mean[row])
            spread[row] += (y[i] - before) * (y[i] - mean[row])


@kernel
def _deviation(n, mean, spread, half, rows, x, here, y, good, may, out):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        row = rows[i]
        if here[i]:
            variance = spread[row] / (n[row] - 1) if n[row] > 1 else 0.0
            out[i] = abs((x[i] - mean[row]) / (power(variance, half) + 1e-10))
        if may[i] and good[i]:
            before = mean[row]
            n[row] += 1.0
            mean[row] += (1.0 / n[row]) * (y[i] - mean[row])
            spread[row] += (y[i] - before) * (y[i] - mean[row])


class _OfTarget(Detector):
    """What both have in common: they look at one value, the target."""

    def _given(self, seen: Inputs, good: Inputs, may: Mask) -> tuple[Any, ...]:
        parts = (seen.values, seen.present, good.values, good.present)
        return (*(np.ascontiguousarray(part[:, -1]) for part in parts), may)

    def _export_var(self, state: Fields, row: int) -> stats.Var:
        var = stats.Var(ddof=1)
        var.mean = self._export_mean(state, row)
        var._S = float(state["spread"][row])
        return var

    def _export_mean(self, state: Fields, row: int) -> stats.Mean:
        mean: stats.Mean = stats.Mean._from_state(float(state["n"][row]), float(state["mean"][row]))
        return mean

    def _take_over_var(self, state: Fields, row: int, var: stats.Var) -> None:
        state["n"][row], state["mean"][row] = var.mean.n, var.mean.get()
        state["spread"][row] = var._S


@dataclass(frozen=True)
class Gaussian(_OfTarget):
    """River's GaussianScorer: 2 |cdf(y) - 0.5| under the normal distribution of what was learned.

    State: count, mean and sum of squares; with a window, its values too. Where rounding in a
    window makes the variance negative, River raises TypeError, and here there is no score.
    """

    window: int = 0
    grace: int = 100
    fields: dict[str, Field] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for name in ("n", "mean", "spread"):
            self.fields[name] = Field(np.float64)
        if self.window:
            self.fields["ring"] = Field(np.float64, 0.0, (self.window,))
            self.fields["head"] = Field(np.int64)

    @classmethod
    def of(cls, river: anomaly.GaussianScorer, sensors: tuple[str, ...]) -> Self:  # noqa: ARG003
        """The kernel of a scorer."""
        return cls(river.window_size or 0, river.grace_period)

    def run(
        self, state: Fields, rows: Codes, seen: Inputs, good: Inputs, may: Mask, scores: Values
    ) -> None:
        """River's `score_one`, then `learn_one`."""
        ring = state["ring"] if self.window else np.zeros((1, 1))
        head = state["head"] if self.window else np.zeros(1, np.int64)
        moments = (state["n"], state["mean"], state["spread"])
        given = self._given(seen, good, may)
        _gaussian(*moments, ring, head, self.window, self.grace, HALF, rows, *given, scores)

    def export(self, state: Fields, row: int, sensors: Sequence[str]) -> Any:
        """One device's scorer."""
        out: Any = anomaly.GaussianScorer(self.window or None, self.grace)
        inner = out.gaussian.obj if self.window else out.gaussian
        inner._var = self._export_var(state, row)
        if self.window:
            head = int(state["head"][row])
            values = [
                float(state["ring"][row, at % self.window])
                for at in range(max(0, head - self.window), head)
            ]
            out.gaussian.window.extend(((value,), {}) for value in values)
        return out

    def take_over(self, state: Fields, row: int, sensors: Sequence[str], river: Any) -> None:
        """A trained scorer's distribution."""
        if not self.window:
            self._take_over_var(state, row, river.gaussian._var)
            return
        self._take_over_var(state, row, river.gaussian.obj._var)
        for at, ((value,), _) in enumerate(river.gaussian.window):
            state["ring"][row, at] = value
        state["head"][row] = len(river.gaussian.window)


@dataclass(frozen=True)
class Deviation(_OfTarget):
    """River's StandardAbsoluteDeviation around the mean: |y - mean| / (sd + 1e-10).

    State: count, mean and sum of squares.
    """

    fields: dict[str, Field] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for name in ("n", "mean", "spread"):
            self.fields[name] = Field(np.float64)

    @classmethod
    def of(cls, river: Any, sensors: tuple[str, ...]) -> Self:  # noqa: ARG003
        """The kernel of a scorer."""
        if type(river.sub_stat) is not stats.Mean:
            raise CannotCompileError(f"around {type(river.sub_stat).__name__}, not the mean")
        return cls()

    def run(
        self, state: Fields, rows: Codes, seen: Inputs, good: Inputs, may: Mask, scores: Values
    ) -> None:
        """River's `score_one`, then `learn_one`."""
        moments = (state["n"], state["mean"], state["spread"])
        _deviation(*moments, HALF, rows, *self._given(seen, good, may), scores)

    def export(self, state: Fields, row: int, sensors: Sequence[str]) -> Any:
        """One device's scorer."""
        out = anomaly.StandardAbsoluteDeviation()
        out.variance = self._export_var(state, row)
        out.sub_stat = self._export_mean(state, row)
        return out

    def take_over(self, state: Fields, row: int, sensors: Sequence[str], river: Any) -> None:
        """A trained scorer's moments."""
        self._take_over_var(state, row, river.variance)
