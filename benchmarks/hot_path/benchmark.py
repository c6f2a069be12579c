"""Runs both sides by turns, asserts that they agree, and makes the report."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from benchmarks import process
from benchmarks.frame import BenchmarkError, Case, Report, interleave
from benchmarks.hot_path.data import SIZES, workload
from benchmarks.hot_path.outcome import Figures, Results
from benchmarks.machine import describe

FLOOR = 0.9
OURS = "benchmarks.hot_path.ours"
BASELINE = "benchmarks.hot_path.per_record"


@dataclass(frozen=True)
class _Run:
    """One run of one side that agreed with the others."""

    figures: Figures
    import_cpu: float

    def stage(self, name: str) -> float:
        """Nanoseconds a reading in one stage, or in none of them: ``rest``."""
        spent = self.figures.stages
        cpu = self.figures.steady_cpu - sum(spent.values()) if name == "rest" else spent[name]
        return cpu / self.figures.steady_readings * 1e9


def run(size: str, repeats: int, ours: str = OURS, baseline: str = BASELINE) -> Report:
    """Compare two sides on the same messages.

    Parameters
    ----------
    size
        A key of `SIZES`.
    repeats
        Runs of each side.
    ours, baseline
        Modules with ``run(work: Workload) -> Outcome``.

    Raises
    ------
    BenchmarkError
        If a side fails, if two runs differ in a score or an alert, or if none raised an alert.
    """
    work = workload(SIZES[size])
    agreed: list[Results] = []

    def measure(module: str, path: str) -> _Run:
        told = process.call("benchmarks.hot_path.side:measure", module, path)
        results = Results(told["scores"], {(device, at) for device, at in told["alerts"]})
        if not agreed:
            agreed.append(results)
        if (odd := agreed[0].difference(results)) is not None:
            raise BenchmarkError(f"{module} differs from the first run of {ours}: {odd}")
        if not results.alerts:
            raise BenchmarkError("no alert was raised, so equal alerts say nothing")
        return _Run(Figures(**told["figures"]), told["import_cpu"])

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "messages"
        work.write(path)
        a, b = interleave(
            lambda: measure(ours, str(path)), lambda: measure(baseline, str(path)), repeats
        )
    about = (
        f"{SIZES[size].devices:,} devices, {len(work.messages):,} messages in batches of "
        f"{work.batch:,}, steady from message {work.steady:,}; {repeats} runs of each side, "
        f"equal scores, {len(agreed[0].alerts):,} equal alerts."
    )
    return Report("hot_path", size, describe(), _cases(a, b), about)


def _cases(ours: Sequence[_Run], baseline: Sequence[_Run]) -> tuple[Case, ...]:
    def case(
        name: str,
        unit: str,
        figure: Callable[[_Run], float],
        lower_is_better: bool = True,
        floor: float | None = None,
    ) -> Case:
        return Case(
            name,
            unit,
            tuple(figure(one) for one in ours),
            tuple(figure(one) for one in baseline),
            lower_is_better,
            floor,
        )

    return (
        case(
            "steady, by CPU",
            "readings/s",
            lambda one: one.figures.steady_readings / one.figures.steady_cpu,
            lower_is_better=False,
            floor=FLOOR,
        ),
        case(
            "steady, by wall",
            "readings/s",
            lambda one: one.figures.steady_readings / one.figures.steady_wall,
            lower_is_better=False,
        ),
        case(
            "whole run, by CPU",
            "readings/s",
            lambda one: one.figures.whole_readings / one.figures.whole_cpu,
            lower_is_better=False,
        ),
        case("latency p50 of a batch", "ms", lambda one: _percentile(one.figures.latencies, 50)),
        case("latency p99 of a batch", "ms", lambda one: _percentile(one.figures.latencies, 99)),
        case("peak memory", "MB", lambda one: one.figures.peak),
        case("imports, CPU", "s", lambda one: one.import_cpu),
        case("building models, CPU", "s", lambda one: one.figures.build_cpu),
        *(_stage(name, ours, baseline) for name in _stages(ours, baseline)),
    )


def _stages(ours: Sequence[_Run], baseline: Sequence[_Run]) -> list[str]:
    """The stages of either side in the order they come in ours."""
    names = {**ours[0].figures.stages, **baseline[0].figures.stages}
    return [*names, "rest"]


def _stage(name: str, ours: Sequence[_Run], baseline: Sequence[_Run]) -> Case:
    def figures(runs: Sequence[_Run]) -> tuple[float, ...]:
        has = name == "rest" or name in runs[0].figures.stages
        return tuple(one.stage(name) for one in runs) if has else ()

    return Case(
        f"stage {name}, CPU", "ns/reading", figures(ours), figures(baseline), lower_is_better=True
    )


def _percentile(seconds: Sequence[float], percent: int) -> float:
    """In milliseconds."""
    return quantiles(seconds, n=100, method="inclusive")[percent - 1] * 1e3
