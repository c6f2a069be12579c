"""Our side: a flow with a stage that declares 100 bytes a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.devices.data import HOUR, VALUES, names, spans, value
from benchmarks.devices.watch import Watch
from streamflow import (
    Batch,
    Decoded,
    Field,
    Flow,
    Memory,
    Messages,
    Reader,
    Sink,
    Source,
    Stage,
    SystemClock,
    Writer,
)
from streamflow.engine.statedir import SHARDS_STEP, StateDir
from streamflow.errors import EndOfStream

SWEEP = 3.0
"""Seconds within which what has expired is forgotten: devices are looked through each second."""


def program(source: Source, sink: Sink, ttl: str | None) -> Flow:
    """The whole program."""
    return Flow("devices", sensors=["value"], ttl=ttl) | source | Last() | sink


@dataclass(frozen=True)
class Last(Stage):
    """Keeps the last values of a device, and how many there were."""

    @property
    def memory(self) -> Memory:
        """100 bytes."""
        return Memory({"last": Field(np.float64, shape=(VALUES,)), "count": Field(np.int32)})

    def on_batch(self, batch: Batch, state: Any) -> Batch:
        """Keep the values."""
        last, count = state["last"], state["count"]
        last[batch.device, count[batch.device] % VALUES] = batch["value"]
        np.add.at(count, batch.device, 1)
        return batch


def run(phase: str, devices: int, folder: str) -> dict[str, float]:
    """One run; see `benchmarks.devices.benchmark` for the phases."""
    batches = _batches(devices, phase)
    import_module("streamflow.engine.supervisor")  # the baseline has paid for its imports, too
    watch = Watch(sum(map(len, batches)))
    flow = program(
        Fleet(batches, watch, live=phase == "expire"),
        Count(watch),
        ttl="1h" if phase in ("expire", "return") else None,
    )
    balance = flow.run(state=folder, epoch="1h")
    figures = watch.figures(Path(folder))
    if not balance.adds_up:
        raise RuntimeError("; ".join(balance.lines()))
    known = _known(folder)
    if known != (len(batches[0]) if phase == "expire" else devices):
        raise RuntimeError(f"{phase}: the state knows {known:,} devices")
    return figures


def _batches(devices: int, phase: str) -> list[Batch]:
    """One reading of each device, or after a restart of the first; hours after the phase before."""
    vocabulary = names(devices)
    wanted = spans(devices) if phase in ("start", "return") else spans(devices)[:1]
    hours = {"start": 4, "restart": 4, "return": 2, "expire": 0}[phase]
    at = SystemClock().now() - hours * HOUR
    return [
        Batch(
            vocabulary,
            np.array(span, np.int32),
            np.full(len(span), at),
            np.full(len(span), at),
            {"value": np.array([value(number) for number in span])},
        )
        for span in wanted
    ]


def _known(folder: str) -> int:
    snaps = StateDir(Path(folder)).store().snaps()
    return sum(len(snap.value["devices"]) for snap in snaps if snap.step == SHARDS_STEP)


@dataclass(frozen=True)
class Fleet(Source):
    """Hands out batches that are there already."""

    batches: Sequence[Batch] = field(compare=False)
    watch: Watch = field(compare=False)
    live: bool = False

    @property
    def format(self) -> Any:
        """Nothing is left to decode."""
        return _Ready(self.batches)

    def open(self, partition: str, position: Any) -> Reader:
        """From the start."""
        return _FleetReader(self.batches, self.watch, self.live)


@dataclass(frozen=True)
class _Ready:
    batches: Sequence[Batch]

    def decoder(self, schema: Any) -> _Ready:
        return self

    def decode(self, messages: Messages, lost: Any) -> Decoded:
        batch = self.batches[int(messages.places[0])]
        return Decoded(batch, np.arange(len(batch)))


class _FleetReader(Reader):
    def __init__(self, batches: Sequence[Batch], watch: Watch, live: bool) -> None:
        self._batches, self._watch, self._live = batches, watch, live
        self._at = 0

    def poll(self, limit: int) -> Batch | Messages | None:
        if self._at < len(self._batches):
            self._watch.polled()
            batch, number = self._batches[self._at], self._at
            self._at += 1
            if not self._live:
                return batch
            arrived = int(batch.arrived[0])
            return Messages([b""] * len(batch), [number] * len(batch), arrived=arrived)
        if self._live and self._watch.waited < SWEEP:
            return None
        self._watch.ended()
        raise EndOfStream("each device has sent a reading")

    def position(self) -> int:
        return self._at

    def next_poll(self) -> float:
        return 0.1


@dataclass(frozen=True)
class Count(Sink):
    """Counts what comes."""

    watch: Watch = field(compare=False)

    def open(self, resume: Any) -> Writer:
        """Start counting."""
        return _Counter(self.watch)


class _Counter(Writer):
    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def write(self, items: Batch | Sequence[Any]) -> None:
        self._watch.arrived(len(items))
