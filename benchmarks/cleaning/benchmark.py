"""Judges every claim on every data set, then the alerts, and makes the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.cleaning.alerts import Verdict, compare
from benchmarks.cleaning.claims import CLAIMS, Claim, judged
from benchmarks.cleaning.signals import Signals, load
from benchmarks.frame import Case, Report
from benchmarks.machine import describe
from streamflow.testing.faults import SEVERITIES, Severity

SEEDS = {"small": 1, "full": 3}
JUDGED: Mapping[str, Sequence[Severity]] = {"small": ("middle",), "full": SEVERITIES}
POINTS = 0.05
"""How far alerts of a corrupted stream may fall behind those of the clean one."""
HELD = ("cleaned", "cleaned, despike")
"""The ways of working that are held to it."""


def run(size: str, repeats: int) -> Report:
    """Judge the stages that exist here.

    Parameters
    ----------
    size
        A key of `SEEDS`.
    repeats
        Seeds, no more than the size says.
    """
    seeds = min(repeats, SEEDS[size])
    sets = load()
    cases = [
        case
        for signals in sets
        for case in (*_claims(signals, seeds, JUDGED[size]), *_alerts(signals, seeds))
    ]
    names = "; ".join(f"{s.name}: {len(s.batch):,} readings" for s in sets)
    about = f"{names}. Shares; the baseline of a claim is 1, all of it; {seeds} seeds."
    return Report("cleaning", size, describe(), tuple(cases), about)


def _claims(signals: Signals, seeds: int, severities: Sequence[Severity]) -> Iterator[Case]:
    for claim in CLAIMS:
        if not claim.known:
            continue
        for severity in severities:
            yield from _claim(claim, severity, signals, seeds)


def _claim(claim: Claim, severity: Severity, signals: Signals, seeds: int) -> Iterator[Case]:
    """Precision and recall, if there was anything to find."""
    counts = [judged(claim, severity, signals, seed) for seed in range(seeds)]
    if not all(count.due for count in counts):
        return
    kind = claim.fault(severity).kind
    ones = (1.0,) * seeds
    floors = claim.floors if severity == "middle" else (None, None)
    sides = {
        "precision": tuple(count.precision for count in counts),
        "recall": tuple(count.recall for count in counts),
    }
    for (side, ours), floor in zip(sides.items(), floors, strict=True):
        name = f"{signals.name}: {kind}, {severity}: {side}"
        yield Case(name, "share", ours, ones, floor=floor)


def _alerts(signals: Signals, seeds: int) -> Iterator[Case]:
    for how, (clean, corrupted) in compare(signals, seeds).items():
        for side in ("precision", "recall"):
            ours, baseline = _side(corrupted, side), _side([clean] * seeds, side)
            # A ratio at this floor is a loss of so many points.
            floor = 1 - POINTS / baseline[0] if how in HELD and baseline[0] else None
            name = f"{signals.name}: alerts, {how}: {side}"
            yield Case(name, "share", ours, baseline, floor=floor)


def _side(verdicts: Sequence[Verdict], side: str) -> tuple[float, ...]:
    return tuple(getattr(one, side) for one in verdicts)
