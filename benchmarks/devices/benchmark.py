"""Runs the phases of both sides by turns, each in a process of its own, and makes the report.

start    a first reading of each device, then the end: a snapshot of all
restart  go on from that snapshot, one batch, the end
expire   go on from it hours later: one batch comes, all other devices are to be forgotten
return   (ours only) go on from it hours later: each device comes back, and starts anew
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import process
from benchmarks.devices.data import SIZES
from benchmarks.devices.watch import Figures
from benchmarks.frame import Case, Report, interleave
from benchmarks.machine import describe

Run = Mapping[str, Figures]
"""Phase -> what it cost."""
PHASES = ("start", "restart", "expire")


def run(size: str, repeats: int) -> Report:
    """Compare a flow with a Bytewax program that has a key per device.

    Parameters
    ----------
    size
        A key of `SIZES`.
    repeats
        Runs of each side, no more than the size says.

    Raises
    ------
    BenchmarkError
        If a side fails, or its state afterwards does not hold the devices it should.
    """
    devices, repeats = SIZES[size].devices, min(repeats, SIZES[size].repeats)
    ours, baseline = interleave(
        lambda: _run("ours", (*PHASES, "return"), devices),
        lambda: _run("keyed", SIZES[size].baseline, devices),
        repeats,
    )
    about = f"{devices:,} devices with 100 bytes of state each; {repeats} runs of each side."
    cases = (*_cases(ours, baseline, devices), *_allowed(devices, SIZES[size].allowed))
    return Report("devices", size, describe(), cases, about)


def _allowed(devices: int, allowed: float) -> tuple[Case, ...]:
    """What detectors hold of memory, against what they may."""
    held = process.call("benchmarks.devices.scorers:run", devices)
    trees = process.call("benchmarks.devices.scorers:trees")
    scorers = (held["peak"] / devices,)
    return tuple(
        Case(f"{name}; allowed", "bytes", ours, (most,), lower_is_better=True, floor=1.0)
        for name, ours, most in (
            ("a device with a GaussianScorer", scorers, allowed),
            ("MinMaxScaler | HalfSpaceTrees", (trees,), 12_000.0),
        )
    )


def _run(side: str, phases: Sequence[str], devices: int) -> Run:
    figures = {}
    with tempfile.TemporaryDirectory() as directory:
        started = Path(directory) / "start"
        for phase in phases:
            folder = Path(directory) / phase
            if phase != "start":
                shutil.copytree(started, folder)
            told = process.call(f"benchmarks.devices.{side}:run", phase, devices, str(folder))
            figures[phase] = Figures(**told)
    return figures


def _cases(ours: Sequence[Run], baseline: Sequence[Run], devices: int) -> tuple[Case, ...]:
    def case(
        name: str,
        unit: str,
        phase: str,
        figure: Callable[[Figures], float],
        floor: float | None = None,
    ) -> Case:
        def of(runs: Sequence[Run]) -> tuple[float, ...]:
            return tuple(figure(one[phase]) for one in runs if phase in one)

        # A phase that the baseline was spared has nothing to be held against.
        floor = floor if of(baseline) else None
        return Case(name, unit, of(ours), of(baseline), lower_is_better=True, floor=floor)

    return (
        case("first readings, CPU", "s", "start", lambda f: f.readings_cpu, floor=1.5),
        case("snapshot, CPU", "s", "start", lambda f: f.end_cpu, floor=8),
        case("snapshot, wall", "s", "start", lambda f: f.end_wall),
        case("memory of a device", "bytes", "start", lambda f: f.grown / devices),
        case("peak memory until then", "MB", "start", lambda f: f.peak, floor=1),
        case("store, per device", "bytes", "start", lambda f: f.disk / devices),
        case("restart, CPU", "s", "restart", lambda f: f.ready_cpu, floor=4),
        case("restart, wall", "s", "restart", lambda f: f.ready_wall),
        case("restart, peak memory", "MB", "restart", lambda f: f.peak),
        case("restart and expiry, CPU", "s", "expire", lambda f: f.input_cpu, floor=3),
        case("restart and expiry, peak memory", "MB", "expire", lambda f: f.peak),
        case("all return after the ttl, CPU", "s", "return", lambda f: f.readings_cpu),
        case("all return, peak memory", "MB", "return", lambda f: f.peak),
    )
