"""preprocessing.StandardScaler: (x - mean) / sd, by Welford's method; 0 while the sd is 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import pow as power
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from river import preprocessing

from streamflow.core.batch import Codes, Mask
from streamflow.core.kernel import kernel
from streamflow.core.memory import Field
from streamflow.models.kernels.base import Fields, Inputs, Transformer, without_window

HALF = 0.5
"""Handed to kernels at run time: a constant exponent would be compiled to a square root, which
differs from CPython's `x ** 0.5` in the last bit."""


@kernel
def _both(count, mean, var, with_std, half, rows, x, here, y, good, may, scored, learned):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        row = rows[i]
        for j in range(x.shape[1]):
            if here[i, j]:
                if not with_std:
                    scored[i, j] = x[i, j] - mean[row, j]
                elif var[row, j] != 0.0:
                    scored[i, j] = (x[i, j] - mean[row, j]) / power(var[row, j], half)
                else:
                    scored[i, j] = 0.0
            if may[i] and good[i, j]:
                value = y[i, j]
                count[row, j] += 1
                before = mean[row, j]
                mean[row, j] += (value - before) / count[row, j]
                if not with_std:
                    learned[i, j] = value - mean[row, j]
                    continue
                spread = (value - before) * (value - mean[row, j]) - var[row, j]
                var[row, j] += spread / count[row, j]
                if var[row, j] != 0.0:
                    learned[i, j] = (value - mean[row, j]) / power(var[row, j], half)
                else:
                    learned[i, j] = 0.0


@dataclass(frozen=True)
class Standard(Transformer):
    """River's StandardScaler without a window.

    State: count, mean and population variance of each sensor.
    """

    width: int
    with_std: bool = True
    fields: dict[str, Field] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        shape = (self.width,)
        self.fields["count"] = Field(np.int64, 0, shape)
        self.fields["mean"] = Field(np.float64, 0.0, shape)
        self.fields["var"] = Field(np.float64, 0.0, shape)

    @classmethod
    def of(cls, river: preprocessing.StandardScaler, sensors: tuple[str, ...]) -> Self:
        """The kernel of a scaler."""
        without_window(river)
        return cls(len(sensors), river.with_std)

    def run(
        self,
        state: Fields,
        rows: Codes,
        seen: Inputs,
        good: Inputs,
        may: Mask,
        scored: NDArray[np.float64],
        learned: NDArray[np.float64],
    ) -> None:
        """River's `transform_one`, then `learn_one` and `transform_one`."""
        moments = (state["count"], state["mean"], state["var"])
        given = (seen.values, seen.present, good.values, good.present, may)
        _both(*moments, self.with_std, HALF, rows, *given, scored, learned)

    def export(self, state: Fields, row: int, sensors: Sequence[str]) -> Any:
        """One device's scaler."""
        known = [j for j in range(len(sensors)) if state["count"][row, j]]
        counts = {sensors[j]: int(state["count"][row, j]) for j in known}
        means = {sensors[j]: float(state["mean"][row, j]) for j in known}
        variances = {sensors[j]: float(state["var"][row, j]) for j in known}
        return preprocessing.StandardScaler._from_state(
            counts, means, variances, with_std=self.with_std
        )

    def take_over(self, state: Fields, row: int, sensors: Sequence[str], river: Any) -> None:
        """A trained scaler's moments."""
        for j, sensor in enumerate(sensors):
            if sensor in river.counts:
                state["count"][row, j] = river.counts[sensor]
                state["mean"][row, j] = river.means[sensor]
                state["var"][row, j] = river.vars.get(sensor, 0.0)
