"""Files: what a source gives, where it resumes, how it follows; what a sink leaves behind."""

from __future__ import annotations

import csv
import gzip
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from pyarrow import parquet
from streamflow_connectors import _lines, files

from streamflow import (
    Alert,
    Batch,
    DeadLetter,
    Event,
    Flow,
    Messages,
    Reader,
    Source,
    SystemClock,
    Validate,
    iso,
)
from streamflow.core.clock import ManualClock
from streamflow.engine.intake import Intake
from streamflow.engine.local import replay
from streamflow.errors import ConnectorError, EndOfStream, FlowError

FLOW = Flow("machines", device="machine", time="timestamp", sensors=["temperature"], tags=["site"])
SCHEMA = FLOW.schema
HEADER = b"machine,timestamp,temperature,site\n"
START = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = 10**9


def at(second: int) -> str:
    return f"{START + timedelta(seconds=second):%Y-%m-%dT%H:%M:%SZ}"


def lines(count: int, first: int = 0) -> bytes:
    return b"".join(b"m%d,%s,%d.5,hall\n" % (i % 3, at(i).encode(), i) for i in range(first, count))


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {"machine": f"m{i % 3}", "timestamp": at(i), "temperature": i + 0.5, "site": "hall"}
        for i in range(count)
    ]


def jsonl(count: int) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows(count))


Item = tuple[int | str, bytes | str]


def taken(got: Any) -> list[Item]:
    """What one poll brought, as (place, payload); a dead letter by its reason."""
    if isinstance(got, Messages):
        return list(zip(got.places, got.payloads, strict=True))
    return [] if got is None else [(got.place, got.reason)]


def steps(reader: Reader, limit: int) -> list[tuple[list[Item], Any]]:
    """Every poll until the end: what came, and the position behind it."""
    out = []
    while True:
        try:
            items = taken(reader.poll(limit))
        except EndOfStream:
            reader.close()
            return out
        out.append((items, reader.position()))


def everything(source: Source, position: Any = None) -> list[Item]:
    reader = source.open("0", position)
    assert isinstance(reader, Reader)
    return [item for items, _ in steps(reader, 4096) for item in items]


# Sources: reading and resuming


def write_parquet(path: Path, count: int) -> Source:
    parquet.write_table(pa.Table.from_pylist(rows(count)), path, row_group_size=5)
    return files.parquet(path)


def write_gzip(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data))
    return path


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


LONG = b"x" * 150
MESSY = (
    b"\xef\xbb\xbf" + HEADER + lines(3) + b"\n  \r\n" + LONG + b"\r\n" + lines(5, 3) + b"\n"
    + lines(9, 5).replace(b"\n", b"\r\n").removesuffix(b"\r\n")
)  # fmt: skip
SOURCES: dict[str, Callable[[Path], Source]] = {
    "csv": lambda d: files.csv(write(d / "a.csv", MESSY)),
    "csv.gz": lambda d: files.csv(write_gzip(d / "a.csv.gz", MESSY)),
    "jsonl": lambda d: files.jsonl(write(d / "a.jsonl", jsonl(9))),
    "jsonl.gz": lambda d: files.jsonl(write_gzip(d / "a.jsonl.gz", b"\n" + jsonl(9))),
    "parquet": lambda d: write_parquet(d / "a.parquet", 23),
}


@pytest.mark.parametrize("chunk", [7, 120])
@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize("kind", SOURCES)
def test_resuming_at_any_position_gives_exactly_the_rest(
    kind: str, limit: int, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_lines, "MAX_LINE", 120)
    monkeypatch.setattr(_lines, "CHUNK", 120)
    monkeypatch.setattr(_lines, "KEPT", 10)
    source = SOURCES[kind](tmp_path)
    whole = everything(source)
    assert len(whole) == {"csv": 10, "csv.gz": 10, "parquet": 23}.get(kind, 9)
    monkeypatch.setattr(_lines, "CHUNK", chunk)
    reader = source.open("0", None)
    assert isinstance(reader, Reader)
    done: list[Item] = []
    for items, position in steps(reader, limit):
        done += items
        if not items:
            continue
        assert everything(source, json.loads(json.dumps(position))) == whole[len(done) :]
    assert done == whole


