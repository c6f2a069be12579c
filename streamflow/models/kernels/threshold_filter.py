"""anomaly.ThresholdFilter: a reading that scores as much as the threshold is not learned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from streamflow.core.batch import Codes, Mask, Values
from streamflow.core.memory import Field
from streamflow.models.kernels.base import Fields, Filter


@dataclass(frozen=True)
class Threshold(Filter):
    """River's ThresholdFilter. It has no state.

    River's filter learns nothing at all when it does not protect its detector, and so does this.
    """

    threshold: float
    protects: bool
    fields: dict[str, Field] = field(default_factory=dict, init=False)

    @classmethod
    def of(cls, river: Any, sensors: tuple[str, ...]) -> Self:  # noqa: ARG003
        """The kernel of a filter."""
        return cls(river.threshold, river.protect_anomaly_detector)

    def passes(self, state: Fields, rows: Codes, scores: Values, learn: Mask) -> Mask:
        """Those that score less."""
        return learn & ~(scores >= self.threshold) & self.protects

    def export(self, state: Fields, row: int, river: Any) -> None:
        """It learns nothing."""

    def take_over(self, state: Fields, row: int, river: Any) -> None:
        """It learns nothing."""
