"""What all sides are given: readings of some devices, some late, some repeated, clocks off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from streamflow import Batch

SENSORS = ("pressure", "speed", "temperature")
BATCH = 4096
SECOND = 10**9
START = 1_767_225_600 * SECOND
REPEATED, FAST, SHUFFLE = 0.01, 0.02, 3
"""Share of the readings that come twice; of devices an hour ahead; the longest delay, s."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """Numbers of devices, and how many readings a run has."""

    devices: tuple[int, ...]
    readings: int


SIZES = {"small": Size((100,), 20_000), "full": Size((100, 10_000), 200_000)}


def batches(devices: int, readings: int, run: int) -> list[Batch]:
    """The readings of one run, one of each device a second, in random order each second."""
    rng = np.random.default_rng(run)
    rounds = -(-readings // devices)
    device = np.concatenate([rng.permutation(devices) for _ in range(rounds)]).astype(np.int32)
    arrived = np.repeat(START + (run * rounds + np.arange(rounds)) * SECOND, devices)
    time = arrived - (rng.random(len(device)) * SHUFFLE * SECOND).astype(np.int64)
    time += np.where(device < FAST * devices, 3600 * SECOND, 0)
    values = rng.random((len(SENSORS), len(device)))
    again = np.sort(np.r_[: len(device), np.flatnonzero(rng.random(len(device)) < REPEATED)])
    columns = {name: column[again] for name, column in zip(SENSORS, values, strict=True)}
    names = [f"machine-{number:05d}" for number in range(devices)]
    whole = Batch(names, device[again], time[again], arrived[again], columns)
    return [
        whole.take(np.arange(at, min(at + BATCH, len(whole)))) for at in range(0, len(whole), BATCH)
    ]


def dicts(batch: Batch) -> list[Row]:
    """The readings as a program has them that takes one after the other."""
    columns = {name: values.tolist() for name, values in batch.columns.items()}
    times = zip(batch.device.tolist(), batch.time.tolist(), batch.arrived.tolist(), strict=True)
    return [
        {"device": batch.devices[d], "time": t, "arrived": a}
        | {name: values[i] for name, values in columns.items()}
        for i, (d, t, a) in enumerate(times)
    ]
