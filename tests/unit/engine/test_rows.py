from __future__ import annotations

import json

from streamflow import Flow, Sensor

FLOW = Flow("test", device="machine", time="at", sensors={"t": Sensor()}, tags=["site"])


def test_rows_go_by_the_flows_field_names() -> None:
    rows = [{"machine": "a", "at": "1970-01-01T00:00:05Z", "t": "2.5", "site": "n", "more": 1}]
    assert list(FLOW.replay(rows).rows.rows()) == [
        {"device": "a", "time": 5 * 10**9, "site": "n", "t": 2.5}
    ]


def test_a_row_that_is_no_reading_is_a_dead_letter_that_can_be_written() -> None:
    huge = 10**30
    rows = [{"machine": "a", "at": 1}, {"machine": "a", "at": huge}, {"machine": "b", "at": "?"}]
    result = FLOW.replay(rows)
    assert len(result.rows) == 1
    assert [letter.place for letter in result.dead_letters] == [1, 2]
    assert [json.loads(letter.row()["payload"]) for letter in result.dead_letters] == rows[1:]
    assert result.balance.adds_up


def test_a_row_that_json_cannot_hold_is_still_told() -> None:
    (letter,) = FLOW.replay([{"machine": "a", "at": {1, 2}, "t": b"\xff"}]).dead_letters
    assert json.loads(letter.row()["payload"])["machine"] == "a"


def test_rows_are_not_changed() -> None:
    rows = [{"machine": "a", "at": 1, "t": "x"}]
    FLOW.replay(rows)
    assert rows == [{"machine": "a", "at": 1, "t": "x"}]


def test_a_batch_replays_as_it_is() -> None:
    batch = FLOW.replay([{"machine": "a", "at": 1, "t": 1.0, "site": "n"}]).rows
    assert FLOW.replay(batch).rows == batch
