"""Runs all duels in one process, by turns, and makes the report."""

from __future__ import annotations

from typing import Any

from benchmarks import process
from benchmarks.frame import Case, Report
from benchmarks.kernels.data import SIZES
from benchmarks.machine import describe

FOREST, QUICK = 50.0, 20.0
FLOORS = {
    "HalfSpaceTrees": FOREST,
    "GaussianScorer": QUICK,
    "GaussianScorer, window 100": QUICK,
    "StandardAbsoluteDeviation": QUICK,
    "StandardScaler": QUICK,
    "MinMaxScaler": QUICK,
    "MaxAbsScaler": QUICK,
    "PreviousImputer": QUICK,
    "StatImputer": QUICK,
    "PageHinkley": QUICK,
    "ADWIN": 2.5,
    "AutoDetector": QUICK,
    "LevelShift": QUICK,
    "Mahalanobis": QUICK,
    "SeasonalNovelty": QUICK,
    "ValueNovelty": QUICK,
}
"""Estimator -> how many times River's rate its kernel reaches, with 1,000 devices and more."""
LARGE = {"SeasonalNovelty": 8.0, "ValueNovelty": 8.0}
"""The same with more than 1,000 devices, where it is less: their codebooks take 20 kB of a device,
200 MB in all, and River is given 250 devices, which fit the cache."""
SMALL = 0.4
"""The share of a floor that runs of a few milliseconds on a machine that others use must reach."""


def run(size: str, repeats: int) -> Report:
    """Compare kernels and stages with River's own loop.

    Parameters
    ----------
    size
        A key of `SIZES`.
    repeats
        Runs of each side.

    Raises
    ------
    BenchmarkError
        If an output of ours differs from River's in a bit.
    """
    found = process.call("benchmarks.kernels.duel:duels", size, repeats)
    counts = ", ".join(f"{devices:,}" for devices in SIZES[size].devices)
    about = f"{counts} devices with three sensors; {repeats} runs of each side, equal outputs."
    cases = [case for one in found for case in _cases(one, size)]
    return Report("kernels", size, describe(), tuple(cases), about)


def _cases(one: dict[str, Any], size: str) -> list[Case]:
    devices, rates = one["devices"], one["rates"]
    floor = FLOORS.get(one["name"])
    if floor is not None and size == "small":
        floor *= SMALL
    elif devices < 1_000:
        floor = None
    elif devices > 1_000:
        floor = LARGE.get(one["name"], floor)
    return [
        Case(
            f"{one['name']}, {devices:,}: {side}",
            "readings/s",
            tuple(rates[side]),
            tuple(rates["river"]),
            floor=floor if side == "kernel" else None,
        )
        for side in ("kernel", "stage")
        if side in rates
    ]
