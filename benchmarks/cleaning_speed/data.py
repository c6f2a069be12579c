"""What all sides are given: readings with faults of time, and readings with values missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamflow import Batch
from streamflow.core.batch import Times, Values

SENSORS = ("pressure", "speed", "temperature")
LOW, HIGH = -50.0, 50.0
BATCH = 4096
SECOND = 10**9
START = 1_767_225_600 * SECOND
REPEATED, FAST, SHUFFLE = 0.01, 0.02, 3
"""Share of the readings that come twice; of devices an hour ahead; the longest delay, s."""
MISSING = 0.02
"""Share of the values."""
SIZES = {"small": 20_000, "full": 200_000}
"""Readings of a run."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Data:
    """One kind of readings.

    Parameters
    ----------
    batches
        Devices, readings and the number of the run -> the readings of that run.
    listed
        The readings of a batch as a program has them that takes one after the other.
    devices
        Size -> numbers of devices.
    looped
        How many batches of a run a loop is given; default all.
    """

    batches: Callable[[int, int, int], list[Batch]]
    listed: Callable[[Batch], list[Any]]
    devices: Mapping[str, tuple[int, ...]]
    looped: int | None = None


def disordered(devices: int, readings: int, run: int) -> list[Batch]:
    """One reading of each device a second; some late, some repeated, some clocks off."""
    rng = np.random.default_rng(run)
    rounds = -(-readings // devices)
    device = np.concatenate([rng.permutation(devices) for _ in range(rounds)]).astype(np.int32)
    arrived = np.repeat(START + (run * rounds + np.arange(rounds)) * SECOND, devices)
    time = arrived - (rng.random(len(device)) * SHUFFLE * SECOND).astype(np.int64)
    time += np.where(device < FAST * devices, 3600 * SECOND, 0)
    values = rng.random((len(SENSORS), len(device)))
    again = np.sort(np.r_[: len(device), np.flatnonzero(rng.random(len(device)) < REPEATED)])
    return _cut(devices, device[again], time[again], arrived[again], values[:, again])


def gappy(devices: int, readings: int, run: int) -> list[Batch]:
    """One reading of each device every 10 s, in order; some values are missing."""
    rng = np.random.default_rng(run)
    rounds = -(-readings // devices)
    device = np.concatenate([rng.permutation(devices) for _ in range(rounds)]).astype(np.int32)
    time = np.repeat(START + (run * rounds + np.arange(rounds)) * 10 * SECOND, devices)
    values = rng.normal(20, 1, (len(SENSORS), len(device))).round(3)
    values[rng.random(values.shape) < MISSING] = np.nan
    return _cut(devices, device, time, time, values)


def _cut(
    devices: int, device: np.ndarray, time: Times, arrived: Times, values: Values
) -> list[Batch]:
    names = [f"machine-{number:05d}" for number in range(devices)]
    whole = Batch(names, device, time, arrived, dict(zip(SENSORS, values, strict=True)))
    return [
        whole.take(np.arange(at, min(at + BATCH, len(whole)))) for at in range(0, len(whole), BATCH)
    ]


def dicts(batch: Batch) -> list[Row]:
    """A dict for each reading, of its device, times and values."""
    columns = {name: values.tolist() for name, values in batch.columns.items()}
    times = zip(batch.device.tolist(), batch.time.tolist(), batch.arrived.tolist(), strict=True)
    return [
        {"device": batch.devices[d], "time": t, "arrived": a}
        | {name: values[i] for name, values in columns.items()}
        for i, (d, t, a) in enumerate(times)
    ]


def by_device(batch: Batch) -> list[tuple[str, Row]]:
    """Each reading's device, and a dict of its values, None where one is missing."""
    return [
        (batch.name(i), {name: row[name] for name in SENSORS}) for i, row in enumerate(batch.rows())
    ]


DISORDERED = Data(disordered, dicts, {"small": (100,), "full": (100, 10_000)})
GAPPY = Data(gappy, by_device, {"small": (100,), "full": (1_000,)}, looped=2)
