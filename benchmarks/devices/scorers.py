"""A flow with a GaussianScorer for each device: what it holds of memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from river import anomaly, preprocessing

from benchmarks.devices.data import spans, value
from benchmarks.process import peak_memory
from streamflow import Batch, Detect, Flow
from streamflow.engine.shard import Shard


def run(devices: int) -> dict[str, float]:
    """Two readings of each device; bytes of memory until then, index of devices included.

    `held` is what is resident at the end, `peak` the most there was, both above what there was
    before the first reading. `declared` is what `check` says of a device.
    """
    flow = Flow("scorers", sensors=["value"]) | Detect(anomaly.GaussianScorer(), target="value")
    plan = flow.plan()
    Shard(plan).on_batch(_batch(range(8)))  # kernels and buffers are there
    before = _resident()
    shard = Shard(plan)
    for _ in range(2):
        for span in spans(devices):
            shard.on_batch(_batch(span))
    if len(shard.index) != devices:
        raise RuntimeError(f"{len(shard.index):,} devices are known, of {devices:,}")
    return {
        "held": _resident() - before,
        "peak": peak_memory() * 1e6 - before,
        "declared": plan.stages[0].bytes_per_device,
    }


def trees() -> int:
    """Declared bytes of a device with scaled half-space trees of default size, three sensors."""
    model = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=7)
    return (
        (Flow("trees", sensors=["t", "p", "v"]) | Detect(model)).plan().stages[0].bytes_per_device
    )


def _batch(span: range) -> Batch:
    """A reading of each device, whose names are read anew, as from a source."""
    n = len(span)
    at = np.zeros(n, np.int64)
    names = [f"machine-{number:07d}" for number in span]
    values = np.array([value(number) for number in span])
    return Batch(names, np.arange(n, dtype=np.int32), at, at, {"value": values})


def _resident() -> int:
    """Resident memory of this process now, bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
