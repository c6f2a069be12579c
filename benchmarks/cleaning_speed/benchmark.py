"""Runs all stages in one process, by turns with their loops, and makes the report."""

from __future__ import annotations

from typing import Any

from benchmarks import process
from benchmarks.cleaning_speed.data import SIZES
from benchmarks.frame import Case, Report
from benchmarks.machine import describe

SMALL = 0.4
"""The share of a floor that runs of a few milliseconds on a machine that others use must reach."""


def run(size: str, repeats: int) -> Report:
    """Compare each stage with a loop over the readings, and with a copy of the columns.

    Parameters
    ----------
    size
        A key of `SIZES`.
    repeats
        Runs of each side.

    Raises
    ------
    BenchmarkError
        If a stage gives other readings than its loop.
    """
    found = process.call("benchmarks.cleaning_speed.duel:duels", size, repeats)
    counts = ", ".join(f"{devices:,}" for devices in SIZES[size].devices)
    about = f"{counts} devices with three sensors; {repeats} runs of each side, equal readings."
    cases = [case for one in found for case in _cases(one, size)]
    return Report("cleaning_speed", size, describe(), tuple(cases), about)


def _cases(one: dict[str, Any], size: str) -> list[Case]:
    floor = one["floor"] * (SMALL if size == "small" else 1)
    return [
        Case(
            f"{one['name']}, {one['devices']:,}: {side}",
            "ns/reading",
            tuple(one["ns"]["stage"]),
            tuple(one["ns"][side]),
            lower_is_better=True,
            floor=floor if side == "loop" else None,
        )
        for side in ("loop", "copy")
    ]
