"""preprocessing.StatImputer: a missing value becomes a statistic of the learned, or a number."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from math import inf
from typing import Any, Self

import numpy as np
from river import stats

from streamflow.core.batch import Codes, Mask
from streamflow.core.kernel import kernel
from streamflow.core.memory import Field
from streamflow.models.kernels.base import CannotCompileError, Fields, Imputer, Inputs

NONE, CONSTANT, MEAN, LEAST, MOST = range(5)
_KINDS: dict[type, tuple[int, float]] = {
    stats.Mean: (MEAN, 0.0),
    stats.Min: (LEAST, inf),
    stats.Max: (MOST, -inf),
}


@kernel
def _fill(count, value, kinds, starts, rows, x, here, y, good, may):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        row = rows[i]
        for j in range(x.shape[1]):
            kind = kinds[j]
            if kind == NONE:
                continue
            if not here[i, j]:
                x[i, j] = value[row, j] if count[row, j] > 0.0 else starts[j]
                here[i, j] = True
            if not good[i, j]:
                y[i, j] = value[row, j] if count[row, j] > 0.0 else starts[j]
                good[i, j] = True
            elif may[i] and kind != CONSTANT:
                new = y[i, j]
                first = count[row, j] == 0.0
                count[row, j] += 1.0
                if kind == MEAN:
                    value[row, j] += (1.0 / count[row, j]) * (new - value[row, j])
                elif (
                    first
                    or (kind == LEAST and new < value[row, j])
                    or (kind == MOST and new > value[row, j])
                ):
                    value[row, j] = new


@dataclass(frozen=True, eq=False)
class Stat(Imputer):
    """River's StatImputer with means, least values, greatest values, and numbers.

    State: of each sensor the statistic, and of how many values it is.
    """

    river: Any
    kinds: tuple[int, ...]
    starts: tuple[float, ...]
    fields: dict[str, Field] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for name in ("count", "value"):
            self.fields[name] = Field(np.float64, 0.0, (len(self.kinds),))

    @classmethod
    def of(cls, river: Any, sensors: tuple[str, ...]) -> Self:
        """The kernel of an imputer."""
        kinds, starts = [NONE] * len(sensors), [0.0] * len(sensors)
        for sensor, stat in river.imputers:
            if sensor not in sensors:
                raise CannotCompileError(f"StatImputer imputes {sensor!r}, which it does not see")
            kind, start = _KINDS.get(type(stat), (CONSTANT, stat))
            if not isinstance(start, (int, float)) or start != start:
                raise CannotCompileError(f"StatImputer with {type(stat).__name__} has no kernel")
            if kind != CONSTANT and stat.get() != start:
                raise CannotCompileError(f"StatImputer's {type(stat).__name__} is not a new one")
            at = sensors.index(sensor)
            kinds[at], starts[at] = kind, float(start)
        return cls(deepcopy(river), tuple(kinds), tuple(starts))

    def fill(self, state: Fields, rows: Codes, seen: Inputs, good: Inputs, may: Mask) -> None:
        """River's `transform_one`, then `learn_one` and `transform_one`."""
        given = (seen.values, seen.present, good.values, good.present, may)
        how = (np.array(self.kinds), np.array(self.starts))
        _fill(state["count"], state["value"], *how, rows, *given)

    def export(self, state: Fields, row: int, sensors: Sequence[str]) -> Any:
        """One device's imputer."""
        out = deepcopy(self.river)  # a clone would share its statistics
        for sensor, stat in out.stats.items():
            at = list(sensors).index(sensor)
            count, value = float(state["count"][row, at]), float(state["value"][row, at])
            if count and self.kinds[at] == MEAN:
                stat.n, stat._mean = count, value
            elif count:
                stat.update(value)
        return out

    def take_over(self, state: Fields, row: int, sensors: Sequence[str], river: Any) -> None:
        """A trained imputer's statistics."""
        for sensor, stat in river.stats.items():
            at = list(sensors).index(sensor)
            kind, start = self.kinds[at], self.starts[at]
            if (kind != CONSTANT and stat.get() != start) or kind == MEAN:
                state["value"][row, at] = stat.get()
                state["count"][row, at] = stat.n if kind == MEAN else 1.0
