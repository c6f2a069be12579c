"""Starter: a flow to begin with, as the text of a Python file that runs as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

from streamflow.profile.advice import limits
from streamflow.profile.nice import quoted
from streamflow.profile.profile import Profile

_WIDTH = 96


def starter(profile: Profile) -> str:
    """The text of the flow file: what was seen stands beside what follows from it."""
    roles, advice = profile.roles, profile.advice
    names = {
        "Flow",
        *(one.cls for one in advice if not one.offered),
    }
    if any(limits(profile.devices, name) for name in roles.sensors):
        names.add("Sensor")
    lines = [
        f'"""Starter flow for {_plain(profile.place)}, written by `streamflow profile`.',
        "",
        f"It saw {profile.readings:,} readings of {len(profile.devices):,} devices.",
        "Each choice below says what it follows from. Limits are guesses: put in what the sensors",
        "can measure, and their units.",
        '"""',
        "",
        f"from streamflow import {', '.join(sorted(names))}",
    ]
    if not profile.source:
        lines += ["from streamflow.flow.load import load_flow"]
    lines += [f"from streamflow_connectors import files{', long' if roles.long else ''}"]
    head = ["Flow(", *(f"    {line}" for line in _head(profile)), ")"]
    if profile.source:
        lines += ["", "flow = (", *(f"    {line}" for line in head), f"    | {profile.source}"]
    else:
        lines += ["", f"flow = {head[0]}", *head[1:]]
        lines += [f"for source in load_flow({quoted(profile.place)}).plan().sources:"]
        lines += ["    flow |= source", "flow = (", "    flow"]
    for one in advice:
        lines += [*_comment(one.reason, 4), f"    {'# ' if one.offered else ''}| {one.code}"]
    return "\n".join([*lines, '    | files.console(of="alerts")', ")"]) + "\n"


def _head(profile: Profile) -> Iterator[str]:
    roles = profile.roles
    yield f'"{_name(profile.place)}",'
    yield f"device={quoted(roles.schema.device)},"
    yield f"time={quoted(roles.time)},"
    if roles.time_format:
        yield f"time_format={quoted(roles.time_format)},"
    if roles.timezone != "UTC":
        yield f"timezone={quoted(roles.timezone)},"
    if roles.tags:
        yield f"tags=[{', '.join(map(quoted, roles.tags))}],"
    yield "sensors={"
    for name in roles.sensors:
        known = limits(profile.devices, name)
        if known is None:
            yield "    # no value was seen"
            yield f"    {quoted(name)}: Sensor(),"
            continue
        low, high, reason = known
        yield from (f"    {line}" for line in _comment(reason, 0))
        yield f"    {quoted(name)}: Sensor(low={low!r}, high={high!r}),"
    yield "},"
    for name, why in roles.left_out.items():
        yield from _comment(f"{_plain(name)} is left out: {why}", 0)


def _comment(text: str, indent: int) -> list[str]:
    lead = " " * indent + "# "
    return [lead + line for part in text.split("\n") for line in wrap(part, _WIDTH - len(lead))]


def _name(place: str) -> str:
    stem = Path(place).name.partition(".")[0]
    return re.sub(r"[^\w-]", "_", stem, flags=re.ASCII) or "flow"


def _plain(text: str) -> str:
    """Text that cannot end a docstring or a comment."""
    return "".join(c if c.isprintable() else "?" for c in text).replace("\\", "/").replace('"', "'")
