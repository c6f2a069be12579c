"""One run of one side; the benchmark calls it in a process of its own."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.recovery.flow import Count, Fleet, program
from benchmarks.recovery.meter import Meter


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
        If the flow lost a reading.
    """
    meter = Meter(recovery=recovery, epoch=epoch, epochs=epochs)
    flow = program(Fleet(devices, meter), bytes_per_device, Count(meter))
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory) / "state" if recovery else None
        balance = flow.run(state=state, epoch=f"{epoch:g}s")
    if not balance.adds_up or balance.out != balance.readings:
        raise RuntimeError("; ".join(balance.lines()))
    return asdict(meter.figures())
