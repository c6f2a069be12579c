from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from river import anomaly, drift

from streamflow import Alert, Detect, Flow, Impute, MonitorDrift, Sensor, Validate
from streamflow.engine.rows import Rows
from streamflow.errors import FlowError
from streamflow.testing import Collect

FLOW = Flow("test", sensors=["t"])
HOT = [{"device": "a", "time": i, "t": t} for i, t in enumerate([20, 31, 20])]


def test_composing_leaves_both_flows_as_they_were() -> None:
    base = FLOW | Validate()
    one, other = base | Alert("t > 1"), base | Impute("1h")
    assert FLOW.parts == ()
    assert base.parts == (Validate(),)
    assert one.parts == (Validate(), Alert("t > 1"))
    assert other.parts == (Validate(), Impute("1h"))


def composed(limit: float = 1.0, seed: int = 7, name: str = "test") -> Flow:
    return (
        Flow(name, sensors={"t": Sensor("degC", low=0)}, tags=["site"])
        | Rows(HOT)
        | Validate()
        | Detect(anomaly.HalfSpaceTrees(seed=seed))
        | MonitorDrift("t", drift.ADWIN())
        | Alert(f"score > {limit}", hold="5m")
        | Collect()
    )


def test_flows_are_values() -> None:
    assert composed() == composed()
    assert composed() != composed(limit=2.0)
    assert composed() != composed(seed=8)
    assert composed() != composed(name="other")
    assert composed() != composed() | Collect(name="more")


def test_replaying_changes_no_flow() -> None:
    flow = composed()
    flow.replay()
    flow.plan()
    assert flow == composed()


def test_a_flow_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        FLOW.name = "other"  # type: ignore[misc]


def test_sensors_may_be_names_only() -> None:
    assert Flow("test", sensors=["t", "p"]) == Flow("test", sensors={"t": Sensor(), "p": Sensor()})
    assert Flow("test", sensors=("t",), tags=["a", "b"]).tags == ("a", "b")


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"name": ""}, "a name is made of letters, digits, _ and -"),
        ({"name": "a b"}, "flow 'a b': a name is made of letters"),
        ({"name": "a/b"}, "a name is made of letters"),
        ({"sensors": []}, 'give sensors=["temperature", ...], at least one'),
        ({"sensors": {}}, "at least one"),
        ({"sensors": "t"}, 'give sensors=["temperature", ...]'),
        ({"sensors": {"t": "degC"}}, "sensor 't' is 'degC'; write it as Sensor(...)"),
        ({"sensors": {"t": (0, 1)}}, "sensor 't' is (0, 1); write it as Sensor(...)"),
        ({"sensors": ["t", "t"], "tags": ["x", "x"]}, "'x' is named twice among its fields"),
        ({"tags": ["t"]}, "'t' is named twice among its fields"),
        ({"device": "t"}, "'t' is named twice among its fields"),
        ({"time": "device"}, "'device' is named twice among its fields"),
        ({"tags": "site"}, 'give tags=["site"], a list'),
        ({"device": "machine", "tags": ["device"]}, "can be called 'device'"),
        ({"time": "at", "sensors": ["time"]}, "can be called 'time'"),
        ({"sensors": ['a"b']}, "cannot name a field"),
        ({"sensors": ["a\nb"]}, "cannot name a field"),
        ({"shards": 0}, "shards=0; at least 1"),
        ({"shards": 65_537}, "shards=65537; at least 1, at most 65,536"),
        ({"fault_limit": 10}, "fault_limit=10; a share, 0 to 1"),
        ({"timezone": "Mars"}, "no time zone 'Mars'; write it like Europe/Berlin or UTC"),
    ],
)
def test_what_is_wrong_is_said_where_it_is_written(more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FlowError) as error:
        Flow(**{"name": "test", "sensors": ["t"], **more})
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("part", "called"),
    [
        (5, "5"),
        (None, "None"),
        ("files.csv", "'files.csv'"),
        (Validate, "Validate"),
        (len, "len"),
        (anomaly.HalfSpaceTrees(seed=1), "HalfSpaceTrees"),
        (FLOW, "Flow"),
    ],
    ids=["number", "none", "text", "class", "function", "model", "flow"],
)
def test_what_is_no_stage_is_refused_with_what_to_do(part: Any, called: str) -> None:
    with pytest.raises(FlowError) as error:
        FLOW | part
    text = " ".join(str(error.value).split())
    assert text.startswith("flow 'test': " + called[:6])
    assert text.endswith(
        "make one of a function with @stage(), and wrap a River detector in Detect(...)"
    )


def test_without_a_source_it_says_what_to_give() -> None:
    with pytest.raises(FlowError, match="flow 'test' has no source; give replay a file or rows"):
        FLOW.replay()
    with pytest.raises(FlowError, match=r"flow 'test' has no source; pipe one first, as in Flow"):
        (FLOW | Validate()).run()


@pytest.mark.parametrize("workers", [-1, -5])
def test_a_negative_number_of_workers_is_refused(workers: int) -> None:
    with pytest.raises(FlowError, match=f"workers={workers}"):
        FLOW.replay(HOT, workers=workers)


def test_it_replays_files_rows_batches_and_sources(tmp_path: Path) -> None:
    path = tmp_path / "hot.csv"
    path.write_text("device,time,t\na,0,20\na,1,31\na,2,20\n")
    rows = FLOW.replay(HOT).rows
    for data in (path, str(path), rows, Rows(HOT)):
        assert FLOW.replay(data).rows == rows
    assert (FLOW | Rows(HOT)).replay().rows == rows


def test_a_file_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FlowError, match=r"hot.xlsx: its ending does not say what it is"):
        FLOW.replay(tmp_path / "hot.xlsx")


ALERT = FLOW | Alert("t > 30")


def test_a_flow_tests_itself() -> None:
    result = ALERT.test(
        HOT, expect=[{"device": "a", "status": "opened", "t": 31.0}, {"status": "closed"}]
    )
    assert len(result.rows) == 3
    ALERT.test(HOT[:1], expect=[])
    ALERT.test(HOT, expect=[], kind="drift")


@pytest.mark.parametrize(
    ("expect", "first", "told"),
    [
        ([], "expected 0 events of kind 'alert', got 2", "'status': 'opened'"),
        (
            [{}, {}, {"device": "b"}],
            "expected 3 events of kind 'alert', got 2",
            "missing: {'device': 'b'}",
        ),
        ([{"status": "closed"}, {}], "expected 2 events", "<- expected {'status': 'closed'}"),
        ([{"stat": "opened"}, {}], "expected 2 events", "<- expected {'stat': 'opened'}"),
        ([{"t": 30.9}, {}], "expected 2 events", "<- expected {'t': 30.9}"),
    ],
)
def test_a_failed_test_shows_what_came_and_what_did_not(
    expect: list[Any], first: str, told: str
) -> None:
    with pytest.raises(AssertionError) as error:
        ALERT.test(HOT, expect=expect)
    lines = str(error.value).splitlines()
    assert lines[0].startswith(first)
    assert any(told in line for line in lines[1:])
    assert sum("'kind': 'alert'" in line for line in lines) == 2
