"""Makes the report: each detector beside ours, and ours beside what it must reach."""

from __future__ import annotations

from typing import Any

from benchmarks import process
from benchmarks.frame import BenchmarkError, Case, Report
from benchmarks.machine import describe

OURS, STATE = "AutoDetector", "Mahalanobis"
BARS = {"standard": 75.5, "low FP": 66.0, "low FN": 80.5}
"""What all of NAB must reach, in points."""
HALF = 73.5
"""The same with the threshold from the other half of the files."""
F1, FAR, AREA = 0.72, 27.0, 0.80
"""What SKAB must reach."""


def run(size: str, repeats: int) -> Report:
    """Judge the detectors on labelled data.

    Parameters
    ----------
    size
        `small` leaves out what takes minutes.
    repeats
        Not used: every run gives the same scores.

    Raises
    ------
    BenchmarkError
        If a score changes when its series is cut off later.
    """
    del repeats
    found = process.call("benchmarks.detection.contest:contest", size)
    if found["differ"]:
        raise BenchmarkError(f"{found['differ']} scores change when the series is cut off later")
    about = (
        f"NAB, {found['files']} files; SKAB, {found['runs']} runs; one configuration for all, "
        f"each reading scored before it is learned; ours is {OURS} on NAB, {STATE} on SKAB."
    )
    return Report("detection", size, describe(), (*_nab(found), *_skab(found["SKAB"])), about)


def _nab(found: dict[str, Any]) -> list[Case]:
    own = found["NAB"][OURS]
    cases = [_case(f"NAB {name}, to reach", own[name], bar, 1.0) for name, bar in BARS.items()]
    half = sum(own["half"]) / len(own["half"])
    cases.append(_case("NAB other half, to reach", half, HALF, 1.0))
    cases.append(Case("NAB other half, each fold", "points", tuple(own["half"]), ()))
    if found["chosen"]:
        cases.append(Case("NAB other half, chosen there too", "points", tuple(found["chosen"]), ()))
    cases.append(_case("NAB standard, at ALERT_LIMIT", found["limit"], None))
    cases.append(_case("NAB standard, sd of a bootstrap", found["bootstrap"], None))
    for rival, theirs in found["NAB"].items():
        if rival == OURS:
            continue
        cases += [_case(f"NAB {name}, {rival}", own[name], theirs[name]) for name in BARS]
        other = sum(theirs["half"]) / len(theirs["half"])
        cases.append(_case(f"NAB other half, {rival}", half, other))
        cases.append(_cost(f"NAB, {rival}", own, theirs))
    return cases


def _skab(found: dict[str, Any]) -> list[Case]:
    if not found:
        return []
    own = found[STATE]
    cases = [
        Case("SKAB F1, to reach", "share", (own["F1"],), (F1,), floor=1.0),
        Case("SKAB false alarms, at most", "%", (own["FAR"],), (FAR,), True, 1.0),
        Case("SKAB AUC-PR, to reach", "share", (own["AUC-PR"],), (AREA,), floor=1.0),
    ]
    for rival, theirs in found.items():
        if rival == STATE:
            continue
        for name, unit, less in (("F1", "share", False), ("FAR", "%", True), ("MAR", "%", True)):
            cases.append(Case(f"SKAB {name}, {rival}", unit, (own[name],), (theirs[name],), less))
        cases.append(Case(f"SKAB AUC-PR, {rival}", "share", (own["AUC-PR"],), (theirs["AUC-PR"],)))
        cases.append(_cost(f"SKAB, {rival}", own, theirs))
    return cases


def _case(name: str, ours: float, baseline: float | None, floor: float | None = None) -> Case:
    return Case(name, "points", (ours,), () if baseline is None else (baseline,), floor=floor)


def _cost(name: str, ours: dict[str, Any], theirs: dict[str, Any]) -> Case:
    return Case(f"CPU, {name}", "us/reading", (ours["cost"],), (theirs["cost"],), True)
