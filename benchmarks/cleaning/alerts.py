"""The effect on alerts: labelled incidents, on clean and corrupted streams, cleaned and not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.cleaning.claims import SIGMAS, STUCK, longest
from benchmarks.cleaning.signals import Signals
from streamflow import Alert, Batch, Detect, Flow, ValueNovelty
from streamflow.core.duration import words
from streamflow.engine.episodes import episodes, judge
from streamflow.flow.registry import load, names
from streamflow.testing import (
    ClockAhead,
    ClockReset,
    Duplicates,
    Fault,
    Flatline,
    Infinities,
    LateDelivery,
    MissingValues,
    OutOfRange,
    Spikes,
    inject,
)


@dataclass(frozen=True)
class Verdict:
    """The share of alerts that are in an incident, and of incidents that have an alert."""

    precision: float
    recall: float
    alerts: int


def faults(signals: Signals, *, spikes: bool) -> Sequence[Fault]:
    """All at once, in their middle severity; every second device's clock is an hour fast."""
    every_second = sorted({signals.batch.name(i) for i in range(len(signals.batch))})[::2]
    sensors = (MissingValues(), Infinities(), OutOfRange(), *([Spikes()] if spikes else []))
    clocks = (ClockAhead(devices=every_second), ClockReset())
    return (*sensors, Flatline(), *clocks, Duplicates(), LateDelivery())


def cleaning(signals: Signals, *, despike: bool) -> Flow:
    """The stages that exist here, in their order, before the detector."""
    wait = longest(signals)
    options: Mapping[str, Mapping[str, Any]] = {
        "guard_clock": {},
        "deduplicate": {},
        "reorder": {"lateness": wait},
        "validate": {"overrides": signals.limits},
        "stuck": {"after": STUCK},
        "despike": {"wait": wait, "sigmas": SIGMAS},
        "impute": {"hold": wait},
    }
    flow = Flow("cleaned", sensors=signals.sensors, tags=["n"])
    for name, given in options.items():
        if name in names("stages") and (despike or name != "despike"):
            flow |= load("stages", name)(**given)
    return flow


def verdict(flow: Flow, batch: Batch, signals: Signals) -> Verdict:
    """What the alerts of a flow are worth, by the known incidents."""
    steps = np.diff(np.sort(signals.batch.time[signals.batch.device == signals.batch.device[0]]))
    hold = words(50 * int(np.median(steps[steps > 0])))
    limit = ValueNovelty.ALERT_LIMIT
    whole = flow | Detect(ValueNovelty()) | Alert(f"score > {limit}", hold=hold)
    raised = episodes(whole.replay(batch).events)
    told = judge(raised, signals.incidents)
    precision = 1 - len(told.false) / len(raised) if raised else 1.0
    return Verdict(precision, len(told.hit) / len(signals.incidents), len(raised))


def compare(signals: Signals, seeds: int) -> dict[str, tuple[Verdict, list[Verdict]]]:
    """On the clean stream, and on corrupted ones; each way of working under its name.

    Spikes are a fault where a flow takes them for one, with `Despike`: else they are what a
    detector is there to see.
    """
    usual, despiking = (cleaning(signals, despike=despike) for despike in (False, True))
    ways = {
        "cleaned": (usual, False),
        "cleaned, despike": (despiking, True),
        "cleaned, spikes left": (usual, True),
        "plain": (Flow("plain", sensors=signals.sensors, tags=["n"]), True),
    }
    streams = {
        spikes: [inject(signals.batch, faults(signals, spikes=spikes), s)[0] for s in range(seeds)]
        for spikes in (False, True)
    }
    return {
        how: (
            verdict(flow, signals.batch, signals),
            [verdict(flow, batch, signals) for batch in streams[spikes]],
        )
        for how, (flow, spikes) in ways.items()
    }
