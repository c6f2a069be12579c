"""One run of one side; the benchmark calls it in a process of its own."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recovery.flow import BATCH, Count, Fleet, Readings, program
from benchmarks.recovery.meter import Meter
from streamflow.engine.statedir import SHARDS_STEP, StateDir


def measure(
    devices: int, bytes_per_device: int, epoch: float, epochs: int, recovery: bool
) -> dict[str, Any]:
    """Run the flow once, with recovery or without.

    Parameters
    ----------
    devices, bytes_per_device
        How much state.
    epoch
        Length of an epoch, s.
    epochs
        So many are measured.
    recovery
        Whether state is kept.

    Raises
    ------
    RuntimeError
        If a reading was lost, or the state on disk is not that of the readings.
    """
    readings = Readings(devices)
    meter = Meter(recovery=recovery, epoch=epoch, epochs=epochs)
    flow = program(Fleet(readings, meter), bytes_per_device, Count(meter))
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory) / "state"
        balance = flow.run(state=state if recovery else None, epoch=f"{epoch:g}s")
        if not balance.adds_up or balance.out != meter.taken:
            raise RuntimeError("; ".join(balance.lines()))
        if recovery:
            _check(state, readings, meter.taken // BATCH, bytes_per_device)
    return asdict(meter.figures())


def _check(state: Path, readings: Readings, batches: int, bytes_per_device: int) -> None:
    expected = readings.windows(batches, bytes_per_device)
    row = {name: number for number, name in enumerate(readings.names)}
    found = 0
    for snap in StateDir(state).store().snaps():
        if snap.step == SHARDS_STEP:
            tree = snap.value
            rows = [row[name] for name in tree["devices"]]
            if not np.array_equal(tree["steps"]["window"]["columns"]["last"], expected[rows]):
                raise RuntimeError(f"shard {snap.key} is not what the readings make it")
            found += len(rows)
    if found != len(row):
        raise RuntimeError(f"the state knows {found:,} of {len(row):,} devices")
