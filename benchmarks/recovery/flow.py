"""The flow that is measured: a saturating source, a stage with so many bytes a device, a count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.recovery.meter import Meter
from streamflow import Batch, Flow, Memory, Reader, Sink, Source, Stage, Writer
from streamflow.core.memory import Field
from streamflow.errors import EndOfStream

BATCH = 4096
CYCLE = 64
"""So many batches are drawn and then handed out again and again, with later times."""


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


@dataclass(frozen=True)
class Fleet(Source):
    """Readings of `devices` devices, the next batch always ready."""

    devices: int
    meter: Meter = field(compare=False)

    def open(self, partition: str, position: Any) -> Reader:
        """From the start."""
        return _FleetReader(self.devices, self.meter)


class _FleetReader(Reader):
    def __init__(self, devices: int, meter: Meter) -> None:
        rng = np.random.default_rng(7)
        self._names = [f"machine-{number:06d}" for number in range(devices)]
        count = max(CYCLE, -(-devices // BATCH))
        turns = np.concatenate([rng.permutation(devices) for _ in range(-(-count * BATCH // devices))])
        self._device = turns[: count * BATCH].astype(np.int32).reshape(count, BATCH)
        self._value = rng.normal(20.0, 1.0, (count, BATCH))
        self._meter, self._at = meter, 0

    def poll(self, limit: int) -> Batch:
        if self._meter.done:
            raise EndOfStream("measured long enough")
        device = self._device[self._at % len(self._device)]
        value = self._value[self._at % len(self._value)]
        at = np.full(BATCH, self._at, np.int64)
        self._at += 1
        self._meter.polled(self._at * BATCH, warm=self._warm)
        return Batch(self._names, device, at, at, {"value": value})

    def position(self) -> int:
        self._meter.snapped()
        return self._at

    def committed(self, position: Any) -> None:
        self._meter.committed(warm=self._warm)

    @property
    def _warm(self) -> bool:
        """Whether every device has been heard of."""
        return self._at >= len(self._device)


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
