"""What both sides are given: the names of the devices, and one reading of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BATCH = 4096
VALUES = 12
"""Values remembered of each device: with a 4-byte count, 100 bytes."""
HOUR = 3600 * 10**9
TTL = HOUR
"""A device that was silent for so long is forgotten, ns."""


@dataclass(frozen=True)
class Size:
    """How many devices, at most so many runs of each side, which phases the baseline runs, and
    how many bytes of memory a device with a GaussianScorer may take, its name and index included.
    """

    devices: int
    repeats: int
    baseline: tuple[str, ...]
    allowed: float


SIZES = {
    "small": Size(50_000, 2, ("start", "restart", "expire"), 450.0),
    # Bytewax reads its store 1,000 keys at a time and each time looks through all of them: with a
    # million keys a restart had not ended after 9 minutes.
    "full": Size(1_000_000, 3, ("start",), 250.0),
}


def names(devices: int) -> list[str]:
    """Their names."""
    return [f"machine-{number:07d}" for number in range(devices)]


def value(number: int) -> float:
    """The reading of device `number`."""
    return 20.0 + number % 97 / 10


def spans(devices: int) -> Sequence[range]:
    """The numbers of the devices in each batch."""
    return [range(at, min(at + BATCH, devices)) for at in range(0, devices, BATCH)]
