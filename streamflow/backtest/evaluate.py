"""Evaluate: the alerts and the score of a replay beside what is known to have gone wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamflow.backtest.figures import Figures
from streamflow.backtest.goals import Met, judge_goals, parse_goals
from streamflow.backtest.labels import Label, fit
from streamflow.backtest.nab import Corpus, Series
from streamflow.backtest.vus import vus_pr
from streamflow.core.batch import Batch, Times, Values
from streamflow.core.event import DAY
from streamflow.engine.episodes import Episode, Incident, Verdict, episodes, judge, opens_in
from streamflow.engine.plan import Plan
from streamflow.engine.result import Result
from streamflow.errors import FlowError
from streamflow.stages.alert import Alert


@dataclass(frozen=True)
class Backtest:
    """A replay, judged.

    Parameters
    ----------
    result
        The replay.
    score
        The column that NAB and VUS-PR judge; None if there is none.
    incidents
        The labelled windows that lie in the data.
    missed
        Those of them in which no alert opens.
    episodes
        The alerts.
    false
        Those of them that open in no labelled window.
    overall, devices
        The figures of all devices together, and of each by name.
    notes
        What a reader of the figures should know.
    """

    result: Result
    score: str | None
    incidents: Sequence[Incident]
    missed: Sequence[Incident]
    episodes: Sequence[Episode]
    false: Sequence[Episode]
    overall: Figures
    devices: Mapping[str, Figures]
    notes: Sequence[str]

    @property
    def flow(self) -> str:
        """The flow's name."""
        return self.result.plan.name

    def goals(self, text: str) -> list[Met]:
        """Which of some goals are met, such as "recall >= 0.8, alerts per week <= 5"."""
        return judge_goals(parse_goals(text), self.overall)

    def plot(self, path: str | Path = "backtest.html") -> Path:
        """Write one self-contained HTML page with the figures and every device; its path."""
        from streamflow.backtest.page import page

        target = Path(path)
        target.write_text(page([self]), encoding="utf-8")
        return target


@dataclass(frozen=True, eq=False)
class _Device:
    """One device: its rows in order of time, its alerts, its windows."""

    time: Times
    score: Values | None
    opened: Values
    series: Series
    episodes: Sequence[Episode]
    incidents: Sequence[Incident]


def evaluate(result: Result, labels: Sequence[Label]) -> Backtest:
    """Judge a replay.

    Raises
    ------
    FlowError
        If there is nothing to judge: no reading, no score and no alert; or if the labels do not
        fit the data.
    """
    rows, plan = result.rows, result.plan
    alerts = any(isinstance(stage, Alert) for stage in plan.stages)
    column, sign = _score(plan)
    if column is None and not alerts:
        raise FlowError(f"flow {plan.name!r} has neither Detect nor Alert: nothing can be judged")
    if not len(rows):
        raise FlowError(f"flow {plan.name!r} gave no reading to judge: {_why_empty(result)}")
    known = fit(labels, rows, plan.schema)
    found = episodes(result.events)
    score = None if column is None else sign * rows[column]
    devices = _devices(rows, score, found, known.incidents)
    corpus = Corpus([device.series for device in devices.values()])
    opened = [device.opened for device in devices.values()]
    scores = [device.score for device in devices.values() if device.score is not None]
    best = corpus.best(scores) if scores else None
    threshold = None if best is None else best["standard"].threshold
    verdicts = {name: judge(one.episodes, one.incidents) for name, one in devices.items()}
    own = {
        name: _figures(device, verdicts[name], alerts, threshold)
        for name, device in devices.items()
    }
    volumes = [figures.vus_pr for figures in own.values() if figures.vus_pr is not None]
    overall = Figures(
        devices=len(own),
        days=sum(figures.days for figures in own.values()),
        alerts=sum(figures.alerts or 0 for figures in own.values()) if alerts else None,
        false=sum(figures.false or 0 for figures in own.values()) if alerts else None,
        labels=len(known.incidents),
        found=sum(figures.found or 0 for figures in own.values()) if alerts else None,
        delays=[delay for figures in own.values() for delay in figures.delays],
        nab=None if best is None else {name: one.score for name, one in best.items()},
        nab_alerts=corpus.at(opened, 0.5) if alerts else None,
        vus_pr=float(np.mean(volumes)) if volumes else None,
        p99_latency=float(np.quantile(result.latencies, 0.99, method="higher"))
        if result.latencies
        else None,
    )
    notes = [*known.notes, *_doubts(plan, column, alerts, sign)]
    missed = [incident for verdict in verdicts.values() for incident in verdict.missed]
    false = [episode for verdict in verdicts.values() for episode in verdict.false]
    return Backtest(result, column, known.incidents, missed, found, false, overall, own, notes)


