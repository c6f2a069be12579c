from __future__ import annotations

from typing import Any

import pytest

from streamflow import Flow, Map, Reject, stage
from streamflow.errors import FlowError, StageError

FLOW = Flow("test", sensors=["t", "p"], tags=["site"])
ROWS = [{"device": "a", "time": i, "t": float(i), "site": "n"} for i in range(4)]


@stage(adds="rise", last=float("nan"), seen=0)
def rise(r: Any, memory: Any) -> Any:
    memory.seen += 1
    if r["t"] == 2:
        memory.last = -99.0
        raise ZeroDivisionError("on purpose")
    if r["t"] == 3:
        memory.last = r["t"]
        return Reject("not this one")
    out = r["t"] - memory.last
    memory.last = r["t"]
    return {"rise": out}


def test_a_function_adds_columns_and_remembers_each_device() -> None:
    rows = [
        {"device": d, "time": i, "t": t}
        for i, (d, t) in enumerate([("a", 0.0), ("b", 10.0), ("a", 1.0), ("b", 7.0)])
    ]
    got = (FLOW | rise).replay(rows).rows["rise"].tolist()
    assert got[2:] == [1.0, -3.0]
    assert all(value != value for value in got[:2])


def test_an_exception_rejects_its_reading_and_leaves_the_memory_as_it_was() -> None:
    result = (FLOW | rise).replay([*ROWS[:3], {"device": "a", "time": 9, "t": 5.0}])
    assert result.rows["rise"].tolist()[1:] == [1.0, 4.0]  # 5 - 1, not 5 - -99
    (aside,) = result.rejected
    assert (aside["time"], aside["step"]) == (2 * 10**9, "rise")
    assert "ZeroDivisionError" in aside["reason"]
    assert result.balance.adds_up


def test_a_rejected_reading_has_its_reason_and_what_it_changed_in_memory_stays() -> None:
    result = (FLOW | rise).replay([ROWS[1], ROWS[3], {"device": "a", "time": 9, "t": 5.0}])
    assert [row["reason"] for row in result.rejected] == ["not this one"]
    assert result.balance.rejected == {("rise", "not this one"): 1}
    assert result.rows["rise"].tolist()[1:] == [2.0]


def test_what_a_reading_tells() -> None:
    seen: list[Any] = []

    def look(r: Any) -> None:
        seen.append((r.device, r.time, r["t"], r["site"], r.get("p"), r.get("none", 7)))

    (FLOW | Map(look)).replay(ROWS[1:2])
    ((device, time, t, site, p, default),) = seen
    assert (device, time, t, site, default) == ("a", 10**9, 1.0, "n", 7)
    assert p != p


def test_it_may_replace_a_sensor_and_later_stages_see_that() -> None:
    flow = (
        FLOW
        | Map(lambda r: {"t": -r["t"]}, name="negate")
        | Map(lambda r: {"twice": 2 * r["t"]}, adds=["twice"], name="twice")
    )
    result = flow.replay(ROWS[:2])
    assert result.rows["t"].tolist() == [0.0, -1.0]
    assert result.rows["twice"].tolist() == [0.0, -2.0]


def test_none_and_missing_columns_are_missing_values() -> None:
    flow = FLOW | Map(lambda r: {"x": None} if r["t"] else None, adds=["x"])
    assert all(value != value for value in flow.replay(ROWS).rows["x"].tolist())


@pytest.mark.parametrize(
    ("fn", "sentence"),
    [
        (lambda r: 5, "step 'map': returned int; return a dict of columns, None or Reject"),
        (lambda r: [1], "returned list"),
        (lambda r: Reject, "returned type"),
        (lambda r: {"y": 1}, """returned a column 'y' it does not declare; @stage(adds="y")"""),
        (lambda r: {"site": 1}, "returned a column 'site' it does not declare"),
        (lambda r: {"x": "warm"}, "step 'map'"),
        (lambda r: {"x": [1]}, "step 'map'"),
    ],
)
def test_a_wrong_return_is_the_steps_mistake_not_the_datas(fn: Any, sentence: str) -> None:
    with pytest.raises(StageError) as error:
        (FLOW | Map(fn, adds=["x"])).replay(ROWS)
    assert sentence in str(error.value)
    assert error.value.step == "map"


def set_undeclared(r: Any, memory: Any) -> None:
    memory.typo = 1


def set_text(r: Any, memory: Any) -> None:
    memory.n = "many"


def set_half(r: Any, memory: Any) -> None:
    memory.n = 0.5


@pytest.mark.parametrize(
    ("fn", "sentence"),
    [
        (set_undeclared, "set memory.typo; declare it: @stage(typo=0.0)"),
        (set_text, "set memory.n to 'many', but n=0 keeps int values"),
        (set_half, "set memory.n to 0.5, but n=0 keeps int values"),
    ],
)
def test_memory_holds_what_was_declared(fn: Any, sentence: str) -> None:
    with pytest.raises(StageError) as error:
        (FLOW | Map(fn, remembers={"n": 0})).replay(ROWS)
    assert sentence in str(error.value)


def test_its_name_is_the_functions() -> None:
    assert rise.step == "rise"
    assert Map(lambda r: None).step == "map"
    assert Map(rise.fn, name="other").step == "other"
    assert stage(name="given")(rise.fn).step == "given"


def test_a_function_that_other_processes_cannot_import_is_warned_of() -> None:
    def local(r: Any) -> None:
        return None

    (text,) = Map(local).warnings()
    assert "local" in text
    assert "is not at module level" in text
    assert Map(lambda r: None).warnings()
    assert list(rise.warnings()) == []


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(FlowError, match="5 is not a function of a reading"):
        (FLOW | Map(5)).plan()  # type: ignore[arg-type]


def test_it_says_which_columns_it_may_read() -> None:
    assert "t" in rise.uses
    assert list(Map(abs).uses) == []


def test_a_column_is_added_once() -> None:
    with pytest.raises(FlowError, match="step 'map' adds a column 't', which exists already"):
        (FLOW | Map(lambda r: None, adds=["t"])).plan()
