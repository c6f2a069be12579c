"""Runs all stages and makes the report."""

from __future__ import annotations

from benchmarks import process
from benchmarks.cleaning_values.stages import CASES, CHAIN
from benchmarks.frame import Case, Report
from benchmarks.machine import describe

SIZES = {"small": (100, 4), "full": (1000, 25)}
"""Devices, and batches of 4,096 readings in a run."""
UNIT = "ns/reading"


def run(size: str, repeats: int) -> Report:
    """Measure each stage, then the recommended chain beside the hot path.

    Parameters
    ----------
    size
        A key of `SIZES`.
    repeats
        Runs of each side.
    """
    devices, batches = SIZES[size]
    cases: list[Case] = []
    place = "benchmarks.cleaning_values.race"
    races = process.call(f"{place}:races", devices, batches, repeats)
    for case, found in zip(CASES, races, strict=True):
        ours = tuple(found["ours"])
        against = {"a copy of the columns": "copy", "a loop": "loop"}
        for what, side in against.items():
            if side in found:
                floor = case.floor if side == "loop" else None
                theirs = tuple(found[side])
                name = f"{case.name}: {what}"
                cases.append(Case(name, UNIT, ours, theirs, lower_is_better=True, floor=floor))
    found = process.call(f"{place}:chain", devices, batches, repeats)
    ours, theirs = tuple(found["chain"]), tuple(found["hot path"])
    name = f"{CHAIN.name}: the hot path"
    cases.append(Case(name, UNIT, ours, theirs, lower_is_better=True, floor=3.0))
    about = f"{devices:,} devices, 3 sensors, {repeats} runs of {batches} batches of 4,096 readings"
    return Report("cleaning_values", size, describe(), tuple(cases), about)
