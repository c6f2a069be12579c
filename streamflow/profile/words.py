"""Words: a profile as lines of text, and as the tables of a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from streamflow.core.duration import words
from streamflow.core.event import iso
from streamflow.profile.facts import DeviceFacts, SensorFacts
from streamflow.profile.profile import Profile

DEVICES = 8
"""So many devices are shown in full, those with most findings first."""
SENSOR_COLUMNS = (
    "sensor",
    "low",
    "1 %",
    "median",
    "99 %",
    "high",
    "missing",
    "levels",
    "longest run",
)
DEVICE_COLUMNS = ("device", "readings", "every", "gaps", "twice", "late", "clock", "from", "to")


def lines(profile: Profile) -> Iterator[str]:
    """The profile for a terminal."""
    yield from _whole(profile)
    shown = profile.worst[:DEVICES]
    for one in shown:
        yield ""
        yield f"{one.device}"
        yield f"  {summary(one)}"
        yield from _aligned([SENSOR_COLUMNS, *(row(n, s) for n, s in one.sensors.items())], "    ")
        for found in profile.findings:
            if found.device == one.device:
                name = f"{found.sensor}: " if found.sensor else ""
                yield f"  ! {name}{found.what}: {found.words}"
        for (a, b), r in one.correlations.items():
            yield f"  ~ {a} and {b} go together, r = {r:.2f}"
    others = len(profile.devices) - len(shown)
    if others:
        yield ""
        yield f"and {others:,} more devices; --page FILE and --json show them"
    yield ""
    yield "recommended, in this order"
    for advice in profile.advice:
        reason = advice.reason.partition("\n")[0]
        code = f"({advice.code})" if advice.offered else advice.code
        yield f"  {code:<40} {reason}"


def _whole(profile: Profile) -> Iterator[str]:
    roles = profile.roles
    yield f"data      {profile.place}"
    yield (
        f"readings  {profile.readings:,} of {len(profile.devices):,} devices; "
        f"{profile.dead:,} of {profile.messages:,} messages could not become one"
    )
    if profile.beyond:
        yield f"          {profile.beyond:,} of them of further devices, only counted"
    for letter in profile.letters:
        yield f"dead      {letter}"
    told = roles.device or "none: all readings are of one device"
    yield f"columns   device: {told}; time: {roles.time}"
    yield f"          sensors: {', '.join(roles.sensors)}"
    if roles.tags:
        yield f"          tags: {', '.join(roles.tags)}"
    for name, why in roles.left_out.items():
        yield f"          {name} is left out: {why}"
    kinds = dict.fromkeys(one.what for one in profile.findings)
    for kind in kinds:
        who = {one.device for one in profile.findings if one.what == kind}
        yield f"found     {kind}: {len(who):,} of {len(profile.devices):,} devices"


def summary(one: DeviceFacts) -> str:
    """A device in a line."""
    every = f"every {words(one.every)}" if one.every else "at one time"
    return f"{one.readings:,} readings, {every}, {iso(one.first)} to {iso(one.last)}"


def row(name: str, one: SensorFacts) -> tuple[str, ...]:
    """A sensor as a row of `SENSOR_COLUMNS`."""
    total = max(one.values + one.missing + one.infinite, 1)
    low, _, middle, _, high = one.percentiles
    numbers = (one.low, low, middle, high, one.high)
    levels = str(one.levels) if one.step else "many"
    return (
        name,
        *(f"{value:.5g}" for value in numbers),
        f"{one.missing / total:.1%}",
        levels,
        f"{one.longest.readings:,}",
    )


def device_row(one: DeviceFacts) -> tuple[str, ...]:
    """A device as a row of `DEVICE_COLUMNS`."""
    clock = one.old + one.ahead + one.set_back
    counts = (one.gaps, one.copies, one.late, clock)
    every = words(one.every) if one.every else "-"
    times = (iso(one.first), iso(one.last))
    return (one.device, f"{one.readings:,}", every, *(f"{n:,}" for n in counts), *times)


def correlations(devices: Sequence[DeviceFacts]) -> list[tuple[str, str, str, str]]:
    """Pairs of sensors that go together: both names, the median of r, on how many devices."""
    found: dict[tuple[str, str], list[float]] = {}
    for one in devices:
        for pair, r in one.correlations.items():
            found.setdefault(pair, []).append(r)
    order = sorted(found.items(), key=lambda item: -len(item[1]))
    return [(a, b, f"{median(rs):.2f}", f"{len(rs):,}") for (a, b), rs in order]


def _aligned(table: Sequence[Sequence[str]], lead: str) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        name, *numbers = cells
        right = "  ".join(c.rjust(w) for c, w in zip(numbers, widths[1:], strict=True))
        yield f"{lead}{name.ljust(widths[0])}  {right}"
