from __future__ import annotations

from pathlib import Path

import pytest

from streamflow import Flow, Maintenance
from streamflow.errors import FlowError

FLOW = Flow("test", sensors=["t"])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "windows.csv"


def marked(stage: Maintenance, device: str, *times: str, flow: Flow = FLOW) -> list[float]:
    rows = [{"device": device, "time": time, "t": 1.0} for time in times]
    got: list[float] = (flow | stage).replay(rows).rows["maintenance"].tolist()
    return got


def test_the_start_is_in_the_window_and_its_end_is_not(table: Path) -> None:
    table.write_text("device,start,end\na,2026-01-01T10:00Z,2026-01-01T11:00Z\n")
    edges = (
        "2026-01-01T09:59:59Z",
        "2026-01-01T10:00Z",
        "2026-01-01T10:59:59Z",
        "2026-01-01T11:00Z",
    )
    assert marked(Maintenance(table), "a", *edges) == [0, 1, 1, 0]
    assert marked(Maintenance(str(table)), "b", *edges) == [0, 0, 0, 0]


def test_a_star_is_all_devices_beside_their_own_windows(table: Path) -> None:
    table.write_text(
        "end,reason,start,device\n2026-01-03,stop,2026-01-02,*\n2026-01-06,,2026-01-05,a\n"
        "2026-01-02T12:00Z,,2026-01-01T12:00Z,a\n"
    )
    days = [f"2026-01-0{day}T06:00Z" for day in range(1, 7)]
    assert marked(Maintenance(table), "a", *days) == [0, 1, 0, 0, 1, 0]
    assert marked(Maintenance(table), "b", *days) == [0, 1, 0, 0, 0, 0]


def test_times_without_a_zone_are_in_that_of_the_flow(table: Path) -> None:
    table.write_text("device,start,end\na,2026-07-01T10:00,2026-07-01T11:00\n")
    flow = Flow("test", sensors=["t"], timezone="Europe/Berlin")
    assert marked(Maintenance(table), "a", "2026-07-01T08:30Z", "2026-07-01T10:30Z", flow=flow) == [
        1,
        0,
    ]


def test_windows_that_touch_are_two(table: Path) -> None:
    table.write_text("device,start,end\na,2026-01-02,2026-01-03\na,2026-01-01,2026-01-02\n")
    assert marked(Maintenance(table), "a", "2026-01-01T12:00Z", "2026-01-02T00:00Z") == [1, 1]


def test_a_file_without_windows_marks_nothing(table: Path) -> None:
    table.write_text("device,start,end\n")
    assert marked(Maintenance(table), "a", "2026-01-01") == [0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: the columns are device,start,end"),
        ("device,start\n", "line 1: the columns are device,start,end"),
        ("device,start,end\na,2026-01-01\n", "line 2: it has more or fewer fields than the header"),
        ("device,start,end\na,2026-01-01,2026-01-02,x\n", "line 2: it has more or fewer fields"),
        ("device,start,end\n,2026-01-01,2026-01-02\n", "line 2: it names no device; * is all"),
        ("device,start,end\na,2026-01-01,soon\n", "line 2: end: 'soon' is not a time"),
        ("device,start,end\na,,2026-01-02\n", "line 2: start: it has no time"),
        (
            "device,start,end\n\na,2026-01-02,2026-01-01\n",
            "line 3: it ends at 2026-01-01, not after its start 2026-01-02",
        ),
        ("device,start,end\na,2026-01-02,2026-01-02\n", "line 2: it ends at 2026-01-02, not after"),
        (
            "device,start,end\na,2026-01-02,2026-01-04\nb,2026-01-03,2026-01-05\n"
            "a,2026-01-01,2026-01-03\n",
            "line 4: this window of 'a' overlaps that of line 2; make them one",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(table: Path, text: str, sentence: str) -> None:
    table.write_text(text)
    with pytest.raises(FlowError) as error:
        (FLOW | Maintenance(table)).plan()
    assert str(error.value).startswith(f"step 'maintenance': {table}, {sentence}")


def test_a_file_that_is_none_is_refused(table: Path) -> None:
    for path in (table, table.parent):
        with pytest.raises(FlowError, match="it cannot be read: "):
            (FLOW | Maintenance(path)).plan()
    table.write_bytes(b"device,start,end\n\xff,2026-01-01,2026-01-02\n")
    with pytest.raises(FlowError, match="is not CSV in UTF-8"):
        (FLOW | Maintenance(table)).plan()
