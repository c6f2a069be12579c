from __future__ import annotations

import subprocess
import sys
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
        (
            "device,sensor,low,high\na,t,1,5\na,t,1,5\na,t,1,6\n",
            "line 4: 't' of 'a' has other limits in line 2",
        ),
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


def test_a_value_that_changed_faster_than_it_can_is_missing_until_it_could_have() -> None:
    stage = Validate({"t": (-1e9, 1e9)}, rates={"t": 2})
    assert checked(stage, 20, 22, 23, 99, 25, 24.5) == [
        (20.0, None),
        (22.0, None),
        (23.0, None),
        (None, ["too_fast"]),
        (25.0, None),
        (24.5, None),
    ]
    # A level that stays is believed when so much time has passed.
    assert [value for value, _ in checked(stage, 20, 29, 29, 29, 29, 29, 29)] == [
        *[20.0, None, None, None, None],
        *[29.0, 29.0],
    ]


def test_a_rate_holds_backwards_in_time_and_says_nothing_at_one_time() -> None:
    rows = [{"device": "a", "time": s, "t": t} for s, t in [(10, 20), (10, 45), (8, 23), (8, 50)]]
    got = (FLOW | Validate(rates={"t": 2})).replay(rows)
    assert got.rows["t"].tolist() == [20.0, 45.0, 23.0, 50.0]
    assert got.balance.flagged == {}


def test_rounding_is_not_too_fast() -> None:
    values = [20 + i / 10 for i in range(20)]
    assert {flag for _, flag in checked(Validate(rates={"t": 0.1}), *map(str, values))} == {None}


def test_a_reading_without_a_required_sensor_is_rejected_with_the_reason() -> None:
    rows = [{"t": 1, "p": 2}, {"p": 2}, {"t": 99, "p": 2}, {"t": 1}, {}]
    numbered = [{"device": "a", "time": i, **row} for i, row in enumerate(rows)]
    every = (FLOW | Validate(required=["t", "p"])).replay(numbered)
    assert [(row["time"] // 10**9, row["reason"]) for row in every.rejected] == [
        (1, "no value of t"),
        (2, "no value of t"),
        (3, "no value of p"),
        (4, "no value of t"),
    ]
    assert every.balance.adds_up
    some = (FLOW | Validate(required=[("t", "p")])).replay(numbered)
    assert [row["reason"] for row in some.rejected] == ["no value of t or p"]


def test_values_are_converted_before_they_are_compared_with_the_declared_range() -> None:
    got = checked(Validate(units={"t": "degF"}), 50, 122, 122.1, -58.1, None, INF)
    assert [round(value, 9) if value is not None else flag for value, flag in got] == [
        *[10.0, 50.0, ["out_of_range"], ["out_of_range"]],
        *[None, ["not_finite"]],
    ]


def test_a_unit_may_hang_on_the_firmware() -> None:
    flow = Flow("test", sensors={"t": Sensor("degC", high=200)}, tags=["firmware"])
    stage = Validate(units={"t": ("firmware", {"2": "degF", "3": "kelvin"})})
    tags: list[dict[str, str]] = [{"firmware": "1"}, {"firmware": "2"}, {}, {"firmware": "3"}]
    rows = [{"device": "a", "time": i, "t": 104.0, **tag} for i, tag in enumerate(tags)]
    assert (flow | stage).replay(rows).rows["t"].round(6).tolist() == [104.0, 40.0, 104.0, -169.15]


def test_the_same_unit_changes_no_bit() -> None:
    values = [0.1 + i / 7 for i in range(40)]
    assert [got for got, _ in checked(Validate(units={"t": "celsius"}), *values)] == values


def test_without_pint_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pint", None)
    with pytest.raises(FlowError, match=r"units need pint.* pip install 'streamflow-iot\[units\]'"):
        (FLOW | Validate(units={"t": "degF"})).plan()


def test_pint_is_loaded_only_where_units_are_asked_for() -> None:
    program = (
        "import sys; from streamflow import Flow, Validate; (Flow('f', sensors=['t']) | Validate())"
        ".replay([{'device': 'a', 'time': 0, 't': 1}]); print('pint' in sys.modules)"
    )
    command = [sys.executable, "-W", "ignore", "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_replay_names_the_devices_of_a_table_that_never_came() -> None:
    own = {name: {"t": (0, 1)} for name in ("a", "b", "c", "d", "e")}
    result = (FLOW | Validate(overrides=own)).replay([{"device": "b", "time": 0, "t": 1}])
    assert list(result.remarks) == [
        "step 'validate': overrides: 4 of 5 devices never appeared: 'a', 'c', 'd', ..."
    ]


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        (Validate(rates={"tt": 1}), "rates: no sensor 'tt'; did you mean 't'?"),
        (Validate(rates={"t": 0}), "the rate of 't' is 0; it must be above 0, per second"),
        (Validate(rates={"t": INF}), "the rate of 't' is inf"),
        (Validate(required="t"), "required='t' is a list: ['t']"),
        (Validate(required=["x"]), "required: no sensor 'x'"),
        (Validate(required=[()]), "required holds a tuple without a sensor"),
        (Validate(units={"x": "degF"}), "units: no sensor 'x'"),
        (Validate(units={"p": "bar"}), "'p' declares no unit to convert into"),
        (Validate(units={"t": "degFF"}), "'t': 'degFF' is no unit; write it like degC"),
        (Validate(units={"t": "m +"}), "'t': 'm +' is no unit"),
        (Validate(units={"t": "bar"}), "'t' cannot be converted from 'bar' into 'degC'"),
        (Validate(units={"t": ("firmware", {"2": "degF"})}), "units of 't': no tag 'firmware'"),
        (Validate(units={"t": 5}), "5 is neither a unit nor (tag, {word: unit})"),  # type: ignore[dict-item]
    ],
)
def test_wrong_rates_units_and_requirements_are_refused(stage: Validate, sentence: str) -> None:
    with pytest.raises(FlowError) as error:
        (FLOW | stage).plan()
    assert str(error.value).startswith("step 'validate': ")
    assert sentence in str(error.value)


def test_a_declared_unit_that_is_none_is_refused_once_something_is_to_become_it() -> None:
    flow = Flow("test", sensors={"t": Sensor("hotness")})
    with pytest.raises(FlowError, match="'hotness' is no unit"):
        (flow | Validate(units={"t": "degF"})).plan()
    (flow | Validate()).plan()
