"""The page of a backtest: figures, goals, and every device with what each flow made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from streamflow.backtest.evaluate import Backtest
from streamflow.backtest.figures import METRICS
from streamflow.backtest.goals import Goal, judge_goals
from streamflow.core.event import iso
from streamflow.engine.picture import track
from streamflow.report.page import Fact, Table, Track, render

_DEVICES = 50
"""So many devices are drawn: first those with most missed windows and false alerts."""
_ROWS = 1000
"""The most rows of a table."""


def page(backtests: Sequence[Backtest], goals: Sequence[Goal] = ()) -> str:
    """One self-contained HTML document about one flow, or about several beside each other."""
    shown = _chosen(backtests)
    tracks = [_track(one, name, len(backtests) > 1) for name in shown for one in backtests]
    return render(
        f"Backtest of {', '.join(one.flow for one in backtests)}",
        tracks,
        facts=_facts(backtests, goals),
        lead=[*_lead(backtests, goals), *_notes(backtests, len(shown))],
        tables=[table for one in backtests for table in _tables(one, len(backtests) > 1)],
        beside=min(len(backtests), 3),
    )


def _chosen(backtests: Sequence[Backtest]) -> list[str]:
    """The devices to draw, in alphabetical order."""
    trouble: dict[str, int] = {}
    for one in backtests:
        for name, figures in one.devices.items():
            missed = figures.labels - (figures.found or 0)
            trouble[name] = trouble.get(name, 0) + missed + (figures.false or 0) + figures.labels
    worst = sorted(trouble, key=lambda name: (-trouble[name], name))
    return sorted(worst[:_DEVICES])


def _track(one: Backtest, name: str, several: bool) -> Track:
    result = one.result
    at = result.rows.by_device().get(name, np.empty(0, np.intp))
    drawn = track(result, name, at, one.episodes, one.incidents)
    return replace(drawn, device=f"{name} · {one.flow}") if several else drawn


def _facts(backtests: Sequence[Backtest], goals: Sequence[Goal]) -> list[Fact]:
    first = backtests[0]
    facts = []
    if len(backtests) == 1:
        wanted = ("recall", "precision", "median delay", "alerts per week", "false alarms per day")
        facts = [Fact(m.title, m.shown(first.overall)) for m in METRICS if m.name in wanted]
    if goals:
        met = [one.met for test in backtests for one in judge_goals(goals, test.overall)]
        facts.insert(0, Fact("goals met", f"{sum(met)} of {len(met)}"))
    return [
        *facts,
        Fact("labelled windows", f"{first.overall.labels:,}"),
        Fact("devices", f"{first.overall.devices:,}"),
        Fact("readings", f"{first.result.balance.readings:,}"),
    ]


def _lead(backtests: Sequence[Backtest], goals: Sequence[Goal]) -> list[Table]:
    flows = [one.flow for one in backtests]
    tables = []
    if goals:
        judged = [judge_goals(goals, one.overall) for one in backtests]
        rows = [
            [goal.text, *(f"{n[i].value}, {'met' if n[i].met else 'NOT MET'}" for n in judged)]
            for i, goal in enumerate(goals)
        ]
        tables.append(Table("Goals", ["goal", *flows], rows))
    return [*tables, Table("Figures", ["", *flows], figures_rows(backtests))]


def figures_rows(backtests: Sequence[Backtest]) -> list[list[str]]:
    """A row for each figure, with a cell for each flow."""
    counts = [
        [
            "labelled windows found",
            *(found_of(one.overall.found, one.overall.labels) for one in backtests),
        ],
        [
            "false alerts",
            *(found_of(one.overall.false, one.overall.alerts) for one in backtests),
        ],
    ]
    return counts + [[m.title, *(m.shown(one.overall) for one in backtests)] for m in METRICS]


def found_of(part: int | None, whole: int | None) -> str:
    """So many of so many; a dash where nobody counted."""
    return "-" if part is None or whole is None else f"{part:,} of {whole:,}"


def _notes(backtests: Sequence[Backtest], shown: int) -> list[Table]:
    notes = list(dict.fromkeys(note for one in backtests for note in one.notes))
    more = backtests[0].overall.devices - shown
    if more:
        notes.append(f"{more:,} more devices, with fewer windows and false alerts, are not drawn")
    return [Table("Notes", ["what to know"], [[note] for note in notes[:_ROWS]])] if notes else []


def _tables(one: Backtest, several: bool) -> list[Table]:
    of = f" of {one.flow}" if several else ""
    devices = [
        [
            name,
            found_of(figures.found, figures.labels).replace(" ", "\u00a0"),
            found_of(figures.false, figures.alerts).replace(" ", "\u00a0"),
            *(metric.shown(figures) for metric in METRICS if metric.name != "p99 latency"),
        ]
        for name, figures in one.devices.items()
    ]
    titles = [metric.title for metric in METRICS if metric.name != "p99 latency"]
    false = {episode.id for episode in one.false}
    alerts = [
        [
            episode.device,
            iso(episode.start),
            "open" if episode.end is None else iso(episode.end),
            "false" if episode.id in false else "hit",
        ]
        for episode in one.episodes
    ]
    missed = [[i.device, iso(i.start), iso(i.end), "missed"] for i in one.missed]
    return [
        Table(f"Devices{of}", ["device", "found", "false alerts", *titles], devices[:_ROWS]),
        Table(f"Windows missed{of}", ["device", "from", "to", ""], missed[:_ROWS]),
        Table(f"Alerts{of}", ["device", "from", "to", ""], alerts[:_ROWS]),
    ]
