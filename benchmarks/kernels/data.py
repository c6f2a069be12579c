"""What both sides are given: readings of some devices, each device once a round."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from streamflow import Batch

SENSORS = ("pressure", "speed", "temperature")
BATCH = 4096
GAPS = 0.1
"""Share of the values that are missing where an imputer is to fill them in."""


@dataclass(frozen=True)
class Size:
    """How much is run.

    Parameters
    ----------
    devices
        Numbers of devices.
    heavy, light
        Readings of River in one run, for forests and for all else.
    forests
        Devices -> River forests; each takes 1.2 MB and 50 ms to build. Of more devices River is
        given the readings of some only, which favours it: their models fit the cache better.
    """

    devices: tuple[int, ...]
    heavy: int
    light: int
    forests: dict[int, int]


SIZES = {
    "small": Size((1, 100), 1_500, 10_000, {1: 1, 100: 16}),
    "full": Size(
        (1, 100, 1_000, 10_000), 8_000, 100_000, {1: 1, 100: 100, 1_000: 1_000, 10_000: 250}
    ),
}


def stream(devices: int, seed: int, *, gaps: bool = False, steps: bool = False) -> Iterator[Batch]:
    """Rounds for ever, in each of which every device sends one reading, in random order.

    Values lie between 0 and 1; with `steps` they are 1 higher in every other 300 rounds.
    """
    rng = np.random.default_rng(seed)
    names = [f"machine-{number:05d}" for number in range(devices)]
    time = 0
    while True:
        values = rng.random((len(SENSORS), devices))
        if steps:
            values += (time // 300) % 2
        if gaps:
            values[rng.random(values.shape) < GAPS] = np.nan
        at = np.full(devices, time)
        columns = dict(zip(SENSORS, values, strict=True))
        yield Batch(names, rng.permutation(devices).astype(np.int32), at, at, columns)
        time += 1


def take(source: Iterator[Batch], rounds: int) -> list[Batch]:
    """The next rounds, as batches of 4,096 readings."""
    whole = Batch.concat([next(source) for _ in range(rounds)])
    return [
        whole.take(np.arange(at, min(at + BATCH, len(whole)))) for at in range(0, len(whole), BATCH)
    ]
