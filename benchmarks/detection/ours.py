"""Our side: a `Detect` over the readings of one series, in batches of 4,096."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow import Batch, Detect, Schema, Sensor
from streamflow.core.index import Index
from streamflow.core.state import State

BATCH = 4096


def scores(estimator: Any, batch: Batch) -> NDArray[np.float64]:
    """Of each reading, before it is learned."""
    schema = Schema("device", "time", {name: Sensor() for name in batch.columns})
    stage = Detect(estimator).bind(schema)
    index = Index()
    row = index.add(batch.devices[0])
    state = State("detection", stage.step, stage.memory, index)
    state.table.grow(1)
    stage.on_devices(index.names, [row], state)
    parts = [
        stage.on_batch(batch.take(np.arange(at, min(at + BATCH, len(batch)))), state)["score"]
        for at in range(0, len(batch), BATCH)
    ]
    return np.concatenate(parts)
