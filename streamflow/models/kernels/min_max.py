"""preprocessing.MinMaxScaler: (x - min) / (max - min), 0 where they are equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from river import preprocessing

from streamflow.core.batch import Codes, Mask
from streamflow.core.kernel import kernel
from streamflow.core.memory import Field
from streamflow.models.kernels.base import Fields, Inputs, Transformer, without_window


@kernel
def _both(low, high, rows, x, here, y, good, may, scored, learned):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        row = rows[i]
        for j in range(x.shape[1]):
            if here[i, j]:
                width = high[row, j] - low[row, j]
                scored[i, j] = (x[i, j] - low[row, j]) / width if width != 0.0 else 0.0
            if may[i] and good[i, j]:
                value = y[i, j]
                if value < low[row, j]:
                    low[row, j] = value
                if value > high[row, j]:
                    high[row, j] = value
                width = high[row, j] - low[row, j]
                learned[i, j] = (value - low[row, j]) / width if width != 0.0 else 0.0


@dataclass(frozen=True)
class MinMax(Transformer):
    """River's MinMaxScaler without a window.

    State: the least and the greatest value learned of each sensor.
    """

    width: int
    fields: dict[str, Field] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        shape = (self.width,)
        ends = {"low": Field(np.float64, inf, shape), "high": Field(np.float64, -inf, shape)}
        self.fields.update(ends)

    @classmethod
    def of(cls, river: preprocessing.MinMaxScaler, sensors: tuple[str, ...]) -> Self:
        """The kernel of a scaler."""
        without_window(river)
        return cls(len(sensors))

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
        ends = (state["low"], state["high"])
        given = (seen.values, seen.present, good.values, good.present, may)
        _both(*ends, rows, *given, scored, learned)

    def export(self, state: Fields, row: int, sensors: Sequence[str]) -> Any:
        """One device's scaler."""
        known = [j for j in range(len(sensors)) if state["low"][row, j] <= state["high"][row, j]]
        low = {sensors[j]: float(state["low"][row, j]) for j in known}
        high = {sensors[j]: float(state["high"][row, j]) for j in known}
        return preprocessing.MinMaxScaler._from_state(low, high)

    def take_over(self, state: Fields, row: int, sensors: Sequence[str], river: Any) -> None:
        """A trained scaler's ranges."""
        for j, sensor in enumerate(sensors):
            if sensor in river.min:
                state["low"][row, j] = river.min[sensor].get()
                state["high"][row, j] = river.max[sensor].get()
