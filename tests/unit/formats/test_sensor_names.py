"""Devices that call one sensor by different names, in every format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streamflow import Flow, Json, Messages, MsgPack, Sensor
from streamflow.errors import FlowError

FLOW = Flow("names", sensors={"t": Sensor(names=["temp", "T1"]), "p": Sensor()})
ROWS: list[dict[str, Any]] = [
    {"device": "a", "time": 0, "t": 1.0, "p": 5.0},
    {"device": "b", "time": 1, "temp": 2.0},
    {"device": "c", "time": 2, "T1": 3.0, "temp": None},
    {"device": "d", "time": 3, "t": 4.0, "T1": 9.0},
    {"device": "e", "time": 4},
]
EXPECTED = [1.0, 2.0, 3.0, 4.0, float("nan")]


@pytest.mark.parametrize("wire", [Json, MsgPack])
def test_a_message_has_the_first_name_that_holds_something(wire: Any) -> None:
    encode = msgspec.json.encode if wire is Json else msgspec.msgpack.encode
    messages = Messages([encode(row) for row in ROWS], places=range(len(ROWS)))
    batch = wire().decoder(FLOW.schema).decode(messages, dead=print).batch
    np.testing.assert_array_equal(batch["t"], EXPECTED)
    assert list(batch.columns) == ["t", "p"]


def test_rows_do_too() -> None:
    np.testing.assert_array_equal(FLOW.replay(ROWS).rows["t"], EXPECTED)


def test_what_is_no_number_under_one_name_is_invalid_and_no_other_name_hides_it() -> None:
    rows = [{"device": "a", "time": 0, "t": "hot", "temp": 2.0}]
    result = FLOW.replay([*rows, {"device": "a", "time": 1, "temp": "hot"}])
    assert np.isnan(result.rows["t"]).all()
    assert result.rows.quality["t"].tolist() == [1, 1]


def test_a_csv_file_may_have_any_of_the_names(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("device,time,T1,p\na,0,3.5,1\nb,1,,2\n")
    rows = FLOW.replay(path).rows
    np.testing.assert_array_equal(rows["t"], [3.5, float("nan")])


def test_a_csv_file_with_none_of_them_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("device,time,tt,p\na,0,3.5,1\n")
    with pytest.raises(FlowError, match="no column 't' in the header; did you mean 'tt'"):
        FLOW.replay(path)


def test_so_for_parquet(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"device": ["a"], "time": [0], "temp": [3.5], "p": [1]}), path)
    assert FLOW.replay(path).rows["t"].tolist() == [3.5]
    pq.write_table(pa.table({"device": ["a"], "time": [0], "p": [1]}), path)
    with pytest.raises(FlowError, match="no column 't'"):
        FLOW.replay(path)


def test_two_fields_cannot_share_a_name() -> None:
    with pytest.raises(FlowError, match="'p' is named twice among its fields"):
        Flow("names", sensors={"t": Sensor(names=["p"]), "p": Sensor()})


def test_names_are_a_list() -> None:
    with pytest.raises(FlowError, match=r'give a list: \["temp"\]'):
        Sensor(names="temp")