def _score(plan: Plan) -> tuple[str | None, float]:
    """The column to judge, and -1 if low values alert: what an alert looks at, a score if any."""
    names = [name for name in plan.outputs.columns if name == "score" or name.endswith("_score")]
    plain = [s.threshold for s in plan.stages if isinstance(s, Alert) and s.threshold]
    for column, sign, _ in reversed(plain):
        if column in names or not names:
            return column, 1.0 if sign.startswith(">") else -1.0
    return (names[-1] if names else None), 1.0


def _why_empty(result: Result) -> str:
    balance = result.balance
    if result.dead_letters:
        first = result.dead_letters[0]
        return f"dead letters: {balance.dead:,}, the first, {first.place}: {first.reason}"
    if result.rejected:
        why = result.rejected[0]["reason"]
        return f"readings rejected: {balance.rejected.total():,}, the first: {why}"
    return "the data is empty"


def _devices(
    rows: Batch,
    score: Values | None,
    found: Sequence[Episode],
    incidents: Sequence[Incident],
) -> dict[str, _Device]:
    """Every device of the data by name, in alphabetical order."""
    by: dict[str, tuple[list[Episode], list[Incident]]] = defaultdict(lambda: ([], []))
    for episode in found:
        by[episode.device][0].append(episode)
    for incident in incidents:
        by[incident.device][1].append(incident)
    out = {}
    for name, own in rows.by_device().items():
        own = own[np.argsort(rows.time[own], kind="stable")]
        time = rows.time[own]
        alerts, windows = by[name]
        opened = np.zeros(len(own))
        began = np.searchsorted(time, [episode.start for episode in alerts])
        opened[np.minimum(began, len(own) - 1)] = 1.0
        first = np.searchsorted(time, [window.start for window in windows], "left").tolist()
        last = (np.searchsorted(time, [w.end for w in windows], "right") - 1).tolist()
        spans = [(a, b) for a, b in zip(first, last, strict=True) if a <= b]
        own_score = None if score is None else score[own]
        out[name] = _Device(time, own_score, opened, Series(len(own), spans), alerts, windows)
    return out


def _figures(device: _Device, verdict: Verdict, alerts: bool, threshold: float | None) -> Figures:
    alone = Corpus([device.series])
    nab = vus = None
    if device.score is not None:
        vus = vus_pr(device.score, device.series.windows)
        if threshold is not None:
            nab = alone.at([device.score], threshold)
    return Figures(
        devices=1,
        days=int(device.time[-1] - device.time[0]) / (DAY * 1e9),
        alerts=len(device.episodes) if alerts else None,
        false=len(verdict.false) if alerts else None,
        labels=len(device.incidents),
        found=len(verdict.hit) if alerts else None,
        delays=[_delay(device.episodes, incident) for incident in verdict.hit],
        nab=nab,
        nab_alerts=alone.at([device.opened], 0.5) if alerts else None,
        vus_pr=vus,
    )


def _delay(found: Sequence[Episode], incident: Incident) -> float:
    """The seconds from the start of an incident that was hit to the first alert in it."""
    first = min(episode.start for episode in found if opens_in(episode, incident))
    return (first - incident.start) / 1e9


def _doubts(plan: Plan, column: str | None, alerts: bool, sign: float) -> list[str]:
    """What cannot be judged as it usually is."""
    if not alerts:
        return [f"flow {plan.name!r} has no Alert: only its score is judged"]
    if column is None:
        return [f"flow {plan.name!r} has no Detect: only its alerts are judged"]
    if column != "score" and not column.endswith("_score"):
        what = column if sign > 0 else f"-{column}"
        return [f"flow {plan.name!r} has no Detect: NAB and VUS-PR judge {what}"]
    return []
