from __future__ import annotations

from datetime import UTC, datetime

import pytest

from streamflow import Event, iso
from streamflow.core.event import event_id


@pytest.mark.parametrize(
    ("of", "id_"),
    [
        (("machines", "alert", "pump-1", 0), "3c6d5298dade79d8e765f1c8"),
        (("machines", "alert", "pump-1", 1_767_225_600_000_000_000), "db4319817e4c6aa01fedb166"),
        (("f", "s", "Ventil-Größe", -1), "9479f110282bd29f65384717"),
    ],
)
def test_ids_never_change_for_sinks_upsert_by_them(of: tuple[str, str, str, int], id_: str) -> None:
    assert event_id(*of) == id_


def test_ids_differ_in_each_part() -> None:
    ids = {
        event_id("f", "s", "d", 1),
        event_id("g", "s", "d", 1),
        event_id("f", "t", "d", 1),
        event_id("f", "s", "e", 1),
        event_id("f", "s", "d", 2),
        event_id("fs", "", "d", 1),
        event_id("f", "sd", "", 1),
    }
    assert len(ids) == 7


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_500_000_000_000_000_000, "2017-07-14T02:40:00Z"),
        (1_500_000_000_250_000_000, "2017-07-14T02:40:00.250Z"),
        (1_500_000_000_000_001_000, "2017-07-14T02:40:00.000001000Z"),
        (1_500_000_000_000_000_001, "2017-07-14T02:40:00.000000001Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (-(2**63), "1677-09-21T00:12:43.145224192Z"),
        (2**63 - 1, "2262-04-11T23:47:16.854775807Z"),
    ],
)
def test_iso_over_all_that_a_time_can_be(time: int, text: str) -> None:
    assert iso(time) == text


def test_iso_agrees_with_python_to_the_second() -> None:
    for seconds in range(-(10**10), 9 * 10**9, 987_654_321):
        moment = datetime.fromtimestamp(seconds, UTC)
        assert iso(seconds * 10**9) == moment.isoformat().replace("+00:00", "Z")


def test_a_row_is_flat() -> None:
    event = Event("1", "alert", "hot", "a", 0, {"status": "opened", "t": 31.5})
    assert event.row() == {
        "id": "1",
        "kind": "alert",
        "step": "hot",
        "device": "a",
        "time": "1970-01-01T00:00:00Z",
        "status": "opened",
        "t": 31.5,
    }


def test_no_field_can_take_the_place_of_what_identifies_an_event() -> None:
    fields = {"id": 7.0, "kind": "x", "step": 3, "device": "y", "time": 4.2, "t": 1.0}
    row = Event("1", "alert", "hot", "a", 0, fields).row()
    assert row == {**Event("1", "alert", "hot", "a", 0).row(), "t": 1.0}
