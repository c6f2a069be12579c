from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamflow import Batch, Event, Flow, Reorder, Silent
from streamflow.engine.shard import Outcome, Shard
from streamflow.errors import FlowError

SECOND = 10**9
FLOW = Flow("test", sensors=["t"])
Told = list[tuple[str, float]]


def told(events: list[Event]) -> Told:
    assert all(event.kind == "silence" for event in events)
    return [(event.fields["status"], event.time / SECOND) for event in events]


def replayed(stage: Silent, *seconds: float) -> Told:
    rows = [{"device": "a", "time": s, "t": 1.0} for s in seconds]
    return told(list((FLOW | stage).replay(rows).events))


def batch(*seconds: float, device: str = "a") -> Batch:
    return Batch.of(
        [{"device": device, "time": round(s * SECOND), "t": 1.0} for s in seconds], ["t"]
    )


def test_silence_opens_at_its_deadline_and_closes_with_the_next_reading() -> None:
    minutes = [60.0 * i for i in range(20)]
    assert replayed(Silent(), *minutes, 1140 + 301, 1140 + 361) == [
        ("opened", 1140 + 300),
        ("closed", 1140 + 301),
    ]


def test_both_events_have_one_id_and_say_how_long_it_lasted() -> None:
    rows = [{"device": "a", "time": s, "t": 1.0} for s in (0, 100)]
    opened, closed = (FLOW | Silent(after="30s")).replay(rows).events
    assert opened.id == closed.id
    assert dict(opened.fields) == {
        "status": "opened",
        "last": "1970-01-01T00:00:00Z",
        "seconds": 30,
    }
    assert dict(closed.fields) == {
        "status": "closed",
        "opened": "1970-01-01T00:00:30Z",
        "seconds": 100,
    }


def test_a_tick_says_the_same_sooner() -> None:
    stage = Silent(after="30s")
    shard, outcome = Shard((FLOW | stage).plan()), Outcome()
    outcome.add(shard.on_batch(batch(0)))
    assert not shard.on_tick(30 * SECOND - 1).events
    outcome.add(shard.on_tick(77 * SECOND))
    assert told(outcome.events) == [("opened", 30)]
    outcome.add(shard.on_tick(78 * SECOND))
    outcome.add(shard.on_batch(batch(100)))
    assert told(outcome.events) == replayed(stage, 0, 100)


def test_a_reading_at_its_deadline_is_overdue_and_just_before_it_is_not() -> None:
    assert replayed(Silent(after="30s"), 0, 30) == [("opened", 30), ("closed", 30)]
    assert replayed(Silent(after="30s"), 0, 29.999) == []


def test_who_stopped_before_the_end_of_history_is_silent() -> None:
    rows = [{"device": "a", "time": float(i), "t": 1.0} for i in range(100)]
    rows += [{"device": "b", "time": float(i), "t": 1.0} for i in range(0, 200, 10)]
    (event,) = (FLOW | Silent()).replay(rows).events
    assert (event.device, event.time / SECOND) == ("a", 99 + 10)


def test_each_device_has_its_own_rhythm() -> None:
    rows = [{"device": "slow", "time": 600.0 * i, "t": 1.0} for i in range(20)]
    rows += [{"device": "fast", "time": 20.0 * i, "t": 1.0} for i in range(571) if i != 300]
    assert list((FLOW | Silent()).replay(rows).events) == []
    assert replayed(Silent(factor=1.5), *(20.0 * i for i in range(571) if i != 300)) == [
        ("opened", 299 * 20 + 30),
        ("closed", 301 * 20),
    ]


def test_nothing_is_overdue_before_the_rhythm_is_known() -> None:
    minutes = [60.0 * i for i in range(9)]
    assert replayed(Silent(), *minutes[:8], 5000) == []
    assert replayed(Silent(), *minutes, 5000)[0] == ("opened", 480 + 300)
    assert replayed(Silent(), *range(80), 1000) == []
    assert replayed(Silent(), *range(81), 1000)[0] == ("opened", 90)


def test_a_device_that_sends_many_at_once_has_the_rhythm_of_its_pauses() -> None:
    bursts = [60.0 * k + i / 10 for k in range(30) for i in range(20)]
    assert replayed(Silent(), *bursts) == []
    assert replayed(Silent(), *bursts, bursts[-1] + 400)[0][0] == "opened"


def test_a_backlog_does_not_teach_a_faster_rhythm() -> None:
    minutes = [60.0 * i for i in range(30)]
    backlog = [minutes[-1] + 60 + i / 1000 for i in range(5000)]
    later = [backlog[-1] + 60.0 * (i + 1) for i in range(5)]
    assert replayed(Silent(), *minutes, *backlog, *later) == []


def test_one_outage_does_not_make_it_deaf_to_the_next() -> None:
    seconds = [float(i) for i in range(100)]
    outage = [3700.0 + i for i in range(40)]
    got = replayed(Silent(), *seconds, *outage, outage[-1] + 20)
    assert [status for status, _ in got] == ["opened", "closed"] * 2
    assert got[2][1] - outage[-1] < 15


def test_a_slower_rhythm_is_learned_after_some_alarms() -> None:
    got = replayed(Silent(), *range(100), *(100 + 60.0 * i for i in range(40)))
    opened = [time for status, time in got if status == "opened"]
    assert 1 <= len(opened) <= 15
    assert max(opened) < 100 + 60 * 15


def test_readings_that_arrive_out_of_order_do_not_turn_time_back() -> None:
    assert replayed(Silent(after="30s"), 100, 0, 90, 120) == []


def test_behind_a_reorder_the_deadline_stays_the_same() -> None:
    flow = FLOW | Reorder(lateness="5s", idle="10s") | Silent(after="30s")
    shard, outcome = Shard(flow.plan()), Outcome()
    for item in (batch(0, 1), batch(2, device="b")):
        outcome.add(shard.on_batch(item))
    for now in (12, 31, 33, 34):
        outcome.add(shard.on_tick(now * SECOND))
    assert [(e.device, e.time / SECOND) for e in outcome.events] == [("a", 31), ("b", 32)]


def test_at_the_end_others_that_still_have_readings_held_hide_no_silence() -> None:
    flow = FLOW | Reorder(lateness="1h") | Silent(after="30s")
    rows = [{"device": "a", "time": 0, "t": 1.0}, {"device": "b", "time": 20, "t": 1.0}]
    rows.append({"device": "b", "time": 40, "t": 1.0})
    assert [(e.device, e.time / SECOND) for e in flow.replay(rows).events] == [("a", 30)]


def test_rows_pass_as_they_are() -> None:
    given = batch(0, 1, 2)
    assert (FLOW | Silent()).replay(given).rows == given


def test_a_rhythm_of_decades_does_not_overflow() -> None:
    years = np.arange(12) * 5 * 365 * 86400.0
    got = replayed(Silent(factor=1e9), *years)
    assert got[0] == ("opened", years[8] + 10**8)


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        (Silent(after="0s"), "step 'silent': after='0s' is no time at all"),
        (Silent(after="-1m"), "step 'silent': after: '-1m' is not a duration"),
        (Silent(at_least="soon"), "step 'silent': at_least: 'soon' is not a duration"),
        (Silent(factor=1), "step 'silent': factor=1; more than 1, such as 5"),
        (Silent(factor=float("nan")), "step 'silent': factor=nan; more than 1"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(stage: Any, sentence: str) -> None:
    with pytest.raises(FlowError) as error:
        (FLOW | stage).plan()
    assert sentence in str(error.value)
