"""Page: a profile as one HTML file that needs no network."""

from __future__ import annotations

import numpy as np

from streamflow.core.duration import words
from streamflow.profile.facts import DeviceFacts
from streamflow.profile.profile import Profile
from streamflow.profile.words import (
    DEVICE_COLUMNS,
    SENSOR_COLUMNS,
    correlations,
    device_row,
    row,
    summary,
)
from streamflow.report.page import Fact, Mark, Span, Table, Track, render

CHARTS = 30
"""So many devices are drawn, those with most findings first."""
ROWS = 500
"""So many rows a table has."""


def page(profile: Profile) -> str:
    """One self-contained document."""
    shown = profile.worst[:CHARTS]
    return render(
        f"Profile of {profile.place}",
        [_track(profile, one) for one in shown],
        facts=_facts(profile),
        tables=_tables(profile),
        words={"alert": "suspicious stretch", "drift": "sudden change", "lane": "stretches"},
    )


def _facts(profile: Profile) -> list[Fact]:
    kinds = {one.what for one in profile.findings}
    clean = len(profile.devices) - len({one.device for one in profile.findings})
    return [
        Fact("readings", f"{profile.readings:,}"),
        Fact("devices", f"{len(profile.devices):,}"),
        Fact("sensors", f"{len(profile.roles.sensors):,}"),
        Fact("messages that are no reading", f"{profile.dead:,}"),
        Fact("kinds of finding", f"{len(kinds):,}"),
        Fact("devices without one", f"{clean:,}"),
    ]


def _track(profile: Profile, one: DeviceFacts) -> Track:
    """A sample of its readings; gaps, stuck stretches and steps of its clock are marked."""
    spans = [Span(at, at + size, f"gap of {words(size)}") for at, size in one.longest]
    for name, sensor in one.sensors.items():
        if sensor.stuck:
            run = sensor.longest
            spans.append(Span(run.start, run.end, f"{name}: {run.readings:,} equal values"))
    marks = [Mark(at, f"clock set back by {words(by)}") for at, by in one.back]
    for name, sensor in one.sensors.items():
        if sensor.converted:
            marks.append(Mark(sensor.converted[1], f"{name}: {sensor.converted[0]}"))
    mine = [found for found in profile.findings if found.device == one.device]
    told = [f"{f.sensor + ': ' if f.sensor else ''}{f.what}: {f.words}" for f in mine]
    signals = {name: one.sample[name] for name in one.sensors if _drawn(one.sample[name])}
    note = ". ".join([summary(one), *told])
    return Track(one.device, one.sample["time"], signals, alerts=spans, drift=marks, note=note)


def _drawn(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).any())


def _tables(profile: Profile) -> list[Table]:
    worst = profile.worst
    tables = [
        Table(
            "Recommended stages", ["stage", "because"], [[a.code, a.reason] for a in profile.advice]
        ),
        Table(
            "Findings",
            ["device", "sensor", "what", ""],
            [[f.device, f.sensor, f.what, f.words] for f in profile.findings[:ROWS]],
        ),
        Table("Devices", DEVICE_COLUMNS, [device_row(one) for one in worst[:ROWS]]),
        Table(
            "Sensors",
            ["device", *SENSOR_COLUMNS],
            [(d.device, *row(n, s)) for d in worst for n, s in d.sensors.items()][:ROWS],
        ),
    ]
    pairs = correlations(profile.devices)
    if pairs:
        tables.append(Table("Sensors that go together", ["", "", "r, median", "devices"], pairs))
    left = profile.roles.left_out.items()
    if left:
        tables.append(Table("Columns left out", ["column", "because"], [[n, w] for n, w in left]))
    return tables
