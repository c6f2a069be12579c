"""drift.PageHinkley: a cumulative sum of deviations from the mean, against its extremes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Self

import numpy as np
from river import drift, stats

from streamflow.core.batch import Codes, Values
from streamflow.core.kernel import kernel
from streamflow.core.memory import Field
from streamflow.models.kernels.base import Fields, Watcher

_SUMS = {
    "n": 0.0,
    "mean": 0.0,
    "increase": 0.0,
    "decrease": 0.0,
    "least": inf,
    "most": -1.0,
}


@kernel
def _run(  # type: ignore[no-untyped-def]
    n,
    mean,
    increase,
    decrease,
    least,
    most,
    found,
    grace,
    delta,
    bar,
    alpha,
    up,
    down,
    rows,
    x,
    out,
):
    for i in range(len(rows)):
        row = rows[i]
        if found[row]:
            n[row] = mean[row] = increase[row] = decrease[row] = 0.0
            least[row], most[row], found[row] = inf, -1.0, False
        n[row] += 1.0
        mean[row] += (1.0 / n[row]) * (x[i] - mean[row])
        deviation = x[i] - mean[row]
        increase[row] = alpha * increase[row] + deviation - delta
        decrease[row] = alpha * decrease[row] + deviation + delta
        if increase[row] < least[row]:
            least[row] = increase[row]
        if decrease[row] > most[row]:
            most[row] = decrease[row]
        if n[row] >= grace:
            rose = up and increase[row] - least[row] > bar
            fell = down and most[row] - decrease[row] > bar
            found[row] = rose or fell
        out[i] = 1.0 if found[row] else 0.0


@dataclass(frozen=True)
class PageHinkley(Watcher):
    """River's PageHinkley: a drift where the sum has left its extreme by more than the threshold.

    State: count and mean since the last drift, the sums that look for an increase and for a
    decrease, the extreme of each, and whether the last value was found to be a drift.
    """

    river: Any = field(compare=False)
    fields: dict[str, Field] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.fields.update({name: Field(np.float64, start) for name, start in _SUMS.items()})
        self.fields["found"] = Field(np.bool_)

    @classmethod
    def of(cls, river: drift.PageHinkley, sensors: tuple[str, ...]) -> Self:  # noqa: ARG003
        """The kernel of a drift detector."""
        return cls(river.clone())

    def run(self, state: Fields, rows: Codes, values: Values, drift: Values) -> None:
        """River's `update` and `drift_detected`."""
        chosen = (self.river.min_instances, self.river.delta, self.river.threshold)
        ways = (self.river.mode != "down", self.river.mode != "up")
        sums = (state[name] for name in self.fields)
        _run(*sums, *map(float, chosen), float(self.river.alpha), *ways, rows, values, drift)

    def export(self, state: Fields, row: int, sensors: Sequence[str]) -> Any:
        """One device's drift detector."""
        n, mean, *sums = (float(state[name][row]) for name in _SUMS)
        out = self.river.clone()
        out._x_mean = stats.Mean._from_state(n, mean)
        out._sum_increase, out._sum_decrease, out._min_increase, out._max_decrease = sums
        out._drift_detected = bool(state["found"][row])
        return out

    def take_over(self, state: Fields, row: int, sensors: Sequence[str], river: Any) -> None:
        """A drift detector's sums."""
        own = (river._x_mean.n, river._x_mean.get(), river._sum_increase, river._sum_decrease)
        for name, value in zip(
            _SUMS, (*own, river._min_increase, river._max_decrease), strict=True
        ):
            state[name][row] = value
        state["found"][row] = river.drift_detected
