"""The flow that is measured: a saturating source, a stage with so many bytes a device, a count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.recovery.meter import Meter
from streamflow import Batch, Field, Flow, Memory, Reader, Sink, Source, Stage, Writer
from streamflow.errors import EndOfStream

BATCH = 4096
CYCLE = 64
"""At least so many batches are drawn; they are handed out again and again, with later times."""


def program(source: Source, bytes_per_device: int, sink: Sink) -> Flow:
    """The whole program."""
    return Flow("recovery", sensors=["value"]) | source | Window(bytes_per_device) | sink


@dataclass(frozen=True)
class Window(Stage):
    """Keeps a ring of the device's last values; each reading writes one cell of it."""

    size: int

    @property
    def memory(self) -> Memory:
        """`size` bytes."""
        return Memory({"last": Field(np.float64, shape=(self.size // 8,))})

    def on_batch(self, batch: Batch, state: Any) -> Batch:
        """Write the values."""
        last = state["last"]
        last[batch.device, batch.time % last.shape[1]] = batch["value"]
        return batch


class Readings:
    """What the source hands out: batch number i, the same in every run."""

    def __init__(self, devices: int) -> None:
        rng = np.random.default_rng(7)
        self.names = [f"machine-{number:06d}" for number in range(devices)]
        self.round = max(CYCLE, -(-devices // BATCH))
        """After so many batches every device has been heard of."""
        turns = -(-self.round * BATCH // devices)
        order = np.concatenate([rng.permutation(devices) for _ in range(turns)])
        self._device = order[: self.round * BATCH].astype(np.int32).reshape(self.round, BATCH)
        self._value = rng.normal(20.0, 1.0, (self.round, BATCH))

    def batch(self, number: int) -> Batch:
        """Batch `number`, at event time `number`."""
        device, value = self._device[number % self.round], self._value[number % self.round]
        at = np.full(BATCH, number, np.int64)
        return Batch(self.names, device, at, at, {"value": value})

    def windows(self, batches: int, bytes_per_device: int) -> NDArray[np.float64]:
        """What `Window` remembers after so many batches, a row a device."""
        last = np.zeros((len(self.names), bytes_per_device // 8))
        for number in range(batches):
            batch = self.batch(number)
            last[batch.device, number % last.shape[1]] = batch["value"]
        return last


@dataclass(frozen=True)
class Fleet(Source):
    """Hands out readings from memory, the next batch always ready."""

    readings: Readings = field(compare=False)
    meter: Meter = field(compare=False)

    def open(self, partition: str, position: Any) -> Reader:
        """From the start."""
        return _FleetReader(self.readings, self.meter)


class _FleetReader(Reader):
    def __init__(self, readings: Readings, meter: Meter) -> None:
        self._readings, self._meter, self._at = readings, meter, 0

    def poll(self, limit: int) -> Batch:
        if self._meter.done:
            raise EndOfStream("measured long enough")
        batch = self._readings.batch(self._at)
        self._at += 1
        self._meter.polled(self._at * BATCH, warm=self._warm)
        return batch

    def position(self) -> int:
        self._meter.snapped()
        return self._at

    def committed(self, position: Any) -> None:
        self._meter.committed(warm=self._warm)

    @property
    def _warm(self) -> bool:
        return self._at >= self._readings.round


@dataclass(frozen=True)
class Count(Sink):
    """Counts what comes."""

    meter: Meter = field(compare=False)

    def open(self, resume: Any) -> Writer:
        """Start counting."""
        return _Counter(self.meter)


class _Counter(Writer):
    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def write(self, items: Batch | Sequence[Any]) -> None:
        self._meter.arrived(len(items))