def test_places_are_line_numbers_and_a_long_line_is_a_dead_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_lines, "MAX_LINE", 120)
    monkeypatch.setattr(_lines, "CHUNK", 120)
    got = everything(files.csv(write(tmp_path / "a.csv", MESSY)))
    assert [place for place, _ in got] == [2, 3, 4, 7, 8, 9, 11, 12, 13, 14]
    assert got[3] == (7, "a line of 151 bytes, longer than 120")
    assert not any(isinstance(what, bytes) and what.endswith(b"\r") for _, what in got)
    assert got[0][1] == b"m0,2026-01-01T00:00:00Z,0.5,hall"


def test_a_long_line_is_never_held_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b"[" + b"1," * (5 << 20) + b"1]\n" + jsonl(1))
    reader = files.jsonl(path).open("0", None)
    polls = 0
    while (got := reader.poll(4096)) is None:
        polls += 1
        assert reader.position() == [0, 1]
        assert reader.next_poll() == 0
        assert sys.getsizeof(reader._lines._tail) < 2 * _lines.MAX_LINE
    assert polls == 10
    assert isinstance(got, DeadLetter)
    assert got.reason == "a line of 10,485,763 bytes, longer than 1,048,576"
    assert got.payload == b"[" + b"1," * 511 + b"1"
    assert taken(reader.poll(4096)) == [(2, jsonl(1).strip())]


def test_progress_goes_from_none_to_one(tmp_path: Path) -> None:
    for make in SOURCES.values():
        reader = make(tmp_path).open("0", None)
        seen = []
        try:
            while True:
                reader.poll(4)
                seen.append(reader.progress())
        except EndOfStream:
            assert seen == sorted(seen)
            assert 0 < seen[0] <= seen[-1] == reader.progress() == 1
            reader.close()


def test_history_arrives_at_its_event_time(tmp_path: Path) -> None:
    result = FLOW.replay(write(tmp_path / "a.csv", HEADER + lines(9)))
    assert result.rows.arrived.tolist() == result.rows.time.tolist()


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ("csv", "csv"), ("csv.gz", "csv"), ("TSV", "csv"), ("tsv.gz", "csv"), ("jsonl", "jsonl"),
        ("ndjson", "jsonl"), ("json", "jsonl"), ("json.gz", "jsonl"), ("parquet", "parquet"),
    ],
)  # fmt: skip
def test_a_source_is_chosen_by_its_ending(ending: str, kind: str) -> None:
    assert files.source(Path(f"a.b.{ending}")).step == kind


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.gz", "a.parquet.gz"])
def test_an_unknown_ending_names_the_known(name: str) -> None:
    with pytest.raises(FlowError, match=r"a.*: its ending does not say .* \.csv, .* and \.parquet"):
        files.source(Path(name))


def test_tabs_and_semicolons(tmp_path: Path) -> None:
    data = HEADER + lines(4)
    tabs = FLOW.replay(write(tmp_path / "a.tsv", data.replace(b",", b"\t")))
    other = files.csv(write(tmp_path / "a.csv", data.replace(b",", b";")), delimiter=";")
    assert tabs.rows == FLOW.replay(other).rows
    assert tabs.rows["temperature"].tolist() == [0.5, 1.5, 2.5, 3.5]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: files.csv("a.csv", speed="fast"), 'speed=\'fast\'; write "max", "1x"'),
        (lambda: files.parquet("a.parquet", speed="0x"), "speed='0x'; write"),
        (lambda: files.csv("a.csv", delimiter=""), "delimiter='' must be one character"),
        (lambda: files.csv("a.csv.gz", follow=True), "cannot be followed: it is compressed"),
        (lambda: files.jsonl("a", follow=True, speed="1x"), "is followed, so it has no speed="),
    ],
)
def test_a_source_that_makes_no_sense_cannot_be_made(
    make: Callable[[], object], words: str
) -> None:
    with pytest.raises(FlowError, match=r"^source '\w+': a[^ ]* ?") as error:
        make()
    assert words in str(error.value)


