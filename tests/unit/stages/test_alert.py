from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from streamflow import Alert, Flow, iso
from streamflow.core.event import event_id
from streamflow.errors import FlowError

SECOND = 10**9
FLOW = Flow("test", sensors=["t", "p"], tags=["site"])
Told = tuple[str, int]


def rows(
    values: Sequence[float | None], times: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    times = range(len(values)) if times is None else times
    return [{"device": "a", "time": i, "t": t} for i, t in zip(times, values, strict=True)]


def told(
    alert: Alert, values: Sequence[float | None], times: Sequence[int] | None = None
) -> list[Told]:
    result = (FLOW | alert).replay(rows(values, times))
    return [(e.fields["status"], e.time // SECOND) for e in result.alerts]


def column(alert: Alert, values: Sequence[float | None]) -> list[int]:
    return (FLOW | alert).replay(rows(values)).rows["alert"].astype(int).tolist()


def test_it_opens_when_the_condition_holds_and_closes_when_it_does_not() -> None:
    values = [0, 5, 5, 0, 0, 5]
    assert told(Alert("t > 1"), values) == [("opened", 1), ("closed", 3), ("opened", 5)]
    assert column(Alert("t > 1"), values) == [0, 1, 1, 0, 0, 1]


def test_an_episode_needs_after_without_a_break() -> None:
    alert = Alert("t > 1", after="2s")
    assert told(alert, [5, 5, 0, 5, 5, 5, 5]) == [("opened", 5)]
    assert column(alert, [5, 5, 0, 5, 5, 5, 5]) == [0, 0, 0, 0, 0, 1, 1]


def test_after_counts_from_the_first_reading_that_held_and_says_since_when() -> None:
    (event,) = (FLOW | Alert("t > 1", after="2s")).replay(rows([0, 5, 5, 5])).alerts
    assert event.time == 3 * SECOND
    assert event.fields["since"] == iso(1 * SECOND)


def test_an_episode_ends_only_after_hold_without_the_condition() -> None:
    alert = Alert("t > 1", hold="2s")
    assert told(alert, [5, 0, 0, 5, 0, 0, 0]) == [("opened", 0), ("closed", 6)]
    assert column(alert, [5, 0, 0, 5, 0, 0, 0]) == [1, 1, 1, 1, 1, 1, 0]


def test_until_makes_hysteresis() -> None:
    alert = Alert("t > 10", until="t < 5")
    assert told(alert, [11, 8, 6, 11, 8, 4, 8, 11]) == [("opened", 0), ("closed", 5), ("opened", 7)]


def test_while_until_and_when_hold_both_the_episode_goes_on() -> None:
    assert told(Alert("t > 1", until="t > 0"), [5, 5, 1]) == [("opened", 0), ("closed", 2)]


def test_hold_wants_until_without_a_break() -> None:
    alert = Alert("t > 10", until="t < 5", hold="2s")
    assert told(alert, [11, 4, 4, 7, 4, 4, 4]) == [("opened", 0), ("closed", 6)]


def test_a_missing_value_breaks_after_but_does_not_end_by_hysteresis() -> None:
    assert told(Alert("t > 1", after="2s"), [5, None, 5, 5]) == []
    assert told(Alert("t > 1", until="t < 1"), [5, None, 5, 0]) == [("opened", 0), ("closed", 3)]


def test_zero_durations_act_on_the_reading_itself() -> None:
    assert told(Alert("t > 1", after="0s", hold="0s"), [5, 0]) == [("opened", 0), ("closed", 1)]


def test_a_long_step_counts_whole() -> None:
    alert = Alert("t > 1", after="1m", hold="1m")
    assert told(alert, [5, 5, 0, 0], [0, 3600, 3601, 9000]) == [("opened", 3600), ("closed", 9000)]


def test_a_late_reading_neither_opens_early_nor_closes_early() -> None:
    assert told(Alert("t > 1", after="5s"), [5, 5, 5, 5], [10, 3, 12, 15]) == [("opened", 15)]
    assert told(Alert("t > 1", hold="5s"), [5, 0, 0, 0], [10, 11, 4, 16]) == [
        ("opened", 10),
        ("closed", 16),
    ]


def test_a_device_that_falls_silent_stays_open() -> None:
    result = (FLOW | Alert("t > 1", hold="1s")).replay(
        [
            {"device": "a", "time": 0, "t": 5},
            *({"device": "b", "time": i, "t": 0} for i in range(99)),
        ]
    )
    assert [e.fields["status"] for e in result.alerts] == ["opened"]


def test_opening_and_close_have_one_id_that_says_flow_step_device_and_opening() -> None:
    opened, closed = (FLOW | Alert("t > 1", name="hot")).replay(rows([0, 5, 0])).alerts
    assert opened.id == closed.id == event_id("test", "hot", "a", SECOND)


def test_each_episode_has_an_id_of_its_own_and_the_same_in_every_run() -> None:
    flow = FLOW | Alert("t > 1")
    values = [*rows([5, 0, 5, 0]), {"device": "b", "time": 0, "t": 5}]
    ids = [event.id for event in flow.replay(values).alerts]
    assert len(set(ids)) == 3
    assert ids == [event.id for event in flow.replay(values).alerts]


def test_an_opening_tells_the_values_it_looked_at() -> None:
    flow = FLOW | Alert('t > 1 and site == "north" or p > 99')
    (event,) = flow.replay([{"device": "a", "time": 0, "t": 5, "site": "north"}]).alerts
    shown = {name: event.fields[name] for name in ("t", "site", "p")}
    assert shown == {"t": 5.0, "site": "north", "p": None}


@pytest.mark.parametrize("name", ["status", "when", "since", "id", "kind", "step"])
def test_a_sensor_called_like_a_field_of_the_event_does_no_harm(name: str) -> None:
    flow = Flow("test", sensors=[name]) | Alert(f"{name} > 1")
    events = flow.replay([{"device": "a", "time": i, name: 5 - 5 * i} for i in range(2)]).alerts
    assert [event.row()["status"] for event in events] == ["opened", "closed"]
    assert {event.row()["kind"] for event in events} == {"alert"}


def test_a_close_tells_how_long_how_often_and_how_high() -> None:
    closed = (FLOW | Alert("t > 1", hold="2s")).replay(rows([5, 7, 0, 6, 0, 0, 0])).alerts[-1]
    assert closed.fields == {
        "status": "closed",
        "when": "t > 1",
        "opened": iso(0),
        "seconds": 6.0,
        "readings": 3,
        "peak_t": 7.0,
    }


def test_a_second_episode_starts_its_counts_anew() -> None:
    closed = (FLOW | Alert("t > 1")).replay(rows([9, 9, 0, 3, 0])).alerts[-1]
    assert (closed.fields["readings"], closed.fields["peak_t"]) == (1, 3.0)


def test_a_condition_on_a_tag_has_no_peak() -> None:
    flow = FLOW | Alert('site == "north"')
    dicts = [{"device": "a", "time": i, "site": site} for i, site in enumerate(["north", "south"])]
    assert list(flow.replay(dicts).alerts[-1].fields) == [
        "status",
        "when",
        "opened",
        "seconds",
        "readings",
    ]


def test_events_of_many_devices_come_in_the_order_of_the_readings() -> None:
    dicts = [
        {"device": d, "time": i, "t": t}
        for i, (d, t) in enumerate([("b", 5), ("a", 5), ("b", 0), ("c", 5), ("a", 0)])
    ]
    events = (FLOW | Alert("t > 1")).replay(dicts).alerts
    assert [(e.device, e.time // SECOND) for e in events] == [
        ("b", 0),
        ("a", 1),
        ("b", 2),
        ("c", 3),
        ("a", 4),
    ]


def test_two_alerts_want_names_and_do_not_mix() -> None:
    flow = FLOW | Alert("t > 1") | Alert("t > 6", name="high")
    result = flow.replay(rows([5, 7]))
    assert result.rows["alert"].tolist() == [1, 1]
    assert result.rows["high_alert"].tolist() == [0, 1]
    assert [event.step for event in result.alerts] == ["alert", "high"]
    with pytest.raises(FlowError, match="two steps are called 'alert'"):
        (FLOW | Alert("t > 1") | Alert("t > 6")).plan()


@pytest.mark.parametrize(
    ("alert", "sentence"),
    [
        (Alert("tt > 1"), "step 'alert': when='tt > 1' uses 'tt', which does not exist here"),
        (Alert("t > 1", until="tt < 1"), "step 'alert': until='tt < 1' uses 'tt'"),
        (Alert("t > 1", after="soon"), "'soon' is not a duration"),
        (Alert("t > 1", hold=5), "5 is not a duration"),  # type: ignore[arg-type]
        (Alert(0.95), "0.95 is not an expression"),  # type: ignore[arg-type]
        (Alert("site > 1"), "'site' is a tag, not a number"),
        (Alert("score > 1"), "uses 'score', which does not exist here"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(alert: Alert, sentence: str) -> None:
    with pytest.raises(FlowError) as error:
        (FLOW | alert).plan()
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("when", "threshold"),
    [
        ("score > 0.95", ("score", ">", 0.95)),
        (" score>=-1e-3 ", ("score", ">=", -1e-3)),
        ("t < 5", ("t", "<", 5.0)),
        ("t > p", None),
        ("t > 1 and p > 1", None),
        ("t + 1 > 5", None),
        ("t == 5", None),
        ('site == "north"', None),
        ("1 < t", None),
    ],
)
def test_the_threshold_of_a_plain_condition(when: str, threshold: Any) -> None:
    assert Alert(when).threshold == threshold


def test_its_column_is_zero_where_nothing_holds() -> None:
    result = (FLOW | Alert("t > 1")).replay(rows([0.0] * 5))
    assert result.rows["alert"].tolist() == [0.0] * 5
    assert not np.isnan(result.rows["alert"]).any()


def fields_of(alert: Alert, values: Sequence[float | None], status: str) -> list[Any]:
    events = (FLOW | alert).replay(rows(values)).alerts
    return [event.fields for event in events if event.fields["status"] == status]


def test_a_doubled_peak_is_told_but_not_oftener_than_update() -> None:
    alert = Alert("t > 1", update="3s")
    values = [2, 3, 5, 9, 9, 40, 40, 40, 0]
    assert told(alert, values) == [("opened", 0), ("ongoing", 3), ("ongoing", 6), ("closed", 8)]
    first, second = fields_of(alert, values, "ongoing")
    assert (first["peak_t"], first["readings"], first["seconds"]) == (9.0, 4, 3.0)
    assert second["peak_t"] == 40.0


def test_a_raised_severity_is_told_once() -> None:
    alert = Alert("t > 10", severe="t > 14", update="1s")
    values = [11, 12, 15, 15, 16, 0, 15]
    assert told(alert, values) == [
        ("opened", 0),
        ("ongoing", 2),
        ("closed", 5),
        ("opened", 6),
    ]
    severity = [e.fields["severity"] for e in (FLOW | alert).replay(rows(values)).alerts]
    assert severity == ["moderate", "severe", "severe", "severe"]


def test_in_the_quiet_time_only_a_higher_peak_opens() -> None:
    alert = Alert("t > 1", quiet="5s")
    assert told(alert, [5, 0, 4, 5, 0, 0, 4]) == [("opened", 0), ("closed", 1), ("opened", 6)]
    assert told(alert, [5, 0, 6])[-1] == ("opened", 2)


def test_where_less_is_worse_the_peak_is_the_least() -> None:
    (closed,) = fields_of(Alert("t < 5"), [4, 2, 3, 9], "closed")
    assert closed["peak_t"] == 2.0
    assert told(Alert("t < 5", quiet="9s"), [4, 9, 4, 3]) == [
        ("opened", 0),
        ("closed", 1),
        ("opened", 3),
    ]


def test_a_level_that_stays_becomes_a_new_normal_and_opens_no_more() -> None:
    alert = Alert("t > 1", new_normal="10s")
    level = [5.0, 5.5] * 20
    assert told(alert, [0, 9, *level]) == [("opened", 1), ("new_normal", 11)]
    # Beyond its range it is something else.
    assert told(alert, [0, 9, *level, 6.0, 6.1])[2:] == [("opened", 43)]


def test_the_old_level_becomes_normal_again_after_as_long() -> None:
    alert = Alert("t > 1", new_normal="10s")
    assert told(alert, [*[5.0] * 12, *[0] * 5, 5.0, 0]) == [("opened", 0), ("new_normal", 10)]
    assert told(alert, [*[5.0] * 12, *[0] * 12, 5.0])[2:] == [("opened", 24)]


def test_a_new_normal_of_a_condition_without_a_number_is_the_condition() -> None:
    flow = FLOW | Alert('site == "north"', new_normal="3s")
    dicts = [{"device": "a", "time": i, "site": "north"} for i in range(20)]
    assert [e.fields["status"] for e in flow.replay(dicts).alerts] == ["opened", "new_normal"]


def test_maintenance_ends_and_opens_nothing() -> None:
    flow = Flow("test", sensors=["t", "maintenance"]) | Alert("t > 1", hold="1h")
    marked = zip([5, 5, 5, 5, 5, 0], [0, 0, 1, 1, 0, 0], strict=True)
    dicts = [
        {"device": "a", "time": i, "t": t, "maintenance": m} for i, (t, m) in enumerate(marked)
    ]
    result = flow.replay(dicts)
    assert [(e.fields["status"], e.time // SECOND) for e in result.alerts] == [
        ("opened", 0),
        ("maintenance", 2),
        ("opened", 4),
    ]
    assert result.rows["alert"].tolist() == [1, 1, 0, 0, 1, 1]


def test_a_young_detector_is_held_to_twice_the_limit() -> None:
    flow = Flow("test", sensors=["x_score", "x_learning"])
    dicts = [
        {"device": "a", "time": i, "x_score": score, "x_learning": young}
        for i, (score, young) in enumerate([(5, 1), (9, 1), (0, 1), (5, 0), (0, 0)])
    ]

    def times(alert: Alert) -> list[int]:
        events = (flow | alert).replay(dicts).alerts
        return [e.time // SECOND for e in events if e.fields["status"] == "opened"]

    assert times(Alert("x_score > 4")) == [1, 3]
    assert times(Alert("x_score > 4 and x_score < 99")) == [3]


def test_the_episode_of_a_silent_device_closes_at_its_deadline() -> None:
    alert = Alert("t > 1", silent="1m", hold="1h")
    late = told(alert, [5, 5, 5], [0, 10, 1000])
    assert late == [("opened", 0), ("silent", 70), ("opened", 1000)]
    assert told(Alert("t > 1", silent=None, hold="1h"), [5, 5, 5], [0, 10, 10**6])[1:] == []
