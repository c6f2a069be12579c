"""What a side found and what it cost, and the meter that both sides carry."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import ParamSpec, TypeVar

from benchmarks.hot_path.data import Workload
from benchmarks.process import peak_memory

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Results:
    """What must be equal on both sides, to the bit.

    Parameters
    ----------
    scores
        Device -> its scores in order.
    alerts
        The device and event time (ns since 1970, UTC) of every reading that raised an alert.
    """

    scores: dict[str, list[float]]
    alerts: set[tuple[str, int]]

    def difference(self, other: Results) -> str | None:
        """The first difference found, in words, or None."""
        if self.scores.keys() != other.scores.keys():
            odd = sorted(self.scores.keys() ^ other.scores.keys())[0]
            return f"only one side has scores of {odd}"
        for device, mine in self.scores.items():
            theirs = other.scores[device]
            if len(mine) != len(theirs):
                return f"{device} has {len(mine)} scores and {len(theirs)}"
            for i, (a, b) in enumerate(zip(mine, theirs, strict=True)):
                if a != b:
                    return f"score {i} of {device} is {a!r} and {b!r}"
        if self.alerts != other.alerts:
            device, at = sorted(self.alerts ^ other.alerts)[0]
            return f"only one side alerts for {device} at {at} ns"
        return None


@dataclass(frozen=True)
class Figures:
    """What one run cost; CPU is that of the whole process.

    Parameters
    ----------
    build_cpu
        Seconds from the start of the program until every device has been seen.
    whole_cpu
        Seconds from the start of the program to the last reading that both sides are given.
    whole_readings
        Readings in that time.
    steady_cpu, steady_wall
        Seconds from the moment every forest scores to the last reading of all.
    steady_readings
        Readings in that time.
    latencies
        Seconds from handing out a batch to its last reading at the sink, per batch of the steady
        time.
    stages
        Stage -> CPU seconds spent in it during the steady time.
    peak
        Largest resident memory of the process, in megabytes.
    """

    build_cpu: float
    whole_cpu: float
    whole_readings: int
    steady_cpu: float
    steady_wall: float
    steady_readings: int
    latencies: list[float]
    stages: dict[str, float]
    peak: float


@dataclass(frozen=True)
class Outcome:
    """What a side's ``run(work)`` returns."""

    results: Results
    figures: Figures


@dataclass(frozen=True)
class _Mark:
    """The clocks at one moment, and the readings that had arrived at the sink."""

    readings: int
    cpu: float
    wall: float
    stages: dict[str, float]


class Meter:
    """Follows one run from the outside: a side tells it what leaves the source and what arrives.

    A side makes it first of all, calls `taken` in its source and `arrived` in its sink, wraps
    its stages in `timed`, and ends with `outcome`.

    Parameters
    ----------
    work
        The workload of the run.
    steady
        The least seconds of steady time. If the messages do not last, they come again and again
        until it has passed: a side that is fast would end before its first snapshot.
    """

    def __init__(self, work: Workload, steady: float = 0.0) -> None:
        self._least = steady
        self.stages: defaultdict[str, float] = defaultdict(float)
        self._total = len(work.messages)
        self._bounds = deque([work.built, work.steady, self._total])
        self._taken = 0
        self._arrived = 0
        self._underway: deque[tuple[int, float]] = deque()
        self._latencies: list[tuple[int, float]] = []
        self._peak = 0.0
        self._marks = [self._mark()]
        self._closing = False
        self._last: _Mark | None = None

    def taken(self, readings: int) -> None:
        """The source hands out a batch of so many messages."""
        self._taken += readings
        self._closing = self._taken >= self._total and not self._least
        self._underway.append((self._taken, time.perf_counter()))

    def arrived(self, readings: int) -> None:
        """So many scored readings, none lost before them, have come to the sink."""
        self._arrived += readings
        while self._underway and self._underway[0][0] <= self._arrived:
            end, since = self._underway.popleft()
            self._latencies.append((end, time.perf_counter() - since))
        while self._bounds and self._bounds[0] <= self._arrived:
            self._bounds.popleft()
            self._marks.append(self._mark())
        self._end()

    @property
    def first(self) -> bool:
        """Whether messages arrive for the first time."""
        return bool(self._bounds)

    def more(self) -> bool:
        """Whether the source is to hand out more."""
        if self._taken >= self._total and not self._closing:
            steady = self._marks[2].wall if len(self._marks) > 2 else inf
            self._closing = time.perf_counter() - steady >= self._least
            self._end()
        return not self._closing

    def _end(self) -> None:
        if self._closing and self._last is None and self._arrived == self._taken:
            self._last, self._peak = self._mark(), peak_memory()

    def timed(self, stage: str, step: Callable[P, R]) -> Callable[P, R]:
        """The step, with the CPU time of its calls counted under a stage."""
        spent, clock = self.stages, time.thread_time

        def measured(*args: P.args, **kwargs: P.kwargs) -> R:
            began = clock()
            out = step(*args, **kwargs)
            spent[stage] += clock() - began
            return out

        return measured

    def outcome(self, results: Results) -> Outcome:
        """Close the books.

        Raises
        ------
        RuntimeError
            If not every reading arrived.
        """
        if self._bounds or self._last is None:
            raise RuntimeError(f"{self._arrived} of {self._taken} readings arrived at the sink")
        (start, built, steady, whole), end = self._marks, self._last
        return Outcome(
            results,
            Figures(
                build_cpu=built.cpu - start.cpu,
                whole_cpu=whole.cpu - start.cpu,
                whole_readings=whole.readings,
                steady_cpu=end.cpu - steady.cpu,
                steady_wall=end.wall - steady.wall,
                steady_readings=end.readings - steady.readings,
                latencies=[took for at, took in self._latencies if at > steady.readings],
                stages={
                    stage: spent - steady.stages.get(stage, 0.0)
                    for stage, spent in end.stages.items()
                },
                peak=self._peak,
            ),
        )

    def _mark(self) -> _Mark:
        return _Mark(self._arrived, time.process_time(), time.perf_counter(), dict(self.stages))
