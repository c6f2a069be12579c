"""Clocks: the only place that asks the machine what time it is."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> int:
        """Wall time, ns since 1970 UTC. May step back or forward."""

    def monotonic(self) -> int:
        """Time that only goes forward, ns since some moment."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Wall time, ns since 1970 UTC."""
        return time.time_ns()

    def monotonic(self) -> int:
        """Time that only goes forward, ns."""
        return time.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class ManualClock:
    """A clock that moves when told to: sleeping moves it, too.

    >>> clock = ManualClock()
    >>> clock.sleep(1.5)
    >>> clock.now()
    1500000000
    """

    def __init__(self, now: int = 0) -> None:
        self._now = now

    def now(self) -> int:
        """Wall time, ns since 1970 UTC."""
        return self._now

    def monotonic(self) -> int:
        """The same time."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self._now += round(seconds * 1e9)
