from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamflow import Flow, Sensor, Validate
from streamflow.errors import FlowError

FLOW = Flow("test", sensors={"t": Sensor("degC", low=-50, high=50), "p": Sensor()})
INF = float("inf")


def checked(stage: Validate, *values: Any, device: str = "a") -> list[tuple[Any, Any]]:
    result = (FLOW | stage).replay(
        [{"device": device, "time": i, "t": t} for i, t in enumerate(values)]
    )
    return [(row["t"], row.get("quality", {}).get("t")) for row in result.rows.rows()]


def test_limits_are_still_true_and_what_lies_beyond_is_flagged_and_missing() -> None:
    assert checked(Validate(), -50, 50, -50.000001, 50.1, None) == [
        (-50.0, None),
        (50.0, None),
        (None, ["out_of_range"]),
        (None, ["out_of_range"]),
        (None, None),
    ]


def test_infinite_is_one_thing_and_out_of_range_another() -> None:
    assert checked(Validate(), INF, -INF) == [(None, ["not_finite"])] * 2


def test_text_stays_flagged_as_invalid() -> None:
    assert checked(Validate(), "hot") == [(None, ["invalid"])]


def test_a_sensor_without_a_range_still_wants_finite_values() -> None:
    result = (FLOW | Validate()).replay([{"device": "a", "time": 0, "p": INF, "t": 1}])
    (row,) = result.rows.rows()
    assert (row["p"], row["quality"]) == (None, {"p": ["not_finite"]})


def test_own_limits_take_the_place_of_the_flows() -> None:
    assert checked(Validate({"t": (0, 100)}), 99, -1) == [(99.0, None), (None, ["out_of_range"])]
    assert checked(Validate({"p": (0, 1)}), 99) == [(None, ["out_of_range"])]


def test_readings_go_on_and_are_counted_by_flag() -> None:
    result = (FLOW | Validate()).replay(
        [{"device": "a", "time": i, "t": t} for i, t in enumerate([99, INF, "x", 1])]
    )
    assert len(result.rows) == 4
    assert result.balance.flagged == {
        ("t", "out_of_range"): 1,
        ("t", "not_finite"): 1,
        ("t", "invalid"): 1,
    }


def test_a_device_has_limits_of_its_own() -> None:
    stage = Validate(overrides={"oven": {"t": (100, 300)}})
    assert checked(stage, 200, 20, device="oven") == [(200.0, None), (None, ["out_of_range"])]
    assert checked(stage, 200, 20, device="a") == [(None, ["out_of_range"]), (20.0, None)]


def test_one_batch_with_devices_of_both_kinds() -> None:
    flow = FLOW | Validate(overrides={"oven": {"t": (100, 300)}})
    dicts = [{"device": d, "time": i, "t": 200} for i, d in enumerate(["a", "oven", "a"])]
    assert [row["t"] for row in flow.replay(dicts).rows.rows()] == [None, 200.0, None]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "limits.csv"


def test_overrides_from_a_file(table: Path) -> None:
    table.write_text(
        "\ufeffsensor,device,high,low,note\nt,oven,300,100,hot\np,oven,,0,\n\nt,b,,,\n"
    )
    for path in (table, str(table)):
        stage = Validate(overrides=path)
        assert checked(stage, 200, 20, device="oven") == [(200.0, None), (None, ["out_of_range"])]
        assert checked(stage, 1e9, device="b") == [(1e9, None)]
        assert checked(stage, 99, device="a") == [(None, ["out_of_range"])]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("device,sensor,low\n", "line 1: the columns are device,sensor,low,high"),
        ("", "line 1: the columns are device,sensor,low,high"),
        ("device;sensor;low;high\n", "line 1: the columns are"),
        ("device,sensor,low,high\na,t,0,1\na,t,x,1\n", "line 3: could not convert string to f"),
        ("device,sensor,low,high\na,t,5\n", "line 2: it has more or fewer fields than the header"),
        ("device,sensor,low,high\na,t,5,6,7\n", "line 2: it has more or fewer fields"),
        ("device,sensor,low,high\na,tt,5,6\n", "line 2: no sensor 'tt'; did you mean 't'?"),
        ("device,sensor,low,high\n\na,t,6,5\n", "line 3: the limits of 't' contradict each other"),
        ("device,sensor,low,high\na,t,nan,5\n", "line 2: the limits of 't' contradict"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(table: Path, text: str, sentence: str) -> None:
    table.write_text(text)
    with pytest.raises(FlowError) as error:
        (FLOW | Validate(overrides=str(table))).plan()
    assert str(error.value).startswith(f"step 'validate': {table}, {sentence}")


def test_a_file_that_is_none_is_refused(table: Path) -> None:
    for path in (table, table.parent):
        with pytest.raises(FlowError, match="step 'validate': cannot read"):
            (FLOW | Validate(overrides=path)).plan()
    table.write_bytes(b"device,sensor,low,high\n\xff,t,0,1\n")
    with pytest.raises(FlowError, match="is not CSV in UTF-8"):
        (FLOW | Validate(overrides=table)).plan()


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        (Validate({"tt": (0, 1)}), "step 'validate': no sensor 'tt'; did you mean 't'?"),
        (Validate({"t": (1, 1)}), "the limits of 't' contradict each other: low 1 is not below"),
        (Validate(overrides={"a": {"tt": (0, 1)}}), "no sensor 'tt'"),
        (Validate(overrides={"a": {"t": (2, 1)}}), "contradict each other"),
    ],
)
def test_wrong_limits_are_refused_before_anything_runs(stage: Validate, sentence: str) -> None:
    with pytest.raises(FlowError) as error:
        (FLOW | stage).plan()
    assert sentence in str(error.value)
