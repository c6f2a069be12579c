"""preprocessing.MaxAbsScaler: x / max|x|, 0 while that is 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from river import preprocessing

from streamflow.core.batch import Codes, Mask
from streamflow.core.kernel import kernel
from streamflow.core.memory import Field
from streamflow.models.kernels.base import Fields, Inputs, Transformer, without_window


@kernel
def _both(top, rows, x, here, y, good, may, scored, learned):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        row = rows[i]
        for j in range(x.shape[1]):
            if here[i, j]:
                most = top[row, j]
                scored[i, j] = x[i, j] / most if most != 0.0 else 0.0
            if may[i] and good[i, j]:
                if abs(y[i, j]) > top[row, j]:
                    top[row, j] = abs(y[i, j])
                most = top[row, j]
                learned[i, j] = y[i, j] / most if most != 0.0 else 0.0


@dataclass(frozen=True)
class MaxAbs(Transformer):
    """River's MaxAbsScaler without a window.

    State: the greatest absolute value learned of each sensor.
    """

    width: int
    fields: dict[str, Field] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.fields["top"] = Field(np.float64, 0.0, (self.width,))

    @classmethod
    def of(cls, river: preprocessing.MaxAbsScaler, sensors: tuple[str, ...]) -> Self:
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
        given = (seen.values, seen.present, good.values, good.present, may)
        _both(state["top"], rows, *given, scored, learned)

    def export(self, state: Fields, row: int, sensors: Sequence[str]) -> Any:
        """One device's scaler."""
        tops = {s: float(state["top"][row, j]) for j, s in enumerate(sensors)}
        return preprocessing.MaxAbsScaler._from_state(tops)

    def take_over(self, state: Fields, row: int, sensors: Sequence[str], river: Any) -> None:
        """A trained scaler's maxima."""
        for j, sensor in enumerate(sensors):
            if sensor in river.abs_max:
                state["top"][row, j] = river.abs_max[sensor].get()
