"""Claims: which stage is meant to find which fault, and what counts as found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.cleaning.due import (
    Due,
    Trial,
    alike,
    coarser,
    longer,
    off,
    readings,
    standing_out,
    values,
)
from benchmarks.cleaning.found import (
    Count,
    Find,
    flagged,
    judge,
    overtaking,
    rejected,
    retimed,
)
from benchmarks.cleaning.signals import Signals, numbered
from streamflow import Batch, Event, Flow, Quality, Stage
from streamflow.core.duration import words
from streamflow.core.event import iso
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

STUCK, PINNED, COARSE, FIRST = 20, 5, 8, 14
"""Before a stage can tell: readings of one value, at one end, changes in coarse steps, values."""
OWN = 10
"""So many usual intervals without a reading are a silence of the signal's own."""
SIGMAS, WIDER = 4.0, 2.0
"""What is far to `Despike`, and coarse to `Stuck`: less than by their defaults, 5 and 4."""


@dataclass(frozen=True)
class Claim:
    """A fault, the stage that is meant to find it, by its name, and how that is seen.

    Parameters
    ----------
    make
        The stage, for some signals.
    find, due, faults
        What the stage found; which faults it can have found, for some show only after a time; and
        which values or readings are faults.
    whole
        True where it is the fault of a device's sensor that is to be found, not each of its values.
    lost
        True where events are counted, one for each stretch of readings that never came.
    """

    fault: Callable[[Severity], Fault]
    stage: str
    make: Callable[[Any, Signals], Stage]
    find: Find = rejected
    due: Due = readings
    faults: Due = readings
    whole: bool = False
    lost: bool = False
    floors: tuple[float, float] = (0.95, 0.95)
    """Under precision and recall at the middle severity: the aim."""

    @property
    def known(self) -> bool:
        """Whether the stage exists here."""
        return self.stage in names("stages")


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
        values,
    ),
    Claim(
        Infinities,
        "validate",
        lambda stage, _: stage(),
        flagged(Quality.NOT_FINITE),
        values,
        values,
    ),
    Claim(
        OutOfRange,
        "validate",
        lambda stage, s: stage(overrides=s.limits),
        flagged(Quality.OUT_OF_RANGE),
        values,
        values,
    ),
    Claim(
        Spikes,
        "despike",
        lambda stage, s: stage(sigmas=SIGMAS, wait=longest(s)),
        flagged(Quality.SPIKE),
        standing_out(FIRST),
        values,
    ),
    Claim(
        Flatline,
        "stuck",
        lambda stage, _: stage(after=STUCK, pinned=None, coarse=None),
        flagged(Quality.STUCK),
        longer(STUCK),
        values,
    ),
    Claim(
        Saturation,
        "stuck",
        lambda stage, _: stage(after=None, pinned=PINNED, coarse=None),
        flagged(Quality.SATURATED),
        longer(PINNED),
        alike,
        whole=True,
    ),
    Claim(
        Quantisation,
        "stuck",
        lambda stage, _: stage(after=None, pinned=None, coarse=WIDER),
        flagged(Quality.COARSE),
        coarser(COARSE),
        values,
        whole=True,
    ),
    Claim(ClockAhead, "guard_clock", lambda stage, _: stage(), retimed, off),
    Claim(ClockSkew, "guard_clock", lambda stage, _: stage(), retimed, off),
    Claim(ClockJump, "guard_clock", lambda stage, _: stage(), retimed, off),
    Claim(ClockReset, "guard_clock", lambda stage, _: stage(), retimed, off),
    Claim(TimeZoneShift, "guard_clock", lambda stage, _: stage(), retimed, off),
    Claim(Duplicates, "deduplicate", lambda stage, _: stage()),
    Claim(LateDelivery, "reorder", lambda stage, s: stage(lateness=longest(s)), overtaking),
    Claim(Gaps, "silent", lambda stage, _: stage(), lost=True),
    Claim(Silence, "silent", lambda stage, _: stage(), lost=True),
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
        return _silences(before, after, truth, signals)
    trial = Trial(signals.batch, faulty, truth, fault)
    found, untouched = claim.find(after, faulty), claim.find(before, signals.batch)
    whole = faulty.device if claim.whole else None
    return judge(found, untouched, claim.faults(trial), claim.due(trial), truth.origin, whole)


def _silences(before: Result, after: Result, truth: Truth, signals: Signals) -> Count:
    """Silences that began while readings were lost, one for each stretch of them.

    The signals' own do not count: those known from the untouched copy, by the reading after which
    they began, and those in which nothing came for `OWN` usual intervals there.
    """
    known = {(e.device, e.fields["last"]) for e in _opened(before)} | _gaps(signals.batch)
    met, wrong = set(), 0
    for event in _opened(after):
        hit = [
            number
            for number, lost in enumerate(truth.lost)
            if lost.device == event.device and lost.start <= event.time <= lost.end
        ]
        met.update(hit)
        wrong += not hit and (event.device, event.fields["last"]) not in known
    return Count(len(met), wrong, len(met), len(truth.lost) - len(met))


def _gaps(batch: Batch) -> set[tuple[str, str]]:
    """Device, and the reading behind which nothing came for `OWN` usual intervals."""
    order, start, _ = batch.groups
    out = set()
    for a, b in pairwise(start.tolist()):
        arrived = np.sort(batch.arrived[order[a:b]])
        steps = np.diff(arrived)
        long = arrived[:-1][steps > OWN * np.median(steps)]
        out |= {(batch.name(int(order[a])), iso(last)) for last in long.tolist()}
    return out


def _opened(result: Result) -> list[Event]:
    return [event for event in result.events if event.fields["status"] == "opened"]