def test_a_shrunken_file_is_not_resumed(tmp_path: Path) -> None:
    source = files.csv(write(tmp_path / "a.csv", HEADER + lines(2)))
    with pytest.raises(ConnectorError, match="has 101 bytes, where 500 had been read: it is an"):
        source.open("0", [500, 12]).poll(1)


def test_a_file_that_vanishes_before_it_is_opened(tmp_path: Path) -> None:
    with pytest.raises(ConnectorError, match=r"a.csv cannot be read: No such file"):
        files.csv(tmp_path / "a.csv").open("0", None).poll(1)


def test_gzip_that_is_cut_off_gives_what_is_whole(tmp_path: Path) -> None:
    packed = gzip.compress(HEADER + lines(20_000))
    result = FLOW.replay(write(tmp_path / "a.csv.gz", packed[: len(packed) // 2]))
    (dead,) = result.dead_letters
    reader = files.csv(tmp_path / "a.csv.gz").open("0", None)
    assert isinstance(reader, Reader)
    *_whole, (_, before), (_, after) = steps(reader, 4096)
    assert before == [after[0] - len(dead.payload), after[1] - 1]
    assert dead.reason.startswith("gzip is cut off or damaged here: Compressed file ended before")
    assert dead.place == result.balance.decoded + 2
    assert 9_000 < result.balance.decoded < 11_000
    assert result.balance.adds_up


# Parquet


def table_of(**columns: Any) -> pa.Table:
    n = len(next(iter(columns.values()), "x"))
    usual = {
        "machine": ["m"] * n,
        "timestamp": [START] * n,
        "temperature": [1.0] * n,
        "site": [""] * n,
    }
    return pa.table({**usual, **columns})


@pytest.mark.parametrize(
    "time",
    [
        pa.array([START, START + timedelta(seconds=1)], pa.timestamp("ns", "UTC")),
        pa.array([START, START + timedelta(seconds=1)], pa.timestamp("us", "Asia/Tokyo")),
        pa.array([datetime(2026, 1, 1), datetime(2026, 1, 1, 0, 0, 1)], pa.timestamp("s")),
        pa.array([1767225600000, 1767225601000]),
        pa.array(["2026-01-01 00:00:00", "2026-01-01T01:00:01+01:00"]).dictionary_encode(),
    ],
    ids=["ns", "us", "s", "epoch", "text"],
)
def test_parquet_times_of_any_kind(time: pa.Array, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(table_of(timestamp=time), path)
    start = 1767225600 * SECOND
    assert FLOW.replay(path).rows.time.tolist() == [start, start + SECOND]


def test_parquet_local_times_are_in_the_zone_of_the_flow(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    fine = pa.array([np.datetime64("2026-07-01T02:00:00.123456789")], pa.timestamp("ns"))
    parquet.write_table(table_of(timestamp=fine), path)
    berlin = replace(FLOW, timezone="Europe/Berlin").replay(path)
    assert berlin.rows.time.view("M8[ns]").astype(str).tolist() == ["2026-07-01T00:00:00.123456789"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([1, None], pa.int64()), [1, None]),
        (pa.array([1.5, None], pa.float16()), [1.5, None]),
        (pa.array([True, False]), [1, 0]),
        (pa.array(["7.5", "hot"]).dictionary_encode(), [7.5, None]),
        (pa.array([1.25, 2]).cast(pa.decimal128(6, 2)), [1.25, 2]),
        (pa.nulls(2), [None, None]),
    ],
    ids=["int", "half", "bool", "text", "decimal", "null"],
)
def test_parquet_numbers_of_any_kind(
    values: pa.Array, expected: list[float | None], tmp_path: Path
) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(table_of(temperature=values), path)
    got = FLOW.replay(path)
    assert [row["temperature"] for row in got.rows.rows()] == expected
    assert got.balance.adds_up
    assert got.rows.tags["site"].list() == [None, None]
    assert ("hot" in str(values)) == bool(got.balance.flagged)


def test_parquet_gives_what_csv_gives(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "a.parquet", 3_000)
    from_csv = FLOW.replay(write(tmp_path / "a.csv", HEADER + lines(3_000)))
    assert FLOW.replay(source).rows == from_csv.rows
    assert from_csv.rows.tags["site"].list()[:2] == ["hall", "hall"]


def test_parquet_resumes_deep_in_a_row_group(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"n": pa.array(range(140_000))}), path, row_group_size=139_000)
    for position in (65_536, 70_000, 138_999, 139_000, 139_999):
        got = files.parquet(path).open("0", position).poll(1)
        assert taken(got) == [(position + 1, b'{"n":%d}' % position)]


def test_parquet_rows_that_are_no_readings_are_dead_letters(tmp_path: Path) -> None:
    stamps = [0, None, 2**62, 3, 4]
    path = tmp_path / "a.parquet"
    parquet.write_table(
        table_of(
            machine=["a", "b", "c", None, " "], timestamp=pa.array(stamps, pa.timestamp("us"))
        ),
        path,
    )
    result = FLOW.replay(path)
    assert [(dead.place, dead.reason) for dead in result.dead_letters] == [
        (2, "timestamp: it has no time"),
        (3, "timestamp: 148108-07-06T14:00:27.387904 is a time outside the years 1678 to 2261"),
        (4, "machine: it has no device"),
        (5, "machine: ' ' is not a device"),
    ]
    assert json.loads(result.dead_letters[2].payload) == {
        "machine": None, "timestamp": "1970-01-01 00:00:00.000003", "temperature": 1.0, "site": "",
    }  # fmt: skip
    assert result.balance.adds_up
    assert result.balance.lines()[0] == "messages  5 received = 1 decoded + 4 dead"


def test_parquet_that_is_damaged_in_its_middle(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "a.parquet", 20)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    start = parquet.ParquetFile(tmp_path / "a.parquet").metadata.row_group(2).column(0)
    for at_byte in range(start.dictionary_page_offset, start.dictionary_page_offset + 40):
        data[at_byte] ^= 0xFF
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(ConnectorError) as error:
        FLOW.replay(source)
    assert "a.parquet cannot be read behind row 10: " in str(error.value)
    assert "\n" not in str(error.value)


def test_parquet_device_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(table_of(machine=pa.array([b"\xff", b"ok"], pa.binary())), path)
    result = FLOW.replay(path)
    assert result.dead_letters[0].reason == "machine: b'\\xff' is not a device"
    assert result.balance.adds_up


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (table_of(temperature=[[1.0]]), "column 'temperature' holds list<"),
        (table_of(machine=[1.5]), "column 'machine' holds double, which is no string"),
        (table_of(timestamp=[timedelta(1)]), "'timestamp' holds duration[us], which is no time"),
        (table_of().rename_columns(["machine", "timestamp", "temprature", "site"]),
         "no column 'temperature'; did you mean 'temprature'?"),
        (table_of().slice(1), "is empty: there is nothing to replay"),
    ],
    ids=["list", "float", "duration", "name", "empty"],
)  # fmt: skip
def test_parquet_that_cannot_serve(table: pa.Table, words: str, tmp_path: Path) -> None:
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(FlowError) as error:
        FLOW.replay(tmp_path / "a.parquet")
    assert words in str(error.value)


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_parquet(tmp_path / "a.parquet", 1)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FlowError, match=r'needs pyarrow: pip install "streamflow-iot\[parquet\]"'):
        source.check(SCHEMA)


