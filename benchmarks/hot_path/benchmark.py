"""Runs both sides by turns, asserts that they agree, and makes the report."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import quantiles

from benchmarks import process
from benchmarks.frame import BenchmarkError, Case, Report, interleave
from benchmarks.hot_path.data import Size, Workload, workload
from benchmarks.hot_path.outcome import Figures, Results
from benchmarks.machine import describe

OURS = "benchmarks.hot_path.ours"
BASELINE = "benchmarks.hot_path.per_record"
EPOCHS = 7.0
"""Seconds of steady time on our side: three epochs of the default length."""


ALLOWED = 2.0
"""Milliseconds of a single reading through the engine, 99 of 100."""


@dataclass(frozen=True)
class Setting:
    """What is measured.

    Parameters
    ----------
    size
        The messages, and how they come.
    floor
        The least ratio of readings per second of CPU; None if the setting only informs.
    label
        In words; empty for the main one, of which all figures are shown.
    steady
        Seconds of steady time on our side.
    workers
        With more than one, the baseline is our side with one.
    """

    size: Size
    floor: float | None = None
    label: str = ""
    steady: float = EPOCHS
    workers: int = 1


FLEET = Size(devices=1000, readings=400, batch=4096)
SIZES = {
    "small": (
        Setting(Size(devices=16, readings=500, batch=1024), 4, steady=3),
        Setting(Size(devices=16, readings=300, batch=16), 2, "batches of 16", steady=3),
    ),
    "full": (
        Setting(FLEET, 50),
        Setting(Size(100, 400, 4096, hot=0.3), 30, "one device sends 30 %"),
        Setting(Size(50, 400, 64), 10, "batches of 64"),
        Setting(Size(50, 400, 16), 4, "batches of 16"),
        Setting(Size(50, 300, 1), 1, "single readings"),
        Setting(Size(4, 750, 1, pause=0.004), None, "a reading each 4 ms"),
        Setting(FLEET, None, "two workers against one", workers=2),
    ),
}


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
        Modules with ``run(work: Workload, ...) -> Outcome``.

    Raises
    ------
    BenchmarkError
        If a side fails, if two runs differ in a score or an alert, or if none raised an alert.
    """
    cases: list[Case] = []
    about = []
    for setting in SIZES[size]:
        work = workload(setting.size)
        compared = _Compared(setting, work, ours, baseline)
        a, b = compared.runs(repeats)
        cases += _cases(setting, a, b)
        about.append(
            f"{setting.label or 'main'}: {setting.size.devices:,} devices, "
            f"{len(work.messages):,} messages in batches of {work.batch:,}, steady from message "
            f"{work.steady:,}, {compared.alerts:,} equal alerts"
        )
    about.append(f"{repeats} runs of each side, equal scores")
    return Report("hot_path", size, describe(), tuple(cases), "; ".join(about) + ".")


class _Compared:
    """Runs both sides on the same messages, and sees that they agree."""

    def __init__(self, setting: Setting, work: Workload, ours: str, baseline: str) -> None:
        self._setting, self._work = setting, work
        self._ours, self._baseline = ours, baseline
        self._agreed: list[Results] = []

    @property
    def alerts(self) -> int:
        """How many readings raised an alert."""
        return len(self._agreed[0].alerts)

    def runs(self, repeats: int) -> tuple[list[_Run], list[_Run]]:
        """So many runs of each side, by turns."""
        steady, workers = self._setting.steady, self._setting.workers
        with tempfile.TemporaryDirectory() as directory:
            path = str(Path(directory) / "messages")
            self._work.write(Path(path))
            if workers == 1:
                other = partial(self._measure, self._baseline, path)
            else:
                other = partial(self._measure, self._ours, path, steady, 1)
            return interleave(
                partial(self._measure, self._ours, path, steady, workers), other, repeats
            )

    def _measure(self, module: str, path: str, *arguments: float) -> _Run:
        told = process.call("benchmarks.hot_path.side:measure", module, path, *arguments)
        results = Results(told["scores"], {(device, at) for device, at in told["alerts"]})
        if not self._agreed:
            self._agreed.append(results)
        if (odd := self._agreed[0].difference(results)) is not None:
            raise BenchmarkError(f"{module} differs from the first run of {self._ours}: {odd}")
        if not results.alerts:
            raise BenchmarkError("no alert was raised, so equal alerts say nothing")
        return _Run(Figures(**told["figures"]), told["import_cpu"])


def _cases(setting: Setting, ours: Sequence[_Run], baseline: Sequence[_Run]) -> list[Case]:
    def case(
        name: str,
        unit: str,
        figure: Callable[[_Run], float],
        lower_is_better: bool = True,
        floor: float | None = None,
    ) -> Case:
        return Case(
            f"{setting.label}: {name}" if setting.label else name,
            unit,
            tuple(figure(one) for one in ours),
            tuple(figure(one) for one in baseline),
            lower_is_better,
            floor,
        )

    by_cpu = case(
        "steady, by CPU",
        "readings/s",
        lambda one: one.figures.steady_readings / one.figures.steady_cpu,
        lower_is_better=False,
        floor=setting.floor,
    )
    by_wall = case(
        "steady, by wall",
        "readings/s",
        lambda one: one.figures.steady_readings / one.figures.steady_wall,
        lower_is_better=False,
    )
    latencies = [
        case("latency p50 of a batch", "ms", lambda one: _percentile(one.figures.latencies, 50)),
        case("latency p99 of a batch", "ms", lambda one: _percentile(one.figures.latencies, 99)),
    ]
    if setting.size.pause:
        slowest = latencies[-1].ours
        allowed = Case(
            f"{latencies[-1].name}; allowed",
            "ms",
            slowest,
            (ALLOWED,) * len(slowest),
            lower_is_better=True,
            floor=1.0,
        )
        return [*latencies, allowed]
    if setting.label:
        return [by_cpu, by_wall, *latencies]
    return [
        by_cpu,
        by_wall,
        case(
            "whole run, by CPU",
            "readings/s",
            lambda one: one.figures.whole_readings / one.figures.whole_cpu,
            lower_is_better=False,
        ),
        *latencies,
        case("peak memory", "MB", lambda one: one.figures.peak),
        case("imports, CPU", "s", lambda one: one.import_cpu),
        case("building models, CPU", "s", lambda one: one.figures.build_cpu),
        *(_stage(name, ours, baseline) for name in _stages(ours, baseline)),
    ]


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
