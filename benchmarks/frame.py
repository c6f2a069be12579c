"""What every benchmark reports: cases that compare two sides, and a floor under the ratio."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

T = TypeVar("T")


class BenchmarkError(Exception):
    """A benchmark could not be measured, or its two sides disagree."""


@dataclass(frozen=True)
class Case:
    """One figure of both sides, run by run.

    The ratio says how many times better ours is: the median, over the pairs of neighbouring runs,
    of ours / baseline, or of baseline / ours where lower is better.

    Parameters
    ----------
    name
        What was measured.
    unit
        Unit of the runs.
    ours
        One value per run of streamflow; empty if this side has no such figure.
    baseline
        One value per run of the baseline; empty if this side has no such figure.
    lower_is_better
        True for costs: latency, memory, time.
    floor
        The smallest ratio that passes; None if the case only informs.

    Examples
    --------
    >>> rate = Case("rate", "readings/s", ours=(30.0, 10.0, 20.0), baseline=(10.0, 10.0, 40.0))
    >>> rate.ratio
    1.0
    >>> Case("memory", "MB", (50.0,), (100.0,), lower_is_better=True, floor=3.0).ok
    False
    """

    name: str
    unit: str
    ours: tuple[float, ...]
    baseline: tuple[float, ...]
    lower_is_better: bool = False
    floor: float | None = None

    @property
    def ratios(self) -> tuple[float, ...]:
        """The ratio of each pair of runs; empty if a side has no figure or one of zero."""
        better, worse = (
            (self.baseline, self.ours) if self.lower_is_better else (self.ours, self.baseline)
        )
        if not better or not worse or 0 in worse:
            return ()
        return tuple(a / b for a, b in zip(better, worse, strict=True))

    @property
    def ratio(self) -> float | None:
        """The median of the ratios."""
        return median_or_none(self.ratios)

    @property
    def ok(self) -> bool:
        """False if the case has a floor and its ratio is not at least that."""
        ratio = self.ratio
        return self.floor is None or (ratio is not None and ratio >= self.floor)

    def as_json(self) -> dict[str, object]:
        """The case as it stands in the JSON of a report."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": median_or_none(self.ours),
            "baseline": median_or_none(self.baseline),
            "ratio": self.ratio,
            "floor": self.floor,
            "ok": self.ok,
            "lower_is_better": self.lower_is_better,
            "ours_runs": self.ours,
            "baseline_runs": self.baseline,
        }


@dataclass(frozen=True)
class Report:
    """All cases of one benchmark in one size.

    Parameters
    ----------
    benchmark
        Name of the benchmark.
    size
        ``small`` or ``full``.
    machine
        Where it ran, see `benchmarks.machine.describe`.
    cases
        What was compared.
    about
        What ran, in a sentence or two: the numbers that make the size.
    error
        Why there are no cases, if the benchmark failed.
    """

    benchmark: str
    size: str
    machine: Mapping[str, str | int]
    cases: tuple[Case, ...]
    about: str
    error: str | None = None

    @property
    def ok(self) -> bool:
        """True if the benchmark ran and no case is below its floor."""
        return self.error is None and all(case.ok for case in self.cases)

    def as_json(self) -> dict[str, object]:
        """The report as every benchmark writes it."""
        return {
            "benchmark": self.benchmark,
            "size": self.size,
            "machine": dict(self.machine),
            "cases": [case.as_json() for case in self.cases],
            "about": self.about,
            "error": self.error,
            "ok": self.ok,
        }


def interleave(
    ours: Callable[[], T], baseline: Callable[[], T], repeats: int
) -> tuple[list[T], list[T]]:
    """Run ours, baseline, ours, baseline, ...: a machine that slows down slows both.

    Parameters
    ----------
    ours
        Runs streamflow once.
    baseline
        Runs the baseline once.
    repeats
        Runs of each.
    """
    a: list[T] = []
    b: list[T] = []
    for _ in range(repeats):
        a.append(ours())
        b.append(baseline())
    return a, b


def median_or_none(values: tuple[float, ...]) -> float | None:
    """The median, or None of nothing."""
    return median(values) if values else None
