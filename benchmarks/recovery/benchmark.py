"""Runs the flow with recovery on and off by turns, and makes the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median, quantiles

from benchmarks import process
from benchmarks.frame import Case, Report, interleave
from benchmarks.machine import describe
from benchmarks.recovery.meter import Figures


@dataclass(frozen=True)
class Setting:
    """What is measured: devices, bytes of state of each, the epoch in s, and so many epochs.

    The floors are the least throughput with recovery on, as a share of that with it off; None if
    the setting only informs.
    """

    devices: int
    bytes_per_device: int
    epoch: float
    epochs: int
    floor_cpu: float | None = None
    floor_wall: float | None = None

    @property
    def label(self) -> str:
        """In words."""
        return f"{self.devices:,} x {self.bytes_per_device / 1000:g} kB, {self.epoch:g} s"


def _full() -> tuple[Setting, ...]:
    settings = []
    for devices in (1_000, 10_000):
        for size in (1_000, 10_000):
            for epoch, epochs in ((1, 5), (2, 4), (10, 2)):
                floor = {(10_000_000, 2): 0.95, (100_000_000, 10): 0.9}.get((devices * size, epoch))
                settings.append(Setting(devices, size, epoch, epochs, floor, floor))
    return tuple(settings)


SIZES = {
    # Three seconds and a shared disk cannot tell 5 %: this only finds an epoch gone wrong.
    "small": (Setting(1_000, 1_000, 1, 3, 0.8), Setting(1_000, 10_000, 1, 3, 0.7)),
    "full": _full(),
}
REPEATS = {"small": 2, "full": 7}
"""At most so many runs of each side: an epoch has a length, and CI a minute."""


def run(size: str, repeats: int) -> Report:
    """Compare recovery on with recovery off.

    Parameters
    ----------
    size
        A key of `SIZES`.
    repeats
        Runs of each side, no more than `REPEATS`.

    Raises
    ------
    BenchmarkError
        If a run lost a reading, or left a state on disk that is not that of its readings.
    """
    repeats = min(repeats, REPEATS[size])
    cases: list[Case] = []
    for setting in SIZES[size]:
        on, off = interleave(
            partial(_measure, setting, recovery=True),
            partial(_measure, setting, recovery=False),
            repeats,
        )
        cases += _cases(setting, on, off)
    about = (
        f"ours is recovery on, baseline recovery off; devices x bytes of state each, epoch; one "
        f"worker, a saturating source, batches of 4,096; {repeats} runs of each side."
    )
    return Report("recovery", size, describe(), tuple(cases), about)


def _measure(setting: Setting, *, recovery: bool) -> Figures:
    told = process.call(
        "benchmarks.recovery.side:measure",
        setting.devices,
        setting.bytes_per_device,
        setting.epoch,
        setting.epochs,
        recovery,
    )
    return Figures(**told)


def _cases(setting: Setting, on: Sequence[Figures], off: Sequence[Figures]) -> list[Case]:
    def both(
        name: str, unit: str, figure: Callable[[Figures], float], floor: float | None = None
    ) -> Case:
        return Case(
            f"{setting.label}: {name}",
            unit,
            tuple(map(figure, on)),
            tuple(map(figure, off)),
            lower_is_better=unit == "ms",
            floor=floor,
        )

    def ours(name: str, figure: Callable[[Figures], float]) -> Case:
        values = tuple(map(figure, on))
        return Case(f"{setting.label}: {name}", "ms", values, (), lower_is_better=True)

    return [
        both("by CPU", "readings/s", lambda f: f.rate(setting.epoch), setting.floor_cpu),
        both("by wall", "readings/s", lambda f: f.readings / f.wall, setting.floor_wall),
        ours("CPU of an epoch", lambda f: median(f.epochs_cpu) * 1e3),
        ours("stall of an epoch", lambda f: median(f.epochs_wall) * 1e3),
        ours("longest stall", lambda f: max(f.epochs_wall) * 1e3),
        both("latency p50", "ms", lambda f: _percentile(f.latencies, 50)),
        both("latency p99", "ms", lambda f: _percentile(f.latencies, 99)),
        both("latency max", "ms", lambda f: max(f.latencies) * 1e3),
    ]


def _percentile(seconds: Sequence[float], percent: int) -> float:
    """In milliseconds."""
    return quantiles(seconds, n=100, method="inclusive")[percent - 1] * 1e3
