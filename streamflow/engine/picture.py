"""The page of a result: every device with its signal, score, alerts, drift and known incidents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from streamflow.core.batch import Rows
from streamflow.core.duration import words
from streamflow.core.event import iso
from streamflow.engine.episodes import Episode, Incident, episodes, judge
from streamflow.engine.result import Result
from streamflow.report.page import Fact, Mark, Span, Table, Track, render
from streamflow.stages.alert import Alert

_BLAMED = 20


def page(result: Result, incidents: Sequence[Incident] | None = None) -> str:
    """One self-contained HTML document."""
    found = episodes(result.events)
    devices = result.rows.by_device()
    tracks = [track(result, name, at, found, incidents) for name, at in devices.items()]
    facts = _facts(result, found, incidents)
    return render(result.plan.name, tracks, facts=facts, tables=_tables(result, found, incidents))


def track(
    result: Result,
    name: str,
    at: Rows,
    found: Sequence[Episode],
    incidents: Sequence[Incident] | None,
) -> Track:
    """What a page shows of the device with this name and these rows."""
    rows = result.rows.take(at)
    column, limit = _score(result)
    mine = [e for e in found if e.device == name]
    signals = {s: rows[s] for s in result.plan.schema.sensors if not np.isnan(rows[s]).all()}
    known = None if incidents is None else [i for i in incidents if i.device == name]
    return Track(
        name,
        rows.time,
        signals,
        None if column is None else rows[column],
        limit,
        [Span(e.start, e.end, e.step) for e in mine],
        [Mark(e.time, e.step) for e in result.events if e.kind == "drift" and e.device == name],
        None if known is None else [Span(i.start, i.end) for i in known],
        _note(rows.time),
    )


def _note(time: Any) -> str:
    step = f", one every {words(float(np.median(np.diff(np.sort(time)))))}" if len(time) > 1 else ""
    return f"{len(time):,} readings{step}"


def _score(result: Result) -> tuple[str | None, float | None]:
    """The column that the last alert looks at, and its threshold if it is a plain one."""
    for stage in reversed(result.plan.stages):
        if isinstance(stage, Alert) and stage.threshold:
            column, _, limit = stage.threshold
            return column, limit
    scores = [name for name in result.rows.columns if name.endswith("score")]
    return (scores[-1] if scores else None), None


def _facts(
    result: Result, found: Sequence[Episode], incidents: Sequence[Incident] | None
) -> list[Fact]:
    facts = [Fact("alerts", str(len(found)))]
    if incidents is not None:
        verdict = judge(found, incidents)
        facts = [
            Fact("incidents found", f"{len(verdict.hit)} of {len(incidents)}"),
            Fact("false alerts", str(len(verdict.false))),
        ]
    balance = result.balance
    return [
        *facts,
        Fact("readings", f"{balance.readings:,}"),
        Fact("readings a second", f"{balance.readings / max(result.seconds, 1e-9):,.0f}"),
        Fact("rejected", f"{balance.rejected.total():,}"),
        Fact("dead letters", f"{balance.dead:,}"),
        Fact("balance", "adds up" if balance.adds_up else "DOES NOT ADD UP"),
    ]


def _tables(
    result: Result, found: Sequence[Episode], incidents: Sequence[Incident] | None
) -> list[Table]:
    known = incidents or []
    rows = []
    for episode in found:
        hit = [i for i in known if i not in judge([episode], known).missed]
        told = "" if incidents is None else ("hit" if hit else "false")
        end = "open" if episode.end is None else iso(episode.end)
        rows.append([episode.device, iso(episode.start), end, told])
    missed = judge(found, known).missed
    rows += [[i.device, iso(i.start), iso(i.end), "missed"] for i in missed]
    tables = [Table("Alerts", ["device", "from", "to", ""], rows)]
    flagged = [[s, f, f"{n:,}"] for (s, f), n in sorted(result.balance.flagged.items())]
    rejected = [[s, w, f"{n:,}"] for (s, w), n in sorted(result.balance.rejected.items())]
    blamed = result.balance.by_device.most_common(_BLAMED)
    if blamed:
        worst = [[*key, f"{n:,}"] for key, n in blamed]
        tables.append(Table("Worst devices", ["device", "sensor or step", "why", "times"], worst))
    if flagged:
        tables.append(Table("Values flagged", ["sensor", "flag", "values"], flagged))
    if rejected:
        tables.append(Table("Readings rejected", ["step", "reason", "readings"], rejected))
    return tables
