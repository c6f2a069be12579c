"""Runs all stages in one process, by turns with their loops, then the chain; makes the report."""

from __future__ import annotations

from typing import Any

from benchmarks import process
from benchmarks.cleaning_speed.chain import FLOOR, NAME
from benchmarks.cleaning_speed.data import SIZES
from benchmarks.frame import Case, Report
from benchmarks.machine import describe


def run(size: str, repeats: int) -> Report:
    """Compare each stage with a loop and a copy of the columns, the chain with the hot path.

    Parameters
    ----------
    size
        A key of `SIZES`.
    repeats
        Runs of each side.

    Raises
    ------
    BenchmarkError
        If a stage of times gives other readings than its loop.
    """
    place = "benchmarks.cleaning_speed"
    cases = []
    for one in process.call(f"{place}.duel:duels", size, repeats):
        ns, name = one["ns"], one["name"]
        if "loop" in ns:
            cases.append(_case(f"{name}: loop", ns["stage"], ns["loop"], one["floor"]))
        cases.append(_case(f"{name}: copy", ns["stage"], ns["copy"], None))
    ns = process.call(f"{place}.chain:run", size, repeats)
    cases.append(_case(f"{NAME}: the hot path", ns["chain"], ns["hot path"], FLOOR))
    about = f"three sensors; {repeats} runs of each side, {SIZES[size]:,} readings a run."
    return Report("cleaning_speed", size, describe(), tuple(cases), about)


def _case(name: str, ours: Any, theirs: Any, floor: float | None) -> Case:
    return Case(name, "ns/reading", tuple(ours), tuple(theirs), lower_is_better=True, floor=floor)
