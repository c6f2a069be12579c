"""Episodes of alerts, and how they compare with known incidents."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamflow.core.event import Event
from streamflow.core.schema import Schema
from streamflow.errors import FlowError
from streamflow.formats.times import TimeParser


@dataclass(frozen=True)
class Episode:
    """One alert from its opening to its close; `end` is None while it is open."""

    id: str
    step: str
    device: str
    start: int
    end: int | None


@dataclass(frozen=True)
class Incident:
    """Something that is known to have gone wrong; times in ns UTC, both ends included."""

    device: str
    start: int
    end: int


@dataclass(frozen=True)
class Verdict:
    """How the episodes compare with the incidents.

    An incident is hit if an episode overlaps it; an episode that overlaps none is false.
    """

    hit: Sequence[Incident]
    missed: Sequence[Incident]
    false: Sequence[Episode]


def episodes(events: Iterable[Event]) -> list[Episode]:
    """The episodes that alert events open and close, by opening time."""
    opened: dict[str, Episode] = {}
    for event in events:
        if event.kind != "alert":
            continue
        before = opened.get(event.id)
        if before is None:
            opened[event.id] = Episode(event.id, event.step, event.device, event.time, None)
        elif event.fields["status"] == "closed":
            known = (before.id, before.step, before.device, before.start)
            opened[event.id] = Episode(*known, event.time)
    return sorted(opened.values(), key=lambda episode: (episode.start, episode.device))


def judge(found: Iterable[Episode], incidents: Iterable[Incident]) -> Verdict:
    """Compare episodes with incidents.

    >>> judge([Episode("1", "alert", "a", 5, 7)], [Incident("a", 6, 9)]).missed
    []
    """
    listed, known = list(found), list(incidents)
    hit = [i for i in known if any(_overlap(e, i) for e in listed)]
    missed = [i for i in known if i not in hit]
    return Verdict(hit, missed, [e for e in listed if not any(_overlap(e, i) for i in known)])


def _overlap(episode: Episode, incident: Incident) -> bool:
    ends_before = episode.end is not None and episode.end < incident.start
    return episode.device == incident.device and not ends_before and episode.start <= incident.end


def read_incidents(path: Path, schema: Schema) -> list[Incident]:
    """Known incidents from a CSV file with the columns DEVICE,start,end."""
    times = TimeParser(schema)
    out = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        for line, row in enumerate(csv.DictReader(file), 2):
            try:
                start, end = times.one(row["start"]), times.one(row["end"])
                out.append(Incident(row[schema.device], start, end))
            except (KeyError, ValueError) as error:
                raise FlowError(
                    f"{path}, line {line}: {error}; the columns are {schema.device},start,end"
                ) from None
    return out
