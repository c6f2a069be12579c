"""Claims: which stage is meant to find which fault, and what counts as found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.cleaning.found import (
    AHEAD,
    Count,
    Due,
    Find,
    Where,
    behind,
    flagged,
    judge,
    overtaking,
    readings,
    rejected,
    retimed,
    values,
)
from benchmarks.cleaning.signals import Signals, numbered
from streamflow import Batch, Event, Flow, Quality, Stage
from streamflow.core.duration import words
from streamflow.engine.result import Result
from streamflow.flow.registry import load, names
from streamflow.testing import (
    ClockAhead,
    ClockJump,
    ClockReset,
    ClockSkew,
    Duplicates,
    Fault,
    Flatline,
    Gaps,
    Infinities,
    LateDelivery,
    MissingValues,
    OutOfRange,
    Quantisation,
    Saturation,
    Silence,
    Spikes,
    TimeZoneShift,
    Truth,
    inject,
)
from streamflow.testing.faults import Severity

STUCK, PINNED, COARSE = 20, 5, 8
"""Readings of one value, at one end, and changes in coarse steps, before a stage can tell."""


@dataclass(frozen=True)
class Claim:
    """A fault, the stage that is meant to find it, by its name, and how that is seen.

    Parameters
    ----------
    make
        The stage, for some signals.
    find, due
        What the stage found; and which faults it can have found, for some show only after a time.
    lost
        True where events are counted, one for each stretch of readings that never came.
    """

    fault: Callable[[Severity], Fault]
    stage: str
    make: Callable[[Any, Signals], Stage]
    find: Find = rejected
    due: Due = readings
    lost: bool = False
    floors: tuple[float, float] = (0.95, 0.95)
    """Under precision and recall at the middle severity; the aim, or what is reached."""

    @property
    def known(self) -> bool:
        """Whether the stage exists here."""
        return self.stage in names("stages")


def off(batch: Batch, truth: Truth, kind: str) -> Where:
    """Readings whose time is wrong by more than a clock may be."""
    wrong = np.abs(batch.time - batch.arrived) > AHEAD
    return {"": truth.reading(kind) & wrong}


def longest(signals: Signals) -> str:
    """A duration above all usual intervals, by ten."""
    order, start, _ = signals.batch.groups
    steps = np.diff(signals.batch.time[order])
    inside = np.ones(len(steps), bool)
    inside[start[1:-1] - 1] = False
    return words(20 * int(np.percentile(steps[inside & (steps > 0)], 99)))


CLAIMS: Sequence[Claim] = (
    Claim(
        MissingValues,
        "impute",
        lambda stage, _: stage(hold="3650d"),
        flagged(Quality.IMPUTED),
        values,
    ),
    Claim(Infinities, "validate", lambda stage, _: stage(), flagged(Quality.NOT_FINITE), values),
    Claim(
        OutOfRange,
        "validate",
        lambda stage, s: stage(overrides=s.limits),
        flagged(Quality.OUT_OF_RANGE),
        values,
    ),
    Claim(
        Spikes,
        "despike",
        lambda stage, s: stage(wait=longest(s)),
        flagged(Quality.SPIKE),
        values,
        floors=(0.95, 0.65),
    ),
    Claim(
        Flatline,
        "stuck",
        lambda stage, _: stage(after=STUCK, pinned=None, coarse=None),
        flagged(Quality.STUCK),
        behind(STUCK),
        floors=(0.95, 0.78),
    ),
    Claim(
        Saturation,
        "stuck",
        lambda stage, _: stage(after=None, pinned=PINNED, coarse=None),
        flagged(Quality.SATURATED),
        behind(PINNED, equal=True),
        floors=(0.95, 0.1),
    ),
    Claim(
        Quantisation,
        "stuck",
        lambda stage, _: stage(after=None, pinned=None),
        flagged(Quality.COARSE),
        behind(COARSE, changes=True),
        floors=(0.95, 0.65),
    ),
    Claim(ClockAhead, "guard_clock", lambda stage, _: stage(), retimed, off),
    Claim(ClockSkew, "guard_clock", lambda stage, _: stage(), retimed, off),
    Claim(ClockJump, "guard_clock", lambda stage, _: stage(), retimed, off),
    Claim(ClockReset, "guard_clock", lambda stage, _: stage(), retimed, off),
    Claim(TimeZoneShift, "guard_clock", lambda stage, _: stage(), retimed, off),
    Claim(Duplicates, "deduplicate", lambda stage, _: stage()),
    Claim(LateDelivery, "reorder", lambda stage, s: stage(lateness=longest(s)), overtaking),
    Claim(Gaps, "silent", lambda stage, _: stage(), lost=True),
    Claim(Silence, "silent", lambda stage, _: stage(), lost=True, floors=(0.9, 0.95)),
)


def judged(claim: Claim, severity: Severity, signals: Signals, seed: int = 0) -> Count:
    """What the claim's stage finds of its fault in some signals."""
    fault = claim.fault(severity)
    made = claim.make(load("stages", claim.stage), signals)
    flow = Flow("cleaning", sensors=signals.sensors, tags=["n"]) | made
    faulty, truth = inject(signals.batch, [fault], seed)
    faulty = numbered(faulty)
    before, after = flow.replay(signals.batch), flow.replay(faulty)
    if claim.lost:
        return _silences(before, after, truth)
    whole = claim.due in (readings, off)
    everywhere = (readings if whole else values)(faulty, truth, fault.kind)
    due = claim.due(faulty, truth, fault.kind)
    found, untouched = claim.find(after, faulty), claim.find(before, signals.batch)
    return judge(found, untouched, everywhere, due, truth.origin)


def _silences(before: Result, after: Result, truth: Truth) -> Count:
    """Silences that began while readings were lost, one for each stretch of them.

    A silence is known from the untouched copy by the reading after which it began.
    """
    known = {(e.device, e.fields["last"]) for e in _opened(before)}
    met, wrong = set(), 0
    for event in _opened(after):
        hit = [
            number
            for number, lost in enumerate(truth.lost)
            if lost.device == event.device and lost.start <= event.time <= lost.end
        ]
        met.update(hit)
        wrong += not hit and (event.device, event.fields["last"]) not in known
    return Count(len(met), wrong, len(truth.lost) - len(met))


def _opened(result: Result) -> list[Event]:
    return [event for event in result.events if event.fields["status"] == "opened"]
