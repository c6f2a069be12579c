from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamflow.errors import FlowError
from streamflow.flow.registry import file_source
from streamflow.profile.cells import cells
from streamflow.profile.columns import Cells, Wish, guess


def some(**columns: object) -> Cells:
    """Forty rows; a list is repeated."""
    return {n: (v * 40)[:40] if isinstance(v, list) else [v] * 40 for n, v in columns.items()}


TIME = [f"2026-01-01 00:00:{i:02d}" for i in range(40)]


def test_names_tell_device_time_sensors_and_tags() -> None:
    found = some(timestamp=TIME, machine=["m1", "m2"], site=["hall"], bar=["4.1", ""], rpm=[1, 2])
    roles = guess(found, Wish(), "x")
    assert (roles.device, roles.time) == ("machine", "timestamp")
    assert roles.sensors == ("bar", "rpm")
    assert roles.tags == ("site",)


def test_a_file_without_words_is_one_device() -> None:
    roles = guess(some(time=TIME, value=["1", "2"]), Wish(), "x")
    assert roles.device is None
    assert roles.schema.device == "device"


def test_what_is_no_name_of_a_device_is_found_by_its_words() -> None:
    found = some(time=TIME, colour=["red", "red"], which=["a", "b", "c"], v=[1.0])
    roles = guess(found, Wish(), "x")
    assert roles.device == "which"
    assert roles.tags == ("colour",)


def test_a_device_may_have_a_number() -> None:
    assert guess(some(time=TIME, machine_id=["1", "2"], v=["2.5"]), Wish(), "x").device == (
        "machine_id"
    )


def test_labels_row_numbers_and_free_text_are_left_out_and_said() -> None:
    numbers = [str(i) for i in range(40)]
    text = [f"remark {i}" for i in range(40)]
    found = some(index=numbers, time=TIME, v=["1.5"], anomaly=["0", "1"], remark=text, empty=[""])
    roles = guess(found, Wish(), "x")
    assert roles.sensors == ("v",)
    assert set(roles.left_out) == {"index", "anomaly", "remark", "empty"}
    assert "label" in roles.left_out["anomaly"]


def test_a_time_without_a_name_is_known_by_its_form() -> None:
    assert guess(some(moment=TIME, v=["1"]), Wish(), "x").time == "moment"
    epoch = [1_767_225_600_000 + i for i in range(40)]
    assert guess(some(x=epoch, v=[1.5]), Wish(), "x").time == "x"


def test_a_form_of_time_that_is_not_iso_is_found() -> None:
    german = [f"13.01.2026 00:00:{i:02d}" for i in range(40)]
    assert guess(some(time=german, v=["1"]), Wish(), "x").time_format == "%d.%m.%Y %H:%M:%S"
    american = [f"1/13/2026 00:{i:02d}" for i in range(40)]
    assert guess(some(time=american, v=["1"]), Wish(), "x").time_format == "%m/%d/%Y %H:%M"


def test_the_user_knows_better() -> None:
    found = some(time=TIME, machine=["a", "b"], line=["x", "y"], label=["0"], v=["1"])
    wish = Wish(device="line", sensors=("v", "label"), tags=("machine",))
    roles = guess(found, wish, "x")
    assert (roles.device, roles.sensors, roles.tags) == ("line", ("v", "label"), ("machine",))
    assert guess(found, Wish(device="none"), "x").device is None


@pytest.mark.parametrize(
    ("found", "wish", "says"),
    [
        (some(v=["1"], w=["2"]), Wish(), "which column is the time"),
        (some(time=["noon"], v=["1"]), Wish(time="time"), "--time-format"),
        (some(time=TIME, v=["x", "y"]), Wish(), "no column of numbers"),
        (some(time=TIME, v=["1"]), Wish(sensors=("vv",)), "no column 'vv'; did you mean 'v'"),
    ],
)
def test_what_cannot_be_guessed_is_asked(found: Cells, wish: Wish, says: str) -> None:
    with pytest.raises(FlowError, match=says):
        guess(found, wish, "x.csv")


def test_cells_come_from_all_over_the_file_and_damage_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    rows = [{"time": i, "a": 1} for i in range(9000)] + [
        {"time": 9000 + i, "b": 2} for i in range(9)
    ]
    path.write_text("{broken\n" + "\n".join(map(json.dumps, rows)))
    found = cells(file_source(str(path)), "x")
    assert set(found) == {"time", "a", "b"}
    assert len(found["time"]) < 5000


def test_a_row_for_each_sensor_is_the_long_format() -> None:
    found = some(
        time=TIME,
        device=["a", "b"],
        parameter=["bar", "rpm"],
        value=["4.1", "900"],
        lat=["51.1", "51.2"],
        unit=["bar", "1/min"],
    )
    roles = guess(found, Wish(), "x")
    assert roles.long == ("parameter", "value")
    assert (roles.device, roles.sensors, roles.tags) == ("device", ("bar", "rpm"), ("unit",))
    assert roles.left_out == {"lat": "it stands beside the value"}
    assert guess(found, Wish(sensors=("value",)), "x").long is None
    assert guess(found, Wish(device="none"), "x").long == ("parameter", "value")


def test_a_name_for_each_row_and_nothing_else_is_a_device() -> None:
    roles = guess(some(time=TIME, name=["a", "b"], value=["1", "2"]), Wish(), "x")
    assert (roles.device, roles.sensors, roles.long) == ("name", ("value",), None)
