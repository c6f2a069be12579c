"""Episodes of alerts, and how they compare with known incidents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from streamflow.core.event import Event


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

    An incident is hit if an episode opens in it; an episode that opens in none is false. One that
    has been open since before has told nobody of the incident: else an alert that never closes
    would find everything.
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

    >>> judge([Episode("1", "alert", "a", 6, 7)], [Incident("a", 6, 9)]).missed
    []
    """
    listed, known = list(found), list(incidents)
    hit = [i for i in known if any(opens_in(e, i) for e in listed)]
    missed = [i for i in known if not any(opens_in(e, i) for e in listed)]
    return Verdict(hit, missed, [e for e in listed if not any(opens_in(e, i) for i in known)])


def opens_in(episode: Episode, incident: Incident) -> bool:
    """Whether an episode opens while the incident lasts."""
    return episode.device == incident.device and incident.start <= episode.start <= incident.end