# Following


class Tail:
    """A followed file, and what was appended to it."""

    def __init__(self, path: Path, position: Any = None) -> None:
        self.path = path
        source = files.csv(path, follow=True)
        source.check(SCHEMA)
        opened = source.open("0", position)
        assert isinstance(opened, Reader)
        self.reader = opened

    def add(self, data: bytes) -> list[Item]:
        with self.path.open("ab") as file:
            file.write(data)
        return self.look()

    def look(self, times: int = 5) -> list[Item]:
        return [item for _ in range(times) for item in taken(self.reader.poll(4096))]


def test_a_followed_file_gives_complete_lines_only(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "a.csv")
    assert tail.look() == []
    assert tail.reader.next_poll() == _lines.IDLE
    assert tail.add(b"") == []
    assert tail.add(HEADER[:10]) == []
    assert tail.add(HEADER[10:]) == []
    assert tail.add(b"a,2026-01-01T00:00:0") == []
    assert tail.reader.position() == [len(HEADER), 2]
    assert tail.add(b"0Z,1,hall\nb,") == [(2, b"a,2026-01-01T00:00:00Z,1,hall")]
    assert tail.add(lines(1)) == [(3, b"b," + lines(1).strip())]
    again = Tail(tail.path, tail.reader.position())
    assert (
        again.add(lines(2))
        == tail.look()
        == [(4, line) for line in lines(1).splitlines()] + [(5, lines(2).splitlines()[1])]
    )
    assert tail.reader.progress() is None


