"""Advice: which stages the data calls for, with the reason of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from streamflow.core.duration import words
from streamflow.flow.registry import load, names
from streamflow.profile.facts import DeviceFacts, SensorFacts
from streamflow.profile.findings import Finding, sentinel
from streamflow.profile.nice import above, at_least, below, quoted

WIDER = 3
"""Limits lie so many spreads outside what was seen."""
FEW = 5
"""Fewer spikes are no reason for a stage."""
LATENESS = 0.99
"""The share of late readings that the lateness covers."""


def here(stage: str, argument: str = "") -> bool:
    """Whether a stage is registered, and its class has a field of this name."""
    if stage not in names("stages"):
        return False
    return not argument or argument in {one.name for one in fields(load("stages", stage))}


@dataclass(frozen=True)
class Advice:
    """One stage: its entry point, the class, its arguments as code, and why.

    One that is only `offered` is written as a comment.
    """

    stage: str
    cls: str
    arguments: str
    reason: str
    offered: bool = False

    @property
    def code(self) -> str:
        """The call."""
        return f"{self.cls}({self.arguments})"


@dataclass(frozen=True)
class Seen:
    """What advice is given on.

    Parameters
    ----------
    devices, findings
        The facts, and what is suspicious among them.
    late
        Late readings of all devices by how late, in quarters of a power of two of ns.
    live
        Whether readings arrived by the clock.
    has
        Whether a stage exists here, and takes an argument of this name.
    """

    devices: Sequence[DeviceFacts]
    findings: Sequence[Finding]
    late: Sequence[int] = ()
    live: bool = False
    has: Callable[[str, str], bool] = here

    @property
    def every(self) -> int:
        """The usual interval of the usual device, ns."""
        known = [one.every for one in self.devices if one.every]
        return int(np.median(known)) if known else 10**9

    def count(self, *what: str) -> int:
        """How many devices have a finding of these kinds."""
        return len({one.device for one in self.findings if one.what in what})

    def sensors(self, *what: str) -> list[str]:
        """The sensors that have a finding of these kinds on some device."""
        return sorted({one.sensor for one in self.findings if one.what in what})


def advise(seen: Seen) -> list[Advice]:
    """The stages in the order in which a flow has them; only those that exist."""
    all_ = (*_delivery(seen), *_values(seen), *_detection(seen))
    return [one for one in all_ if seen.has(one.stage, "")]


def limits(devices: Sequence[DeviceFacts], name: str) -> tuple[float, float, str] | None:
    """Low and high of a sensor over all devices, and the reason; None if it has no values.

    They are meant to be impossible, not unusual: far outside what was seen, less what looks like
    a word for no value.
    """
    have = [one.sensors[name] for one in devices if one.sensors[name].values]
    if not have:
        return None
    low = min(_edge(one, -1) for one in have)
    high = max(_edge(one, 1) for one in have)
    values = sum(one.values for one in have)
    spread = max(one.spread for one in have) or max(abs(low), abs(high), 1.0)
    left = {value for one in have if (value := sentinel(one)) is not None}
    beside = f", beside {', '.join(f'{v:g}' for v in sorted(left))} for no value" if left else ""
    reason = f"{low:g} to {high:g} in {values:,} values{beside}; wider by {WIDER} spreads"
    if spread > 20 * float(np.median([one.spread for one in have])) and len(have) > 1:
        reason += "; the devices differ widely: give each its own with Validate(overrides=...)"
    floor, ceiling = below(low - WIDER * spread), above(high + WIDER * spread)
    edges = [v for v in left if floor <= v <= ceiling]
    if edges:  # within reach of the limits: as tight as must be
        floor = max([floor, *(below(low) for v in edges if v < low)])
        ceiling = min([ceiling, *(above(high) for v in edges if v > high)])
    return floor, ceiling, reason


def _edge(one: SensorFacts, side: int) -> float:
    """The lowest or highest value that is no word for no value."""
    value, near = (one.low, one.percentiles[0]) if side < 0 else (one.high, one.percentiles[4])
    return near if value == sentinel(one) else value


def _delivery(seen: Seen) -> Iterator[Advice]:
    clocks = seen.count("clock reset", "future", "clock set back", "clock off")
    if clocks or seen.live:
        why = f"{clocks:,} devices with a clock that was wrong" if clocks else "clocks go wrong"
        yield Advice("guard_clock", "GuardClock", "", why)
    copies = sum(one.copies for one in seen.devices)
    if copies:
        yield Advice("deduplicate", "Deduplicate", "", f"{copies:,} readings came twice")
    late = sum(one.late for one in seen.devices)
    if late:
        lateness = at_least(_lateness(seen))
        most = words(max(one.late_most for one in seen.devices))
        why = (
            f"{late:,} readings behind later ones, by {most} at most; what is later than this is "
            f"rejected, and all is held for so long"
        )
        yield Advice("reorder", "Reorder", f'lateness="{lateness}"', why)
    silent = seen.count("gaps")
    if silent:
        why = f"{silent:,} devices were silent for more than 5 times their usual interval"
        yield Advice("silent", "Silent", "", why)


def _lateness(seen: Seen) -> float:
    """What covers nearly all late readings; the upper edge of a quarter of a power of two."""
    counts = np.cumsum(np.asarray(seen.late, np.int64))
    if not len(counts) or not counts[-1]:
        return float(max(one.late_most for one in seen.devices))
    at = int(np.searchsorted(counts, LATENESS * counts[-1]))
    return float(min(2 ** ((at + 1) / 4), max(one.late_most for one in seen.devices)))


def _values(seen: Seen) -> Iterator[Advice]:
    infinite = len(seen.sensors("infinite"))
    why = "what lies outside the limits above, or is infinite, becomes missing"
    why += f"; {infinite} sensors sent infinite values" if infinite else ""
    if not seen.has("despike", ""):
        for name, rate in _rates(seen).items() if seen.has("validate", "rates") else ():
            why += f"\nif {name} cannot change faster: "
            why += f"Validate(rates={{{quoted(name)}: {rate:g}}})"
    yield Advice("validate", "Validate", "", why)
    stuck = seen.sensors("stuck", "saturated")
    if stuck:
        usual = max(
            one.sensors[name].usual_run * one.every for one in seen.devices for name in stuck
        )
        after = at_least(2 * usual)
        many = seen.count("stuck", "saturated")
        why = f"equal values for far longer than usual on {many:,} devices"
        yield Advice("stuck", "Stuck", f'after="{after}", sensors={_list(stuck)}', why)
    spiky = seen.sensors("spikes")
    count = sum(one.sensors[name].spikes for one in seen.devices for name in spiky)
    if count >= FEW:
        wait = at_least(3 * max(one.every for one in seen.devices))
        some = f", sensors={_list(spiky)}" if len(spiky) < _width(seen) else ""
        # It would take a short incident away from the detector: benchmarks/cleaning.
        why = f"about {count:,} values jump away from both their neighbours; if that is never what "
        why += "you look for, take them out"
        yield Advice("despike", "Despike", f'wait="{wait}"{some}', why, offered=True)
    every = _grid(seen)
    if every:
        why = "its sensors report at different rates"
        yield Advice("resample", "Resample", f'every="{every}"', why)
    missing = sum(s.missing for one in seen.devices for s in one.sensors.values())
    why = f"{missing:,} values are missing; " if missing else ""
    hold = at_least(10 * seen.every)
    why += f"a value counts for 10 usual intervals of {words(seen.every)}"
    yield Advice("impute", "Impute", f'hold="{hold}"', why)


def _width(seen: Seen) -> int:
    return len(seen.devices[0].sensors) if seen.devices else 0


def _rates(seen: Seen) -> Mapping[str, float]:
    """Sensor -> units per second, ten times what 99 % of its changes are below, where it spikes."""
    out = {}
    for name in seen.sensors("spikes"):
        rate = max(one.sensors[name].rate for one in seen.devices)
        if rate:
            out[name] = above(10 * rate)
    return out


def _grid(seen: Seen) -> str:
    """A grid, if some sensors have a value in far fewer readings than others; empty if not."""
    shares: dict[str, list[float]] = {}
    each: dict[str, list[float]] = {}
    for one in seen.devices:
        for name, sensor in one.sensors.items():
            if sensor.values:
                shares.setdefault(name, []).append(sensor.values / one.readings)
                each.setdefault(name, []).append((one.last - one.first) / sensor.values)
    usual = {name: float(np.median(known)) for name, known in shares.items()}
    if len(usual) < 2 or min(usual.values()) > 0.6:
        return ""
    # Either a rare sensor beside a frequent one, or readings of one sensor each; of these, some
    # may have the same time.
    slowest = max(float(np.median(known)) for known in each.values())
    return at_least(min(seen.every / max(min(usual.values()), 0.01), slowest))


def _detection(seen: Seen) -> Iterator[Advice]:
    why = "scores how unlike all before a reading is; any River detector may stand here"
    yield Advice("detect", "Detect", '"auto"', why)
    from streamflow.models.auto import AutoDetector  # it imports River

    hold = at_least(50 * seen.every)
    why = f"one alert for each episode; it ends after {hold}, 50 readings, without a high score"
    when = f'"score > {AutoDetector.ALERT_LIMIT:g}", hold="{hold}"'
    yield Advice("alert", "Alert", when, why)


def _list(items: Sequence[str]) -> str:
    return f"[{', '.join(map(quoted, items))}]"
