from __future__ import annotations

from pathlib import Path

import pytest

from streamflow import Event, Schema
from streamflow.engine.episodes import Episode, Incident, episodes, judge, read_incidents
from streamflow.errors import FlowError

SCHEMA = Schema("machine", "timestamp", {})


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
        (0, 5, True),
        (6, 7, True),
        (0, 99, True),
        (9, 9, True),
        (9, None, True),
        (0, None, True),
        (10, 12, False),
        (10, None, False),
    ],
)
def test_an_incident_is_hit_by_an_episode_that_touches_it(
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


def test_incidents_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "known.csv"
    path.write_text("\ufeffmachine,start,end\na,1970-01-01T00:00:01Z,2\n")
    assert read_incidents(path, SCHEMA) == [Incident("a", 10**9, 2 * 10**9)]


@pytest.mark.parametrize(
    "text",
    ["a,never,2", "a,1", "a", "a,,2"],
    ids=["no time", "no end", "device only", "empty start"],
)
def test_a_wrong_line_of_incidents_is_told_with_its_number(tmp_path: Path, text: str) -> None:
    path = tmp_path / "known.csv"
    path.write_text(f"machine,start,end\na,1,2\n{text}\n")
    with pytest.raises(
        FlowError, match=r"known.csv, line 3: .*; the columns are machine,start,end"
    ):
        read_incidents(path, SCHEMA)


def test_a_wrong_header_of_incidents_is_told(tmp_path: Path) -> None:
    path = tmp_path / "known.csv"
    path.write_text("device,start,end\na,1,2\n")
    with pytest.raises(FlowError, match="line 2: 'machine'; the columns are machine,start,end"):
        read_incidents(path, SCHEMA)
