"""What one run cost, measured from the outside: at its source and at its sink."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Figures:
    """What a run cost between two marks, a number of whole epochs apart.

    Parameters
    ----------
    readings
        Readings that arrived at the sink.
    cpu, wall
        Seconds; CPU is that of all threads of the process.
    latencies
        Seconds from handing out a batch to its last reading at the sink, one per batch.
    epochs_cpu, epochs_wall
        Seconds from asking the source for its position to the word that this is durable, one per
        epoch, less those of a common batch, for one is handled in that time.
    """

    readings: int
    cpu: float
    wall: float
    latencies: list[float]
    epochs_cpu: list[float]
    epochs_wall: list[float]

    def rate(self, epoch: float) -> float:
        """Readings per second of CPU on a core of its own, with an epoch each `epoch` seconds.

        On a core that is shared, less CPU time than `epoch` lies between two epochs; then plain
        readings / cpu would make them look dearer than they are.
        """
        between = self.readings / (self.cpu - sum(self.epochs_cpu))
        if not self.epochs_cpu:
            return between
        return between * (1 - sum(self.epochs_cpu) / len(self.epochs_cpu) / epoch)


@dataclass(frozen=True)
class _Mark:
    readings: int
    cpu: float
    wall: float

    def until(self, later: _Mark) -> tuple[float, float]:
        return later.cpu - self.cpu, later.wall - self.wall


class Meter:
    """Follows a run from its source and its sink, and says when it is `done`.

    With recovery the marks are set when an epoch has become durable, the first once every device
    has been heard of; without it by the clock.

    Parameters
    ----------
    recovery
        Whether epochs become durable.
    epoch
        Length of an epoch, s.
    epochs
        So many are measured.
    """

    def __init__(self, *, recovery: bool, epoch: float, epochs: int) -> None:
        self.done = False
        self.taken = 0
        """Readings handed out."""
        self._recovery, self._span, self._left = recovery, epoch * epochs, epochs
        self._arrived = 0
        self._underway: deque[tuple[int, float]] = deque()
        self._start: _Mark | None = None
        self._end: _Mark | None = None
        self._previous: _Mark | None = None
        self._snapped: _Mark | None = None
        self._latencies: list[float] = []
        self._batches: list[tuple[float, float]] = []
        self._epochs: list[tuple[float, float]] = []

    def polled(self, taken: int, *, warm: bool) -> None:
        """The source hands out a batch; with it, `taken` readings since the start."""
        now = self._mark()
        if self._previous:
            self._batches.append(self._previous.until(now))
        self._previous = now
        self.taken = taken
        self._underway.append((taken, now.wall))
        if warm and not self._recovery:
            if self._start is None:
                self._begin(now)
            elif now.wall - self._start.wall >= self._span:
                self._finish(now)

    def snapped(self) -> None:
        """The source was asked for its position."""
        self._snapped = self._mark()

    def committed(self, *, warm: bool) -> None:
        """That position is durable, or, without recovery, as good as it gets."""
        if not self._recovery:
            return
        now = self._mark()
        self._previous = None
        assert self._snapped is not None
        if self._start:
            self._epochs.append(self._snapped.until(now))
            self._left -= 1
            if self._left == 0:
                self._finish(now)
        elif warm:
            self._begin(now)

    def arrived(self, readings: int) -> None:
        """So many readings have come to the sink."""
        self._arrived += readings
        while self._underway and self._underway[0][0] <= self._arrived:
            _, since = self._underway.popleft()
            self._latencies.append(time.perf_counter() - since)

    def figures(self) -> Figures:
        """What was measured."""
        assert self._start is not None
        assert self._end is not None
        cpu, wall = self._start.until(self._end)
        common_cpu, common_wall = (median(side) for side in zip(*self._batches, strict=True))
        return Figures(
            self._end.readings - self._start.readings,
            cpu,
            wall,
            self._latencies,
            [cpu - common_cpu for cpu, _ in self._epochs],
            [wall - common_wall for _, wall in self._epochs],
        )

    def _begin(self, now: _Mark) -> None:
        self._start = now
        self._latencies.clear()

    def _finish(self, now: _Mark) -> None:
        self._end, self.done = now, True

    def _mark(self) -> _Mark:
        return _Mark(self._arrived, time.process_time(), time.perf_counter())
