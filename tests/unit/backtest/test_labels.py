"""Labels: every form is read in the flow's time, and every mistake is told with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamflow import Batch, Schema
from streamflow.backtest.labels import fit, read_labels
from streamflow.engine.episodes import Incident
from streamflow.errors import FlowError

SCHEMA = Schema("machine", "timestamp", {})
HOUR = 3600 * 10**9
ROWS = Batch.of(
    [{"device": d, "time": t * HOUR, "t": 0.0} for d in ("pump-1", "pump-2") for t in range(10)],
    sensors=["t"],
)
ONE = ROWS.take(ROWS.device == 0)


def write(folder: Path, text: str, name: str = "known.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_csv_file_names_the_device_as_the_flow_does_or_device(tmp_path: Path) -> None:
    for column in ("machine", "device"):
        path = write(tmp_path, f"\ufeff{column},start,end,why\na,1970-01-01T00:00:01Z,2,it broke\n")
        (label,) = read_labels(path, SCHEMA)
        assert (label.device, label.start, label.end) == ("a", 10**9, 2 * 10**9)
        assert label.place == f"{path}, line 2"


def test_nabs_form_is_read(tmp_path: Path) -> None:
    tree = {"a": [["2014-04-10 07:15:00.000000", "2014-04-11 16:45:00.000000"]], "b": []}
    (label,) = read_labels(write(tmp_path, json.dumps(tree), "known.json"), SCHEMA)
    assert (label.device, label.end - label.start) == ("a", 33.5 * HOUR)


def test_an_offset_counts_and_what_has_none_is_in_the_flows_zone() -> None:
    berlin = Schema("machine", "timestamp", {}, timezone="Europe/Berlin")
    times = ("2026-07-01T12:00:00", "2026-07-01T10:00:00Z", "2026-07-01T06:00:00-04:00")
    starts = {read_labels([("a", at, "2026-07-02")], berlin)[0].start for at in times}
    assert len(starts) == 1


def test_labels_of_one_device_need_not_name_it(tmp_path: Path) -> None:
    windows = [
        write(tmp_path, "start,end\n1970-01-01T01:00Z,1970-01-01T02:00Z\n"),
        write(tmp_path, '[["1970-01-01T01:00Z", "1970-01-01T02:00Z"]]', "known.json"),
        [(None, "1970-01-01T01:00Z", "1970-01-01T02:00Z")],
    ]
    for labels in windows:
        known = fit(read_labels(labels, SCHEMA), ONE, SCHEMA)  # type: ignore[arg-type]
        assert known.incidents == [Incident("pump-1", HOUR, 2 * HOUR)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,never,2", "line 3: 'never' is not a time"),
        ("a,1", "line 3: a window needs a start and an end; the columns are machine,start,end"),
        ("a,,2", "line 3: a window needs a start and an end"),
        (",1,2", "line 3: it has no device; the columns are machine,start,end"),
        ("b,2,1", "line 3: the window ends before it starts: 1970-01-01T00:00:02Z to "),
        ("a,50,60", "line 3: this window of 'a' overlaps that of .*known.csv, line 2; make them"),
        ("a,90,99", "line 3: this window of 'a' overlaps that of .*known.csv, line 2"),
    ],
)
def test_a_wrong_line_is_told_with_its_number(tmp_path: Path, text: str, told: str) -> None:
    path = write(tmp_path, f"machine,start,end\na,1,90\n{text}\n")
    with pytest.raises(FlowError, match=f"known.csv, {told}"):
        read_labels(path, SCHEMA)


def test_windows_of_two_devices_may_overlap() -> None:
    assert len(read_labels([("a", 1, 9), ("b", 1, 9), ("a", 10, 11)], SCHEMA)) == 3


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("known.csv", "machine,from,to\n", "it has no columns start and end; the columns are"),
        ("known.csv", "", "it has no columns start and end"),
        ("known.json", "{", "is not JSON"),
        ("known.json", '{"a": "b"}', "'a' has no list of windows; write"),
        ("known.json", '{"a": [["2014-01-01"]]}', "window 1 of 'a': a window is a start and an"),
        ("known.json", "3", "has no list of windows"),
    ],
)
def test_a_file_of_another_form_is_told(tmp_path: Path, name: str, text: str, told: str) -> None:
    with pytest.raises(FlowError, match=told):
        read_labels(write(tmp_path, text, name), SCHEMA)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(FlowError, match=r"known.csv cannot be read: No such file or directory"):
        read_labels(tmp_path / "known.csv", SCHEMA)
    (tmp_path / "known.csv").write_bytes(b"machine,start,end\n\xff,1,2\n")
    with pytest.raises(FlowError, match=r"known.csv are not text in UTF-8"):
        read_labels(tmp_path / "known.csv", SCHEMA)


@pytest.mark.parametrize(
    ("device", "told"),
    [("pump1", "did you mean 'pump-1'?"), ("x", "there is: pump-1, pump-2")],
)
def test_an_unknown_device_is_told_with_what_there_is(device: str, told: str) -> None:
    labels = read_labels([(device, "1970-01-01T01:00Z", "1970-01-01T02:00Z")], SCHEMA)
    with pytest.raises(FlowError, match=f"label 1: the data has no device {device!r}; ") as error:
        fit(labels, ROWS, SCHEMA)
    assert told in str(error.value)


def test_a_label_without_a_device_does_not_fit_data_of_two() -> None:
    labels = read_labels([(None, "1970-01-01T01:00Z", "1970-01-01T02:00Z")], SCHEMA)
    with pytest.raises(FlowError, match="it names no device, and the data has 2; add a column"):
        fit(labels, ROWS, SCHEMA)


def test_a_label_outside_of_its_devices_data_is_noted_and_not_counted() -> None:
    inside = ("pump-1", "1970-01-01T09:00Z", "1970-01-03")
    labels = read_labels([inside, ("pump-2", "1970-01-02", "1970-01-03")], SCHEMA)
    known = fit(labels, ROWS, SCHEMA)
    assert [incident.device for incident in known.incidents] == ["pump-1"]
    (note,) = known.notes
    assert note == (
        "label 2: 1970-01-02T00:00:00Z to 1970-01-03T00:00:00Z lies outside of the data of "
        "'pump-2', which is from 1970-01-01T00:00:00Z to 1970-01-01T09:00:00Z, and is not counted"
    )


def test_labels_that_all_lie_outside_are_an_error_that_speaks_of_the_time_zone() -> None:
    labels = read_labels([("pump-1", "1970-01-01T10:00:00", "1970-01-01T11:00:00")], SCHEMA)
    with pytest.raises(FlowError, match=r"no label lies in the data: .* taken to be UTC, the flow"):
        fit(labels, ROWS, SCHEMA)
