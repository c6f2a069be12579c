"""Findings: the facts that a user should know of, each in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamflow.core.duration import words
from streamflow.core.event import iso
from streamflow.profile.facts import DeviceFacts, SensorFacts, clocked
from streamflow.profile.units import conversion

HALF_HOUR = 1800 * 10**9
SKEW = 2 * 10**9
"""A clock is off when it differs from the arrival by more, and from the other devices', too."""
SENTINELS = (-999.0, -9999.0, -99.0, -1e6, 1e6, 9999.0, 99999.0, 32767.0, -32768.0, 65535.0, 850.0)
"""What loggers and drivers send in place of a value."""


@dataclass(frozen=True)
class Finding:
    """What is suspicious about a device, or about one of its sensors."""

    device: str
    sensor: str
    what: str
    words: str


def findings(devices: Sequence[DeviceFacts]) -> list[Finding]:
    """All findings, device by device."""
    usual_lag = int(np.median([one.lag for one in devices])) if devices else 0
    typical = _typical(devices)
    out: list[Finding] = []
    for one in devices:
        out += [Finding(one.device, "", what, text) for what, text in _device(one, usual_lag)]
        for name, sensor in one.sensors.items():
            found = _sensor(sensor, typical.get(name))
            out += [Finding(one.device, name, what, text) for what, text in found]
    return out


def worst(devices: Sequence[DeviceFacts], found: Sequence[Finding]) -> list[DeviceFacts]:
    """The devices with most kinds of finding first."""
    kinds: dict[str, set[str]] = {}
    for one in found:
        kinds.setdefault(one.device, set()).add(one.what)
    return sorted(devices, key=lambda d: (-len(kinds.get(d.device, ())), d.device))


def sentinel(sensor: SensorFacts) -> float | None:
    """The value that stands for "no value", if an extreme looks like one; None if none does."""
    for value in (sensor.low, sensor.high):
        off = abs(value - sensor.percentiles[2])
        if value in SENTINELS and off > 5 * (sensor.percentiles[3] - sensor.percentiles[1]) > 0:
            return value
    return None


def _device(one: DeviceFacts, usual_lag: int) -> Iterator[tuple[str, str]]:
    if one.gaps:
        at, length = max(one.longest, key=lambda pair: pair[1])
        yield (
            "gaps",
            f"{one.gaps:,} gaps; the longest, {words(length)} from {iso(at)}, where a reading "
            f"comes every {words(one.every)}",
        )
    if one.copies:
        yield "duplicates", f"{one.copies:,} readings came twice"
    if one.same_time:
        yield "same time", f"{one.same_time:,} readings have the time of the one before"
    if not clocked(one):
        yield "no clock", f"{one.old:,} times are before 2000: they count from a start, or no clock"
        return
    if one.old:
        yield "clock reset", f"{one.old:,} readings from before 2000: the clock was reset"
    if one.ahead:
        yield "future", f"{one.ahead:,} readings from the future"
    if one.set_back:
        at, by = max(one.back, key=lambda pair: pair[1])
        hours = round((by + one.every) / HALF_HOUR)
        off = abs(by + one.every - hours * HALF_HOUR)
        zone = ", a time zone or summer time" if off < 2 * one.every + 10**9 and hours < 48 else ""
        yield "clock set back", f"{one.set_back:,} times, by {words(by)} at {iso(at)}{zone}"
    if one.late:
        yield (
            "disorder",
            f"{one.late:,} readings behind later ones, by {words(one.late_most)} at most",
        )
    if abs(one.lag - usual_lag) > SKEW:
        side = "ahead of" if one.lag > usual_lag else "behind"
        yield "clock off", f"its clock is {words(abs(one.lag - usual_lag))} {side} the others'"


def _sensor(one: SensorFacts, typical: tuple[float, float] | None) -> Iterator[tuple[str, str]]:
    total = one.values + one.missing + one.infinite
    if not one.values:
        yield "not sent", "no value at all"
        return
    if one.missing:
        invalid = f", {one.invalid:,} of them text" if one.invalid else ""
        yield "missing", f"{one.missing / total:.1%} missing ({one.missing:,}{invalid})"
    if one.infinite:
        yield "infinite", f"{one.infinite:,} infinite"
    if one.constant:
        yield "constant", f"always {one.low:g}"
        return
    placeholder = sentinel(one)
    if placeholder is not None:
        yield "placeholder", f"{placeholder:g} looks like a word for no value"
    if one.stuck:
        run = one.longest
        yield (
            "stuck",
            f"{run.readings:,} equal values in a row from {iso(run.start)}, for "
            f"{words(run.end - run.start)}; usual is up to {one.usual_run:.0f}",
        )
    if one.spikes:
        yield "spikes", f"about {one.spikes:,} values jump away from both their neighbours"
    if one.saturated:
        yield (
            "saturated",
            f"{one.at_ceiling:.0%} of the values are {one.ceiling:g}, as if it could show no more",
        )
    if one.coarse:
        yield "coarse", f"only {one.levels} different values, {one.step:.4g} apart at the least"
    if one.converted:
        name, at = one.converted
        yield "unit changed", f"from about {iso(at)} on as if from {name}"
    if typical and not one.converted:
        name = conversion(typical[0], one.percentiles[2], typical[1])
        if name:
            yield "other unit", f"against the other devices as if from {name}"


def _typical(devices: Sequence[DeviceFacts]) -> Mapping[str, tuple[float, float]]:
    """Sensor -> the median over devices of their medians, and how far those lie apart."""
    out = {}
    for name in devices[0].sensors if devices else ():
        have = [one.sensors[name] for one in devices if one.sensors[name].values]
        if len(have) < 5:
            continue
        medians = np.array([one.percentiles[2] for one in have])
        centre = float(np.median(medians))
        apart = float(np.median(np.abs(medians - centre)))
        out[name] = (centre, apart)
    return out
