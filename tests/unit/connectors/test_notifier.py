"""Who tells people: grouped, in plain words, no more than the limit, and nothing lost."""

from __future__ import annotations

import re
from typing import Any

import pytest
from streamflow_connectors._limit import limit
from streamflow_connectors._notes import Note, notes
from streamflow_connectors._notifier import Notifier
from streamflow_connectors._words import QUIET, clean, text, title

from streamflow import Event
from streamflow.core.clock import ManualClock
from streamflow.errors import FlowError, NotConnected

MINUTE = 60 * 10**9


def alert(n: int, device: str = "pump-1", status: str = "opened", **fields: Any) -> Event:
    return Event(f"id-{n}", "alert", "alert", device, n * MINUTE, {"status": status, **fields})


def incident(*members: int) -> Event:
    told = [{"id": f"id-{n}", "device": f"pump-{n}"} for n in members]
    return Event("inc", "incident", "incidents", "pump-1", 0, {"status": "opened", "members": told})


def ids(note: Note) -> list[str]:
    return [event.id for event in note.events]


class People:
    """Who is told, unless they are away."""

    def __init__(self) -> None:
        self.told: list[Note] = []
        self.away = 0

    def __call__(self, note: Note) -> None:
        if self.away:
            self.away -= 1
            raise NotConnected("away")
        self.told.append(note)


class Sink:
    """A notifier with a clock of its own."""

    def __init__(self, at_most: str | None = None, resume: Any = None, now: int = 0) -> None:
        self.people, self.clock = People(), ManualClock(now)
        how = None if at_most is None else limit("sink 'x'", at_most)
        self.notifier = Notifier("x", self.people, how, resume, QUIET, self.clock)

    def offer(self, *events: Event) -> None:
        self.notifier.write(events)


def test_what_is_delivered_together_is_one_message() -> None:
    assert [ids(note) for note in notes([alert(1), alert(2)])] == [["id-1", "id-2"]]


def test_an_incident_and_its_alerts_are_a_message_of_their_own() -> None:
    told = notes([alert(1), alert(2), alert(3), incident(1, 3)])
    assert [ids(note) for note in told] == [["inc", "id-1", "id-3"], ["id-2"]]


def test_the_key_of_a_message_is_that_of_its_only_event_and_tells_openings_from_closes() -> None:
    (opened,), (closed,) = notes([alert(1)]), notes([alert(1, status="closed")])
    assert opened.key == f"id-1-opened-{MINUTE}"
    assert closed.key == f"id-1-closed-{MINUTE}"
    (both,), (again,) = notes([alert(1), alert(2)]), notes([alert(1), alert(2)])
    assert both.key == again.key
    assert re.fullmatch("[0-9a-f]{24}", both.key)


def test_an_explanation_is_told_in_its_words() -> None:
    told = {"words": ["bar fell to 2, 8 were expected", "it looks like the machine"], "by": 0.9}
    for explanation in (told, "; ".join(told["words"])):  # type: ignore[arg-type]
        (note,) = notes([alert(1, when="score > 4.5", score=7.25, explanation=explanation)])
        lines = text(note).splitlines()
        assert lines[0] == ("pump-1: alert opened at 1970-01-01T00:01:00Z, score > 4.5: score 7.25")
        assert "bar fell to 2, 8 were expected" in lines[1]
        assert "machine" in lines[-1]


def test_a_close_says_how_long_it_was_and_an_incident_says_who_is_in_it() -> None:
    (closed,) = notes([alert(1, status="closed", seconds=5400.0, peak_score=9.1)])
    assert title(closed).endswith(
        "alert closed at 1970-01-01T00:01:00Z, after 5,400 s: peak_score 9.1"
    )
    (one,) = notes([incident(1, 2)])
    assert title(one) == "incident opened at 1970-01-01T00:00:00Z, with pump-1, pump-2"
    (large,) = notes([incident(*range(30))])
    large.events[0].fields["devices"] = 1_000  # type: ignore[index]
    assert "pump-18, pump-19 and 980 more: devices 1000" in title(large)


def test_a_message_of_many_tells_twenty_and_counts_the_rest() -> None:
    (note,) = notes([alert(n, f"d{n}") for n in range(50)])
    lines = text(note).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "and 30 more on 30 devices"
    assert title(note).endswith("; and 49 more")


def test_names_from_data_cannot_call_anybody_or_break_the_line() -> None:
    nasty = "<!channel> @all\r\nBcc: x\x00"
    (note,) = notes([alert(1, nasty, site=nasty)])
    for told in (text(note), title(note)):
        assert not re.search(r"[<>\r\x00]|@all|\nBcc", told)
    assert len(clean("x" * 10_000)) == 300


def test_that_an_episode_goes_on_is_not_told_to_people() -> None:
    sink = Sink()
    sink.offer(alert(1, status="ongoing"))
    sink.offer(alert(1, status="ongoing"), alert(2))
    assert [ids(note) for note in sink.people.told] == [["id-2"]]


