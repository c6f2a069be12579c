"""What a way to fill gaps is to `Impute`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamflow.core.batch import Batch, Mask, Values
from streamflow.core.memory import Field
from streamflow.core.quality import Quality
from streamflow.core.state import State


@dataclass(frozen=True)
class Fill(ABC):
    """A way to fill gaps; it learns the good values.

    Parameters
    ----------
    sensors
        Which.
    limit
        The greatest age, in ns, of a sensor's last good value at which a gap is filled.
    timezone
        Of the flow.
    """

    sensors: Sequence[str]
    limit: int
    timezone: str = "UTC"

    holds = False
    """Whether it holds readings back."""

    @property
    @abstractmethod
    def fields(self) -> Mapping[str, Field]:
        """What it remembers about one device."""

    @abstractmethod
    def on_batch(self, batch: Batch, state: State) -> Batch:
        """Fill gaps in, reading by reading."""

    def on_tick(self, now: int, state: State) -> Batch | None:
        """What has waited for too long."""
        return None

    def on_end(self, state: State) -> Batch | None:
        """What still waits."""
        return None


def filled_in(batch: Batch, sensors: Sequence[str], values: Values, filled: Mask) -> Batch:
    """The batch with values [d, n] where they were filled in, flagged as imputed."""
    for j in np.flatnonzero(filled.any(axis=1)).tolist():
        batch = batch.with_columns({sensors[j]: values[j]})
        batch = batch.mark(sensors[j], filled[j], Quality.IMPUTED)
    return batch
