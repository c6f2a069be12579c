from __future__ import annotations

import pytest

from streamflow import Event
from streamflow.engine.episodes import Episode, Incident, episodes, judge


def event(id_: str, status: str, time: int, kind: str = "alert", device: str = "a") -> Event:
    return Event(id_, kind, "alert", device, time, {"status": status})


def test_openings_and_closes_make_episodes_by_time() -> None:
    found = episodes(
        [
            event("2", "opened", 5),
            event("1", "opened", 1),
            event("1", "closed", 9),
            event("3", "x", 0, "drift"),
        ]
    )
    assert found == [Episode("1", "alert", "a", 1, 9), Episode("2", "alert", "a", 5, None)]


def test_an_event_told_twice_is_one_episode() -> None:
    twice = [event("1", "opened", 1), event("1", "opened", 1), event("1", "closed", 2)]
    assert episodes([*twice, twice[-1]]) == [Episode("1", "alert", "a", 1, 2)]


@pytest.mark.parametrize(
    ("start", "end", "hit"),
    [
        (0, 4, False),
        (0, 5, False),
        (5, 5, True),
        (6, 7, True),
        (0, 99, False),
        (9, 9, True),
        (9, None, True),
        (0, None, False),
        (10, 12, False),
        (10, None, False),
    ],
)
def test_an_incident_is_hit_by_an_episode_that_opens_in_it(
    start: int, end: int | None, hit: bool
) -> None:
    episode, incident = Episode("1", "alert", "a", start, end), Incident("a", 5, 9)
    verdict = judge([episode], [incident])
    assert (len(verdict.hit), len(verdict.missed), len(verdict.false)) == (hit, not hit, not hit)


def test_an_episode_of_another_device_hits_nothing() -> None:
    verdict = judge([Episode("1", "alert", "b", 5, 9)], [Incident("a", 5, 9)])
    assert (len(verdict.missed), len(verdict.false)) == (1, 1)


def test_several_episodes_in_one_incident_hit_it_once_and_none_is_false() -> None:
    found = [Episode(str(i), "alert", "a", i, i) for i in (5, 6, 7)]
    verdict = judge(found, [Incident("a", 5, 9)])
    assert (len(verdict.hit), len(verdict.false)) == (1, 0)