def test_what_could_not_be_told_is_told_when_asked_again_and_nothing_twice() -> None:
    sink = Sink()
    items = [alert(1), alert(2), incident(1)]
    sink.notifier._tell = lambda note: sink.people(note)
    sink.offer(alert(0))
    sink.people.away = 2
    for _ in range(2):
        with pytest.raises(NotConnected):
            sink.notifier.write(items)
    sink.notifier.write(items)
    assert [ids(note) for note in sink.people.told] == [["id-0"], ["inc", "id-1"], ["id-2"]]


def test_a_message_that_went_out_before_the_failure_does_not_go_out_again() -> None:
    sink = Sink()
    items = [incident(1), alert(1), alert(2)]
    people = sink.people

    def second_fails(note: Note) -> None:
        people(note)
        people.away = 1 if len(people.told) == 1 else 0

    sink.notifier._tell = second_fails
    with pytest.raises(NotConnected):
        sink.notifier.write(items)
    people.away = 0
    sink.notifier.write(items)
    assert [ids(note) for note in people.told] == [["inc", "id-1"], ["id-2"]]


def test_above_the_limit_it_is_summed_up_and_told_when_there_is_room() -> None:
    sink = Sink("2 per hour")
    for n in range(10):
        sink.clock.sleep(60)
        sink.offer(alert(n, f"d{n % 3}"))
    assert [ids(note) for note in sink.people.told] == [["id-0"], ["id-1"]]
    assert sink.people.told[1].until == 61 * MINUTE
    assert "is summed up" in text(sink.people.told[1])
    assert sink.notifier.counts() == {"sent": 2, "held_back": 8}
    sink.notifier.snapshot()
    assert len(sink.people.told) == 2
    sink.clock.sleep(52 * 60)
    sink.notifier.snapshot()
    held = sink.people.told[2].held
    assert held is not None
    assert held.row() == {
        "at_most": "2 per hour",
        "count": 8,
        "from": "1970-01-01T00:02:00Z",
        "to": "1970-01-01T00:09:00Z",
        "kinds": {"alert": 8},
        "devices": {"d2": 3, "d0": 3, "d1": 2},
    }
    assert text(sink.people.told[2]).startswith("8 more, of 1970-01-01T00:02:00Z to ")
    sink.notifier.close()
    assert len(sink.people.told) == 3, "nothing was left to tell"


@pytest.mark.parametrize("rate", ["3 per hour", "1 per 10m"])
def test_no_stretch_of_time_has_more_messages_than_the_limit(rate: str) -> None:
    sink, how = Sink(rate), limit("x", rate)
    times: list[int] = []
    sink.notifier._tell = lambda note: times.append(sink.clock.now())
    for n in range(500):
        sink.clock.sleep(37)
        sink.offer(alert(n))
        sink.notifier.snapshot()
    assert len(times) > 10
    assert all(sum(at - how.span < one <= at for one in times) <= how.count for at in times)


def test_a_restart_tells_what_was_held_back_and_keeps_to_the_limit() -> None:
    sink = Sink("1 per hour", now=MINUTE)
    sink.offer(alert(1))
    sink.offer(alert(2), alert(3))
    again = Sink("1 per hour", sink.notifier.snapshot(), now=2 * MINUTE)
    again.offer(alert(4))
    assert again.people.told == []
    again.clock.sleep(3600)
    again.notifier.snapshot()
    (note,) = again.people.told
    assert note.held is not None
    assert note.held.count == 3


def test_what_is_held_back_is_told_at_the_end() -> None:
    sink = Sink("1 per hour")
    sink.offer(alert(1))
    sink.offer(alert(2))
    sink.notifier.close()
    assert [note.held.count for note in sink.people.told if note.held] == [1]


def test_what_cannot_be_told_at_the_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    sink = Sink("1 per hour")
    sink.offer(alert(1))
    sink.offer(alert(2))
    sink.people.away = 1
    sink.notifier.close()
    assert "could not tell at its end what its limit held back, {'at_most': '1 per" in caplog.text


def test_a_flood_of_devices_is_summed_up_in_little_memory() -> None:
    sink = Sink("1 per hour")
    sink.offer(alert(0))
    for n in range(5_000):
        sink.offer(alert(n, f"d{n}"), alert(n, "loud"))
    _, held = sink.notifier.snapshot()
    assert held["count"] == sum(held["devices"].values()) == 10_000
    assert len(held["devices"]) <= 202
    assert held["devices"]["loud"] == 5_000


@pytest.mark.parametrize(
    "text", ["", "10", "0 per hour", "ten per hour", "1 per moon", "1 per 0s", 5]
)
def test_a_limit_that_is_none_is_told(text: Any) -> None:
    with pytest.raises(FlowError, match=r"sink 'x': at_most=.* is no limit; write it like"):
        limit("sink 'x'", text)
