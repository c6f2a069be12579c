"""The messages of the benchmark: a fleet of machines with three sensors and rare spikes."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

SENSORS = ("temperature", "pressure", "vibration")
WINDOW = 250
"""Readings of a device that its forest learns before it gives a score other than 0."""

START = datetime(2026, 1, 5, 6)
PERIOD = 10.0
FAULTS = 0.02


@dataclass(frozen=True)
class Size:
    """How much data, and how it comes.

    Parameters
    ----------
    devices, readings
        Devices, and readings of each.
    batch
        Messages that a source hands out at once.
    hot
        The share of all readings that one more device sends.
    pause
        Seconds from one batch to the next; with 0 the next one is always there.
    """

    devices: int
    readings: int
    batch: int
    hot: float = 0.0
    pause: float = 0.0


@dataclass(frozen=True)
class Workload:
    """What both sides are given.

    Parameters
    ----------
    messages
        JSON payloads in order of arrival.
    batch, pause
        Messages that a source hands out at once, and seconds from one batch to the next.
    built
        After so many messages every device has been seen: all models exist.
    steady
        After so many messages every device has filled its first window: all forests score.
    """

    messages: list[bytes]
    batch: int
    built: int
    steady: int
    pause: float = 0.0

    def write(self, path: Path) -> None:
        """Write a file for `read`: a header, then a message a line."""
        header = json.dumps([self.batch, self.built, self.steady, self.pause]).encode()
        path.write_bytes(b"\n".join([header, *self.messages]))

    @classmethod
    def read(cls, path: Path) -> Workload:
        """Read what `write` wrote."""
        header, *messages = path.read_bytes().split(b"\n")
        return cls(messages, *json.loads(header))


def workload(size: Size, seed: int = 7) -> Workload:
    """Draw the messages of a fleet.

    Every device sends each 10 s (a hot one oftener), from a start of its own and up to a fifth of
    that early or late: the order
    of the devices changes from round to round, each device's own times increase. The sensors swing
    slowly about their levels with noise; in 2 % of the readings a fault makes all three spike.

    Parameters
    ----------
    size
        How much.
    seed
        Of the one random generator.
    """
    rng = random.Random(seed)
    sent: list[tuple[float, str, str]] = []
    counts = [size.readings] * size.devices
    if size.hot:
        counts.append(round(sum(counts) * size.hot / (1 - size.hot)))
    for number, count in enumerate(counts):
        device, phase = f"machine-{number:04d}", rng.uniform(0, PERIOD)
        period = PERIOD * size.readings / count
        for turn in range(count):
            at = round(phase + turn * period + (rng.uniform(-0.2, 0.2) + 0.2) * period, 3)
            sent.append((at, device, _message(device, at, rng)))
    sent.sort()

    seen: Counter[str] = Counter()
    built = steady = 0
    for n, (_, device, _) in enumerate(sent, start=1):
        seen[device] += 1
        if seen[device] == 1:
            built = n
        if seen[device] == WINDOW:
            steady = n
    messages = [message.encode() for _, _, message in sent]
    return Workload(messages, size.batch, built, steady, size.pause)


def _message(device: str, at: float, rng: random.Random) -> str:
    swing = math.sin(2 * math.pi * at / 900)
    values = [
        rng.gauss(65 + 3 * swing, 0.8),
        rng.gauss(3.2 - 0.2 * swing, 0.05),
        rng.gauss(1.1, 0.12),
    ]
    if rng.random() < FAULTS:
        spike = rng.uniform(2, 4)
        values = [value * spike for value in values]
    time = (START + timedelta(seconds=at)).isoformat(timespec="milliseconds") + "Z"
    return json.dumps(
        {
            "machine": device,
            "timestamp": time,
            **{name: round(value, 3) for name, value in zip(SENSORS, values, strict=True)},
        }
    )
