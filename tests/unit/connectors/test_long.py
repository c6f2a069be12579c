from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from streamflow_connectors import files, long

from streamflow import Flow, Resample, Sensor
from streamflow.errors import FlowError

FLOW = Flow("log", sensors={"bar": Sensor(), "t": Sensor(names=["temp"])}, tags=["unit"])
LINES = """\
device,time,name,value,unit
p1,0,bar,4.1,bar
p1,0,temp,20.5,degC
p1,0,kW,7,kW
p1,10,bar,oops,bar
p1,10,t,,degC
,10,t,21,degC
p1,20,,21,degC
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text(LINES)
    return path


def rows(flow: Flow) -> list[dict[str, Any]]:
    return list(flow.replay().rows.rows())


def test_each_row_is_a_reading_with_its_own_sensor_alone(log: Path) -> None:
    got = rows(FLOW | long.rows(files.csv(log)))
    assert [(row["bar"], row["t"], row["unit"]) for row in got] == [
        (4.1, None, "bar"),
        (None, 20.5, "degC"),
        (None, None, "bar"),
        (None, None, "degC"),
    ]
    assert [row.get("quality") for row in got] == [None, None, {"bar": ["invalid"]}, None]


def test_sensors_that_the_flow_does_not_know_are_passed_over_and_bad_rows_are_dead(
    log: Path,
) -> None:
    result = (FLOW | long.rows(files.csv(log))).replay()
    assert result.balance.lines()[0] == "messages  7 received = 6 decoded + 1 dead"
    (letter,) = result.dead_letters
    assert letter.reason == "device: it has no device"


def test_resample_brings_the_sensors_together(log: Path) -> None:
    (first, *_) = rows(FLOW | long.rows(files.csv(log)) | Resample(every="10s"))
    assert (first["bar"], first["t"]) == (4.1, 20.5)


def test_json_lines_and_parquet_are_read_alike(log: Path, tmp_path: Path) -> None:
    lines = tmp_path / "log.jsonl"
    lines.write_text(
        '{"device": "p1", "time": 0, "sensor": "bar", "v": 4.1}\n'
        '{"device": "p1", "time": 1, "sensor": "t", "v": 20.5}\n'
    )
    table = pa.table({"device": ["p1"] * 2, "time": [0, 1], "sensor": ["bar", "t"]})
    table = table.append_column("v", pa.array([4.1, 20.5]))
    parquet.write_table(table, tmp_path / "log.parquet")
    flow = Flow("log", sensors=["bar", "t"])
    for source in (files.jsonl(lines), files.parquet(tmp_path / "log.parquet")):
        got = rows(flow | long.rows(source, by="sensor", value="v"))
        assert [(row["bar"], row["t"]) for row in got] == [(4.1, None), (None, 20.5)]


def test_the_tag_of_the_name_stays_if_the_flow_has_it(log: Path) -> None:
    flow = Flow("log", sensors=["bar", "t"], tags=["name"])
    assert [row["name"] for row in rows(flow | long.rows(files.csv(log)))] == ["bar", "bar", "t"]


def test_it_resumes_and_promises_as_its_source_does(log: Path) -> None:
    inner = files.csv(log)
    source = long.rows(inner)
    assert source.partitions() == inner.partitions()
    assert (source.step, source.promise, source.window) == (inner.step, "replay", inner.window)
    assert long.rows(inner, name="log").step == "log"
    reader: Any = source.open("0", None)
    reader.poll(3)
    again: Any = source.open("0", reader.position())
    assert len(again.poll(10).payloads) == 4


@pytest.mark.parametrize(
    ("by", "value", "says"),
    [
        ("sensor", "value", "no column 'sensor' in the header"),
        ("name", "v", "no column 'v' in the header"),
        ("name", "name", "by='name' and value='name' are fields beside device and time"),
        ("device", "value", "by='device' and value='value' are fields beside device and time"),
    ],
)
def test_wrong_fields_are_said_before_anything_runs(
    log: Path, by: str, value: str, says: str
) -> None:
    with pytest.raises(FlowError, match=says):
        (FLOW | long.rows(files.csv(log), by=by, value=value)).replay()
