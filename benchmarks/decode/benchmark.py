"""Runs all forms in one process and makes the report."""

from __future__ import annotations

from benchmarks import process
from benchmarks.decode.data import BATCH, FORMS, SIZES
from benchmarks.frame import Case, Report
from benchmarks.machine import describe

SMALL = 0.75
"""The share of a floor that short runs on a machine that others use must reach."""


def run(size: str, repeats: int) -> Report:
    """Compare bytes to columns.

    Parameters
    ----------
    size
        A key of `SIZES`.
    repeats
        Runs of each side.

    Raises
    ------
    BenchmarkError
        If a column differs.
    """
    cases = []
    for one in process.call("benchmarks.decode.duel:duels", size, repeats):
        name, rates = one["name"], one["rates"]
        floor = FORMS[name].floor
        if floor is not None and size == "small":
            floor *= SMALL
        ours = tuple(rates["ours"])
        for other, least in (("loop", floor), ("lists", None), ("comprehensions", None)):
            cases.append(
                Case(f"{name}: {other}", "readings/s", ours, tuple(rates[other]), floor=least)
            )
    about = (
        f"{SIZES[size] * 1000:,} readings of 1,000 devices, three sensors, batches of {BATCH:,} "
        f"messages; {repeats} runs of each side, equal columns."
    )
    return Report("decode", size, describe(), tuple(cases), about)
