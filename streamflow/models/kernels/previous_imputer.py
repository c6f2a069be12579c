"""preprocessing.PreviousImputer: a missing value becomes the last one learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any, Self

import numpy as np
from river import preprocessing

from streamflow.core.batch import Codes, Mask
from streamflow.core.kernel import kernel
from streamflow.core.memory import Field
from streamflow.models.kernels.base import Fields, Imputer, Inputs


@kernel
def _fill(latest, rows, x, here, y, good, may):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        row = rows[i]
        for j in range(x.shape[1]):
            known = not np.isnan(latest[row, j])
            if known and not here[i, j]:
                x[i, j], here[i, j] = latest[row, j], True
            if known and not good[i, j]:
                y[i, j], good[i, j] = latest[row, j], True
            elif may[i] and good[i, j]:
                latest[row, j] = y[i, j]


@dataclass(frozen=True)
class Previous(Imputer):
    """River's PreviousImputer.

    State: the last value learned of each sensor; NaN before the first.
    """

    width: int
    fields: dict[str, Field] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.fields["latest"] = Field(np.float64, nan, (self.width,))

    @classmethod
    def of(cls, river: preprocessing.PreviousImputer, sensors: tuple[str, ...]) -> Self:  # noqa: ARG003
        """The kernel of an imputer."""
        return cls(len(sensors))

    def fill(self, state: Fields, rows: Codes, seen: Inputs, good: Inputs, may: Mask) -> None:
        """River's `transform_one`, then `learn_one` and `transform_one`."""
        given = (seen.values, seen.present, good.values, good.present, may)
        _fill(state["latest"], rows, *given)

    def export(self, state: Fields, row: int, sensors: Sequence[str]) -> Any:
        """One device's imputer."""
        out = preprocessing.PreviousImputer()
        latest = zip(sensors, state["latest"][row].tolist(), strict=True)
        out._latest = {sensor: value for sensor, value in latest if value == value}
        return out

    def take_over(self, state: Fields, row: int, sensors: Sequence[str], river: Any) -> None:
        """A trained imputer's values."""
        for j, sensor in enumerate(sensors):
            if sensor in river._latest:
                state["latest"][row, j] = river._latest[sensor]
