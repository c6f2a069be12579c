from __future__ import annotations

from typing import Any

import pytest

from streamflow import Alert, Detect, Flow, Impute, Map, Stage, Validate, ValueNovelty
from streamflow.engine.rows import Rows
from streamflow.errors import FlowError
from streamflow.testing import Collect

FLOW = Flow("test", sensors=["t"], tags=["site"])


def test_stages_and_row_sinks_keep_their_order() -> None:
    flow = FLOW | Rows() | Validate() | Collect(name="x") | Alert("t > 1") | Collect(of="alerts")
    steps = flow.plan().steps
    assert [step.step if isinstance(step, Stage) else step.sink.step for step in steps] == [
        "validate",
        "x",
        "alert",
    ]
    assert [tap.sink.step for tap in flow.plan().taps] == ["x", "collect_alerts"]


def test_columns_exist_from_where_they_are_added() -> None:
    plan = (FLOW | Detect(ValueNovelty()) | Alert("score > 1")).plan()
    assert plan.schema.columns == ("t",)
    assert plan.outputs.columns == ("t", "score", "alert")
    with pytest.raises(FlowError, match="uses 'score', which does not exist here"):
        (FLOW | Alert("score > 1") | Detect(ValueNovelty())).plan()
    with pytest.raises(FlowError, match="where='score > 1' uses 'score'"):
        (FLOW | Collect(where="score > 1") | Detect(ValueNovelty())).plan()


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ([Validate(), Rows()], "source 'rows' comes after a stage; sources come first"),
        ([Collect(), Rows()], "source 'rows' comes after a stage; sources come first"),
        ([Validate(), Validate()], "two steps are called 'validate'; give this stage a name="),
        ([Rows(), Rows()], "two steps are called 'rows'; give this source a name="),
        ([Collect(), Collect()], "two steps are called 'collect_rows'; give this sink a name="),
        ([Rows(name="x"), Impute("1h", name="x")], "two steps are called 'x'"),
        ([Impute("1h", name="x"), Collect(name="x")], "two steps are called 'x'"),
        ([Validate(name="a.b")], "a stage is called 'a.b'; a name is made of letters"),
        ([Rows(name="_x")], "a source is called '_x'"),
        ([Collect(name="a b")], "a sink is called 'a b'"),
        ([Collect(of="row")], "no outlet of='row'; did you mean 'rows'?"),
        ([Collect(of="alerts", where="t > 1")], "where= chooses rows; this sink takes alerts"),
        ([Collect(where="t >")], "'t >' is not an expression"),
        ([Collect(where="site > 1")], "'site' is a tag, not a number"),
        ([Map(lambda r: None, adds=["t"])], "adds a column 't', which exists already"),
        ([Map(lambda r: None, adds=["site"])], "adds a column 'site', which exists already"),
        ([Map(lambda r: None, adds=["time"])], "can be called 'time'"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_parts_that_do_not_go_together_are_named(parts: list[Any], sentence: str) -> None:
    flow = FLOW
    for part in parts:
        flow = flow | part
    with pytest.raises(FlowError) as error:
        flow.plan()
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_planning_does_not_change_the_stages() -> None:
    detect, impute = Detect(ValueNovelty()), Impute("1h")
    (FLOW | impute | detect).plan()
    assert (impute.sensors, detect.sensors) == ((), ())
