"""The report page: charts of every device with its alerts, incidents and drift, in one file."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from types import MappingProxyType

import numpy as np
import orjson

from streamflow.report.envelope import Float64, Int64, envelope, pack

SCRIPTS = ("axis.js", "symbols.js", "chart.js", "page.js")
"""Joined into one module, in which each uses only what stands before it."""


@dataclass(frozen=True)
class Span:
    """A stretch of event time, ns UTC, both ends included.

    `end=None`: it had not ended when the data did.
    """

    start: int
    end: int | None
    note: str = ""


@dataclass(frozen=True)
class Mark:
    """A point of event time, ns UTC."""

    time: int
    note: str = ""


@dataclass(frozen=True, eq=False)
class Track:
    """What the page shows of one device.

    Parameters
    ----------
    device
        Its name. Names and notes may hold any text: the page shows it and never interprets it.
    time
        int64[n], event times in ns UTC, in any order.
    signals
        Name -> float64[n], drawn one below the other; NaN where there is no value.
    score
        float64[n], higher is more anomalous; None: nothing was scored.
    threshold
        The score above which it alerts.
    alerts
        Episodes; one that opens in a label is a hit, any other is false.
    drift
        Where the data was found to have changed.
    labels
        Known incidents; one in which no alert opens is missed. Empty: known to have none, so every
        alert is false. None: nobody knows, so alerts are not judged.
    note
        A line below the name.

    Raises
    ------
    ValueError
        A column is not as long as `time`.
    """

    device: str
    time: Int64
    signals: Mapping[str, Float64]
    score: Float64 | None = None
    threshold: float | None = None
    alerts: Sequence[Span] = ()
    drift: Sequence[Mark] = ()
    labels: Sequence[Span] | None = None
    note: str = ""

    def __post_init__(self) -> None:
        columns = dict(self.signals)
        if self.score is not None:
            columns["score"] = self.score
        for name, column in columns.items():
            if column.shape != self.time.shape:
                raise ValueError(
                    f"track {self.device!r}: {name!r} has shape {column.shape}, "
                    f"time has {self.time.shape}"
                )


@dataclass(frozen=True)
class Fact:
    """One figure of the strip at the top: `Fact("false alerts", "6")`."""

    name: str
    value: str


@dataclass(frozen=True)
class Table:
    """A table at the end of the page; every row has one cell for each column."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def render(
    title: str,
    tracks: Sequence[Track],
    *,
    facts: Sequence[Fact] = (),
    lead: Sequence[Table] = (),
    tables: Sequence[Table] = (),
    words: Mapping[str, str] = MappingProxyType({}),
    beside: int = 1,
) -> str:
    """One HTML document that needs no network, no server and no second file.

    Long series are thinned to their extremes (see `envelope`): 7 devices of 23,000 readings make
    0.5 MB with one signal each and 2 MB with eight. The same arguments give the same text. A
    content security policy admits the page's own style and script by their hashes, nothing else.

    `lead` are tables that stand before the devices. So many tracks as `beside` says stand beside
    each other, where the screen is wide enough.

    Examples
    --------
    >>> import numpy as np
    >>> track = Track("pump-1", np.arange(3) * 10**9, {"bar": np.array([4.0, 4.1, 9.0])},
    ...               alerts=[Span(2 * 10**9, None)], labels=[Span(10**9, 2 * 10**9)])
    >>> page = render("Pumps", [track], facts=[Fact("incidents found", "1 of 1")])
    >>> page.splitlines()[0]
    '<!doctype html>'
    """
    style = _asset("page.css")
    script = "".join(map(_asset, SCRIPTS))
    data = {
        "facts": [[_text(fact.name), _text(fact.value)] for fact in facts],
        "words": {kind: _text(name) for kind, name in words.items()},
        "tracks": [_track(track, words) for track in tracks],
        "lead": [_table(table) for table in lead],
        "tables": [_table(table) for table in tables],
        "beside": beside,
    }
    return Template(_asset("page.html")).substitute(
        title=escape(_text(title)),
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        # "<" alone can end a script element or open a comment in it; JSON has it only in strings.
        data=orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY).decode().replace("<", "\\u003c"),
    )


def _asset(name: str) -> str:
    return files("streamflow.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode("ascii")


def _text(text: str) -> str:
    # A name decoded from broken bytes may hold half a surrogate pair, which UTF-8 cannot carry.
    return text.encode("utf-8", "replace").decode("utf-8")


def _table(table: Table) -> dict[str, object]:
    return {
        "title": _text(table.title),
        "columns": [_text(name) for name in table.columns],
        "rows": [[_text(cell) for cell in row] for row in table.rows],
    }


def _track(track: Track, words: Mapping[str, str]) -> dict[str, object]:
    """One device as JSON values; times in ms."""
    order = np.argsort(track.time, kind="stable")
    time = track.time[order]
    labels = track.labels or ()
    known = [*time[:1].tolist(), *time[-1:].tolist(), *(mark.time for mark in track.drift)]
    for span in (*track.alerts, *labels):
        known += [span.start, span.start if span.end is None else span.end]
    found = [any(_opens_in(alert, label) for alert in track.alerts) for label in labels]
    incidents = ["found" if one else "missed" for one in found]
    if track.labels is None:
        alerts = ["alert"] * len(track.alerts)
    else:
        hit = [any(_opens_in(alert, label) for label in labels) for alert in track.alerts]
        alerts = ["hit" if one else "false" for one in hit]
    return {
        "device": _text(track.device),
        "note": _text(track.note),
        "lane": _text(words.get("lane", "alerts")),
        "summary": _summary(incidents, alerts, track, words),
        "readings": time.size,
        "range": [min(known) / 1e6, max(known) / 1e6] if known else None,
        "signals": [
            {"name": _text(name), **pack(*envelope(time, value[order]))}
            for name, value in track.signals.items()
        ],
        "score": None if track.score is None else pack(*envelope(time, track.score[order])),
        "threshold": track.threshold,
        "incidents": list(map(_span, labels, incidents)),
        "alerts": list(map(_span, track.alerts, alerts)),
        "drift": [{"at": mark.time / 1e6, "note": _text(mark.note)} for mark in track.drift],
    }


def _span(span: Span, kind: str) -> dict[str, object]:
    end = None if span.end is None else span.end / 1e6
    return {"start": span.start / 1e6, "end": end, "kind": kind, "note": _text(span.note)}


def _opens_in(alert: Span, label: Span) -> bool:
    return label.start <= alert.start and (label.end is None or alert.start <= label.end)


def _summary(
    incidents: Sequence[str], alerts: Sequence[str], track: Track, words: Mapping[str, str]
) -> str:
    """The outcome in words: what a reader of the charts would count."""
    parts = []
    if incidents:
        total = _count(len(incidents), "labelled incident")
        parts.append(f"{incidents.count('found')} of {total} found")
    elif track.labels is not None:
        parts.append("no labelled incidents")
    parts.append(_count(len(alerts), words.get("alert", "alert")))
    if "false" in alerts:
        parts[-1] += f" ({alerts.count('false')} false)"
    if track.drift:
        parts.append(_count(len(track.drift), words.get("drift", "drift point")))
    return ", ".join(parts)


def _count(number: int, noun: str) -> str:
    ending = "" if number == 1 else "es" if noun.endswith("ch") else "s"
    return f"{number or 'no'} {noun}{ending}"