def test_followed_readings_arrive_when_they_are_read(tmp_path: Path) -> None:
    source = files.csv(write(tmp_path / "a.csv", HEADER + lines(1)), follow=True)
    before = SystemClock().now()
    got = source.open("0", None).poll(9)
    assert isinstance(got, Messages)
    assert got.arrived is not None
    assert before <= got.arrived <= SystemClock().now()


def test_a_cut_file_is_read_from_its_top(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tail = Tail(tmp_path / "a.csv")
    assert len(tail.add(HEADER + lines(3) + b"half")) == 3
    tail.path.write_bytes(HEADER)
    # The half line can no longer be completed: it is all there will be of it.
    assert tail.look(9) == [(5, b"half")]
    assert tail.add(lines(1)) == [(2, lines(1).strip())]
    assert tail.reader.position() == [len(HEADER) + len(lines(1)), 3]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().endswith("a.csv was cut or replaced; it is read from the top")


def test_a_replaced_file_is_read_to_its_end_first(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "a.csv")
    old = tail.path
    assert len(tail.add(HEADER + lines(3))) == 3
    with old.open("ab") as writer:
        old.rename(tmp_path / "a.csv.1")
        assert tail.look() == []
        writer.write(b"last,")
        writer.flush()
        assert tail.look() == []
        write(old, HEADER)
        assert tail.look(1) == []
        writer.write(lines(1))
        writer.write(b"torn")
    new = [(2 + i, b"new" + b"," * 50) for i in range(9)]
    with old.open("ab") as file:
        file.writelines(line + b"\n" for _, line in new)
    assert tail.look(9) == [(5, b"last," + lines(1).strip()), (6, b"torn"), *new]


def test_a_followed_file_that_shrank_while_the_flow_was_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tail = Tail(write(tmp_path / "a.csv", HEADER + lines(1)), [500, 12])
    assert tail.look() == [(2, lines(1).strip())]
    assert "has 68 bytes, where 500 had been read; it is read from the top" in caplog.text


def test_a_header_that_comes_late_and_is_wrong_leaves_dead_letters(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    intake = Intake(files.csv(path, follow=True), SCHEMA, "0", None, ManualClock())
    assert intake.poll() == []
    write(path, b"machine,timestamp,temperatur,site\n" + lines(2))
    (parcel,) = intake.poll()
    assert (parcel.received, parcel.decoded) == (2, 0)
    reason = "no column 'temperature' in the header; did you mean 'temperatur'?"
    assert {dead.reason for dead in parcel.dead} == {reason}


# Speed


def test_readings_are_given_when_they_are_due(tmp_path: Path) -> None:
    times = [0, 60, 30, 60, 180]  # a late one, and two that are due together
    data = b"".join(b"m,%s,1,\n" % at(t).encode() for t in times[:2])
    data += b"rubbish\n" + b"".join(b"m,%s,1,\n" % at(t).encode() for t in times[2:])
    source = files.csv(write(tmp_path / "a.csv", HEADER + data), speed="60x")
    clock = ManualClock(5 * SECOND)
    intake = Intake(source, SCHEMA, "0", None, clock)

    def poll() -> tuple[int, int] | None:
        parcels = intake.poll()
        return (parcels[0].decoded, len(parcels[0].dead)) if parcels else None

    assert poll() == (1, 0)
    assert poll() is None
    assert intake.reader.next_poll() == 1
    position = intake.reader.position()
    clock.sleep(0.999)
    assert poll() is None
    assert intake.reader.next_poll() == pytest.approx(0.001)
    clock.sleep(0.001)
    assert poll() == (3, 1)
    assert poll() is None
    clock.sleep(1)
    assert intake.reader.next_poll() == 1
    clock.sleep(1)
    assert poll() == (1, 0)
    with pytest.raises(EndOfStream):
        intake.poll()
    rest = everything(replace(source, speed="max"), position)
    assert len(rest) == 5
    assert Intake(source, SCHEMA, "0", position, clock).reader.position() == position
    intake.reader.close()


@pytest.mark.parametrize("kind", ["csv", "jsonl.gz", "parquet"])
def test_speed_changes_when_readings_come_and_nothing_else(kind: str, tmp_path: Path) -> None:
    source = SOURCES[kind](tmp_path)
    clock = ManualClock()
    plan = (FLOW | Validate()).plan()
    slow = replay(plan, (replace(source, speed="2x"),), clock=clock)
    fast = replay(plan, (source,), clock=clock)
    span = int(fast.rows.time.max() - fast.rows.time.min())
    assert clock.now() == span // 2
    assert slow.rows == fast.rows
    assert slow.rows.arrived.tolist() == fast.rows.arrived.tolist()
    assert slow.balance == fast.balance


def test_what_is_dead_does_not_wait(tmp_path: Path) -> None:
    data = HEADER + b"rubbish\n" + b"x" * (3 << 20) + b"\n" + lines(2)
    source = files.csv(write(tmp_path / "a.csv", data), speed="1x")
    clock = ManualClock()
    result = replay(FLOW.plan(), (source,), clock=clock)
    assert [dead.place for dead in result.dead_letters] == [2, 3]
    assert result.balance.out == 2
    assert clock.now() == SECOND


def test_a_long_wait_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = HEADER + lines(1) + b"m,2026-01-01T01:00:00Z,1,\n"
    source = files.csv(write(tmp_path / "a.csv", data), speed="1x")
    replay(FLOW.plan(), (source,), clock=ManualClock())
    assert [record.getMessage() for record in caplog.records] == [
        "the next reading is due in 3600 s"
    ]


# Sinks

EVENT = Event("1f", "alert", "alert", "m1", START.timestamp().__int__() * SECOND, {"score": 0.5})
DEAD = DeadLetter(b"\xff,\n", "not UTF-8", "csv", "0", 7, 0)


def batch(count: int) -> Batch:
    made = [
        {"device": f"m{i}", "time": (1767225600 + i) * SECOND, "temperature": i / 3, "site": 'a"b'}
        for i in range(count)
    ]
    return Batch.of(made, ["temperature"], ["site"])


def test_rows_as_json_lines(tmp_path: Path) -> None:
    writer = files.jsonl(tmp_path / "out.jsonl", of="rows").open(None)
    nan = batch(2).mark("temperature", np.array([False, True]), 4)
    writer.write(nan.with_columns({"temperature": np.array([np.nan, 1 / 3])}))
    writer.close()
    assert [json.loads(line) for line in (tmp_path / "out.jsonl").open()] == [
        {"device": "m0", "time": at(0), "site": 'a"b', "temperature": None},
        {
            "device": "m1", "time": at(1), "site": 'a"b', "temperature": 1 / 3,
            "quality": {"temperature": ["out_of_range"]},
        },
    ]  # fmt: skip


def test_times_are_written_to_the_digit_that_matters(tmp_path: Path) -> None:
    times = [0, 1, 1500, 10**6, 10**9, 1767225600 * SECOND + 250 * 10**6, -1, -(10**18)]
    writer = files.jsonl(tmp_path / "out.jsonl", of="rows").open(None)
    writer.write(Batch.of([{"device": "a", "time": time} for time in times], []))
    writer.close()
    written = [json.loads(line)["time"] for line in (tmp_path / "out.jsonl").open()]
    assert written == [iso(time) for time in times]


def test_rows_as_csv_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    writer = files.csv(path, of="rows").open(None)
    writer.write(batch(2))
    writer.write(batch(3))
    writer.close()
    assert path.read_text().splitlines()[:2] == [
        "device,time,site,temperature", f'm0,{at(0)},"a""b",0.0',
    ]  # fmt: skip
    flow = Flow("back", sensors=["temperature"], tags=["site"])
    assert flow.replay(path).rows == Batch.concat([batch(2), batch(3)])


@pytest.mark.parametrize(
    ("of", "items", "expected"),
    [
        ("alerts", [EVENT], {"id": "1f", "kind": "alert", "step": "alert", "device": "m1",
                             "time": at(0), "fields": '{"score":0.5}'}),
        ("dead_letters", [DEAD], {"source": "csv", "partition": "0", "place": "7", "byte": "0",
                                  "reason": "not UTF-8", "payload": "\\xff,\n"}),
        ("rejected", batch(1).reject(np.array([True]), "late"),
         {"step": "", "reason": "late", "device": "m0", "time": at(0),
          "fields": '{"site":"a\\"b","temperature":0.0}'}),
    ],
    ids=["alerts", "dead_letters", "rejected"],
)  # fmt: skip
def test_other_outlets_as_csv(of: Any, items: Any, expected: Any, tmp_path: Path) -> None:
    writer = files.csv(tmp_path / "out.csv", of=of).open(None)
    writer.write(items)
    writer.close()
    with (tmp_path / "out.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [expected]


@pytest.mark.parametrize("kind", [files.jsonl, files.csv])
def test_resuming_cuts_a_file_back_to_its_snapshot(kind: Any, tmp_path: Path) -> None:
    path = tmp_path / "out"
    sink = kind(path, of="rows")
    assert sink.promise == "once"
    writer = sink.open(None)
    writer.write(batch(2))
    durable = writer.snapshot()
    assert path.stat().st_size == durable
    kept = path.read_bytes()
    writer.write(batch(3))
    writer._file.write(b"torn")
    writer._file.flush()
    assert path.read_bytes() != kept
    resumed = sink.open(durable)
    assert path.read_bytes() == kept
    assert resumed.snapshot() == durable
    resumed.write(batch(1))
    resumed.close()
    alone = sink.open(None)
    alone.write(batch(1))
    alone.close()
    once = path.read_bytes()
    assert len(once) < len(kept)
    header = once.index(b"\n") + 1 if kind is files.csv else 0
    expected = kept + once[header:]
    again = sink.open(0)
    again.write(batch(2))
    again.write(batch(1))
    again.close()
    assert path.read_bytes() == expected


def test_a_fresh_run_replaces_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "out.jsonl", b"old\n")
    files.jsonl(path, of="rows").open(None).close()
    assert path.read_bytes() == b""


def test_an_output_that_was_taken_away_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "out.jsonl"
    for lost in (b"", b"{}\n"):
        if lost:
            path.write_bytes(lost)
        writer = files.jsonl(path, of="alerts").open(500)
        writer.write([EVENT])
        assert writer.snapshot() == path.stat().st_size
        writer.close()
        assert path.read_bytes() == lost + orjson.dumps(EVENT.row()) + b"\n"
    assert len(caplog.records) == 2
    assert "out.jsonl has lost lines" in caplog.text


def test_csv_does_not_mix_columns(tmp_path: Path) -> None:
    sink = files.csv(tmp_path / "out.csv", of="rows")
    writer = sink.open(None)
    writer.write(batch(1))
    end = writer.snapshot()
    writer.close()
    with pytest.raises(ConnectorError) as error:
        sink.open(end).write(batch(1).with_columns({"score": np.zeros(1)}))
    assert str(error.value).endswith(
        "out.csv has the columns device, time, site, temperature; "
        "now it is to have device, time, site, temperature, score"
    )


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    (tmp_path / "full.jsonl").symlink_to("/dev/full")
    writer = files.jsonl(tmp_path / "full.jsonl", of="alerts").open(None)
    with pytest.raises(ConnectorError, match=r"full.jsonl cannot be written: No space left"):
        writer.write([EVENT])
    writer._file.raw.close()


def test_the_console_shows_one_line_for_each_item(capsys: pytest.CaptureFixture[str]) -> None:
    writer = files.console(of="events").open(None)
    writer.write(batch(2))
    writer.write([EVENT])
    writer.write([DEAD])
    writer.close()
    assert capsys.readouterr().out.splitlines() == [
        '2026-01-01T00:00:00Z m0 site=a"b temperature=0',
        '2026-01-01T00:00:01Z m1 site=a"b temperature=0.333333',
        "2026-01-01T00:00:00Z m1 alert id=1f step=alert score=0.5",
        "source=csv partition=0 place=7 byte=0 reason=not UTF-8 payload='\\\\xff,\\n'",
    ]


# On Bytewax


@pytest.mark.parametrize("workers", [1, 2])
def test_merged_sources_and_several_sinks_on_bytewax(workers: int, tmp_path: Path) -> None:
    east = write(tmp_path / "east.csv", HEADER + lines(30) + b"rubbish\n")
    west = write(tmp_path / "west.jsonl", jsonl(40).replace(b': "m', b': "w'))
    flow = (
        FLOW
        | files.csv(east)
        | files.jsonl(west)
        | files.csv(tmp_path / "raw.csv", of="rows")
        | Alert("temperature > 20")
        | files.jsonl(tmp_path / "alerts.jsonl", of="alerts")
        | files.csv(tmp_path / "hot.csv", of="rows", where="temperature > 30", name="hot")
        | files.csv(tmp_path / "dead.csv", of="dead_letters")
    )
    replayed = flow.replay()
    balance = flow.run(workers=workers)
    assert balance == replayed.balance
    assert balance.adds_up
    assert balance.lines()[0] == "messages  71 received = 70 decoded + 1 dead"
    raw = (tmp_path / "raw.csv").read_text().splitlines()
    assert (raw[0], len(raw)) == ("device,time,site,temperature", 71)
    assert len((tmp_path / "hot.csv").read_text().splitlines()) == 1 + 10
    alerts = [json.loads(line) for line in (tmp_path / "alerts.jsonl").open()]
    assert {row["id"] for row in alerts} == {event.id for event in replayed.alerts}
    assert len(alerts) == len(replayed.alerts) == 6
    with (tmp_path / "dead.csv").open(newline="") as file:
        (dead,) = csv.DictReader(file)
    assert (dead["place"], dead["payload"]) == ("32", "rubbish")
    assert dead["reason"] == "1 fields where the header has 4"


def test_a_paced_source_on_bytewax(tmp_path: Path) -> None:
    source = files.csv(write(tmp_path / "a.csv", HEADER + lines(5)), speed="10x")
    clock = SystemClock()
    began = clock.monotonic()
    balance = (FLOW | source | files.jsonl(tmp_path / "out.jsonl", of="rows")).run()
    assert balance.out == 5
    assert 0.4 * SECOND <= clock.monotonic() - began < 5 * SECOND


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_what_a_file_does_not_say_can_be_told(ending: str, tmp_path: Path) -> None:
    plain = [{"timestamp": at(i), "temperature": 1.0 * i} for i in range(3)]
    path = tmp_path / f"press{ending}"
    if ending == ".parquet":
        parquet.write_table(pa.Table.from_pylist(plain), path)
    elif ending == ".jsonl":
        path.write_bytes(b"\n".join(map(orjson.dumps, plain)))
    else:
        path.write_text("timestamp,temperature\n" + "".join(f"{at(i)},{i}\n" for i in range(3)))
    source = replace(files.source(path), fields={"machine": "press-1", "site": "hall"})
    out = FLOW.replay(source).rows
    assert [row["device"] for row in out.rows()] == ["press-1"] * 3
    assert out.tags["site"].list() == ["hall"] * 3
    if ending != ".jsonl":
        with pytest.raises(FlowError, match="no column 'site'"):
            FLOW.replay(replace(source, fields={"machine": "press-1"}))
