"""Columns of several sensors as one array for a kernel, and back into a batch with flags."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamflow.core.batch import Batch, Flags, Mask, Values
from streamflow.core.quality import Quality


def stacked(batch: Batch, sensors: Sequence[str]) -> tuple[Values, Mask]:
    """The values [d, n], a copy, and which of them are good."""
    values = np.array([batch[sensor] for sensor in sensors])
    good: Mask = np.isfinite(values)
    for j, sensor in enumerate(sensors):
        if sensor in batch.quality:
            good[j, batch.quality[sensor] != 0] = False
    return values, good


def flagged(
    batch: Batch, sensors: Sequence[str], values: Values, flags: Flags, missing: Quality
) -> Batch:
    """The batch with flags [d, n] added, and what has one of `missing` made missing."""
    for j in np.flatnonzero(flags.any(axis=1)).tolist():
        sensor, own = sensors[j], flags[j]
        quality = {**batch.quality, sensor: batch.flags(sensor) | own}
        gone = (own & missing) != 0
        columns = {**batch.columns, sensor: np.where(gone, np.nan, values[j])}
        batch = batch.replace(columns=columns, quality=quality)
    return batch
