"""Bad input: each kind ends in one clear sentence, or is counted with its reason; none is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from streamflow_connectors import files

from streamflow import Alert, Flow, Validate
from streamflow.engine.result import Result
from streamflow.errors import FlowError

FLOW = (
    Flow("machines", device="machine", time="timestamp", sensors=["temperature"])
    | Validate({"temperature": (-50, 250)})
    | Alert("temperature > 100")
)
HEADER = "machine,timestamp,temperature\n"
GOOD = "pump-1,2026-01-01T00:00:00Z,20.5\n"
START = 1767225600 * 10**9


def replay(path: Path, text: str | bytes) -> Result:
    """A replay of a file with this content; it balances, and its counts are those of its parts."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    result = FLOW.replay(path)
    balance = result.balance
    assert balance.adds_up
    assert balance.dead == len(result.dead_letters)
    assert balance.out == len(result.rows)
    assert balance.rejected.total() == len(result.rejected) == 0
    return result


def refusal(path: Path) -> str:
    """The one sentence that says why a file cannot be replayed."""
    with pytest.raises(FlowError) as error:
        FLOW.replay(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def dead(result: Result) -> list[tuple[int | str, str]]:
    return [(letter.place, letter.reason) for letter in result.dead_letters]


def temperatures(result: Result) -> list[float | None]:
    return [row["temperature"] for row in result.rows.rows()]


def objects(*rows: dict[str, Any]) -> str:
    usual = {"machine": "pump-1", "timestamp": "2026-01-01T00:00:00Z", "temperature": 20.5}
    return "".join(json.dumps({**usual, **row}) + "\n" for row in rows)


# Files that cannot be read at all


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "machines.csv").touch()
    path = tmp_path / "machnes.csv"
    assert refusal(path) == f"source 'csv': {path}: no such file; did you mean machines.csv?"


def test_a_missing_file_with_no_neighbour(tmp_path: Path) -> None:
    path = tmp_path / "machines.parquet"
    assert refusal(path) == f"source 'parquet': {path}: no such file"


def test_a_missing_folder(tmp_path: Path) -> None:
    path = tmp_path / "data" / "machines.csv"
    assert refusal(path) == f"source 'csv': {path}: there is no folder {path.parent}"


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_folder(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"machines.{ending}"
    path.mkdir()
    assert refusal(path) == f"source {ending!r}: {path} is a folder; name a file"


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.symlink_to(path)
    reason = "cannot be read: Too many levels of symbolic links"
    assert refusal(path) == f"source 'csv': {path} {reason}"
    assert refusal(tmp_path / f"{'x' * 999}.csv").endswith("cannot be read: File name too long")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""), ("a.csv", b"\xef\xbb\xbf"), ("a.jsonl", b"\n \r\n"), ("a.parquet", b""),
    ],
)  # fmt: skip
def test_an_empty_file(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert refusal(tmp_path / name).endswith("is empty: there is nothing to replay")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", HEADER.encode("utf-16"), "is not text in UTF-8: it holds zero bytes"),
        ("a.csv.gz", HEADER.encode(), "is not gzip, or is damaged: Not a gzipped file"),
        ("a.parquet", HEADER.encode(), "is not Parquet, or is damaged: Parquet magic bytes"),
        ("a.json", b'[{"machine": "pump-1"}]', "is a JSON array; write one object per line"),
        ("a.csv", b"m" * (1 << 21), "its first line is longer than 1,048,576 bytes"),
        ("a.xlsx", b"PK", "its ending does not say what it is; known are .csv, .tsv, .jsonl"),
    ],
    ids=["utf-16", "gzip", "parquet", "array", "endless", "ending"],
)
def test_a_file_of_another_kind(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert words in refusal(tmp_path / name)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("machine,timestamp,temprature", "no column 'temperature' in the header; did you mean "
         "'temprature'?"),
        ("a,b,c", "no column 'machine' in the header; there is: a, b, c"),
        ("machine;timestamp;temperature", "no column 'machine' in the header; there is: "
         "machine;timestamp;temperature"),
        (GOOD.strip(), "no column 'machine' in the header; there is: 20.5, 2026-01-01T00:00:00Z"),
        ('"machine,timestamp', "no column 'machine' in the header; there is: \"machine,timestamp"),
        ("machine,timestamp,temperature,machine", "two columns are called 'machine'"),
    ],
    ids=["misspelt", "other", "delimiter", "none", "quote", "twice"],
)  # fmt: skip
def test_wrong_column_names(header: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{header}\n{GOOD}")
    assert words in refusal(tmp_path / "a.csv")


# Rows that are no readings, and values that are no numbers


def test_rows_with_too_few_or_too_many_fields(tmp_path: Path) -> None:
    rows = "pump-1,2026-01-01T00:00:00Z\npump-1\n" + GOOD.replace("20.5", "20,5")
    result = replay(tmp_path / "a.csv", HEADER + GOOD + rows + GOOD)
    assert dead(result) == [
        (3, "2 fields where the header has 3"),
        (4, "1 fields where the header has 3"),
        (5, "4 fields where the header has 3"),
    ]
    assert result.balance.lines()[0] == "messages  5 received = 2 decoded + 3 dead"


def test_quotes_that_do_not_close(tmp_path: Path) -> None:
    rows = 'pump-1,2026-01-01T00:00:00Z,"20.5\n"pump-1"x,2026-01-01T00:00:00Z,1\n'
    rows += f'pump-1,"2026\r-01",1\n"{"x" * 200_000}",2026-01-01T00:00:00Z,1\n'
    result = replay(tmp_path / "a.csv", HEADER + rows + GOOD.replace("pump-1", '"pump-1"'))
    reasons = [reason for _, reason in dead(result)]
    assert reasons == [
        "not CSV: unexpected end of data",
        "not CSV: ',' expected after '\"'",
        "timestamp: '2026\\r-01' is not a time; ISO 8601, or seconds, ms, us or ns since 1970",
        "not CSV: field larger than field limit (131072)",
    ]
    assert result.rows.name(0) == "pump-1"


def test_text_in_a_number_column_of_csv(tmp_path: Path) -> None:
    rows = GOOD.replace("20.5", "hot") + GOOD.replace("20.5", "") + GOOD.replace("20.5", "N/A")
    result = replay(tmp_path / "a.csv", HEADER + rows + GOOD)
    assert temperatures(result) == [None, None, None, 20.5]
    assert dict(result.balance.flagged) == {("temperature", "invalid"): 1}


def test_what_is_no_number_in_json(tmp_path: Path) -> None:
    values = ["hot", [1], {"a": 1}, None, "7.5", 10**400]
    text = objects(*({"temperature": value} for value in values))
    result = replay(tmp_path / "a.jsonl", text)
    assert temperatures(result) == [None, None, None, None, 7.5, None]
    assert dict(result.balance.flagged) == {("temperature", "invalid"): 4}


def test_lists_of_numbers_in_every_row(tmp_path: Path) -> None:
    result = replay(tmp_path / "a.jsonl", objects({"temperature": [1, 2]}, {"temperature": [3, 4]}))
    assert temperatures(result) == [None, None]
    assert dict(result.balance.flagged) == {("temperature", "invalid"): 2}


def test_nan_and_infinity_in_csv(tmp_path: Path) -> None:
    rows = "".join(GOOD.replace("20.5", value) for value in ("nan", "inf", "-Infinity", "1e999"))
    result = replay(tmp_path / "a.csv", HEADER + rows)
    assert temperatures(result) == [None] * 4
    assert dict(result.balance.flagged) == {("temperature", "not_finite"): 3}
    assert not result.alerts


def test_nan_and_infinity_are_not_json(tmp_path: Path) -> None:
    text = objects({"temperature": float("nan")}, {"temperature": float("inf")}, {})
    result = replay(tmp_path / "a.jsonl", text)
    assert [place for place, _ in dead(result)] == [1, 2]
    assert all(reason.startswith("not JSON: ") for _, reason in dead(result))
    assert result.dead_letters[0].byte == text.index("NaN")
    assert temperatures(result) == [20.5]


def test_lines_that_are_not_json(tmp_path: Path) -> None:
    result = replay(tmp_path / "a.jsonl", b'{"machine": \n"x"\n\xff\n' + objects({}).encode())
    assert [(place, reason.split(";")[0].split(":")[0]) for place, reason in dead(result)] == [
        (1, "not JSON"),
        (2, "it is a JSON string, not an object"),
        (3, "not UTF-8"),
    ]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_device_that_is_missing(name: str, tmp_path: Path) -> None:
    if name == "a.csv":
        text = HEADER + GOOD + GOOD.replace("pump-1", "") + GOOD.replace("pump-1", "  ")
    else:
        text = "\n" + objects({}, {"machine": None}, {"machine": "  "})
    result = replay(tmp_path / name, text)
    assert dead(result) == [
        (3, "machine: it has no device"),
        (4, "machine: '  ' is not a device"),
    ]
    assert len(result.rows) == 1


# Times


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_times_in_five_common_forms_and_one_that_is_none(name: str, tmp_path: Path) -> None:
    times = [
        "2026-01-01T00:00:00Z",
        "2026-01-01 00:00:00.000",
        "2026-01-01T01:00:00+01:00",
        1767225600,
        1767225600000,
        "yesterday at noon",
        "",
    ]
    if name == "a.csv":
        text = HEADER + "".join(f"pump-1,{time},20.5\n" for time in times)
    else:
        text = "\n" + objects(*({"timestamp": time} for time in times))
    result = replay(tmp_path / name, text)
    assert result.rows.time.tolist() == [START] * 5
    forms = "ISO 8601, or seconds, ms, us or ns since 1970"
    assert dead(result) == [
        (7, f"timestamp: 'yesterday at noon' is not a time; {forms}"),
        (8, "timestamp: it has no time"),
    ]


def test_milliseconds_that_look_like_a_day_of_1710(tmp_path: Path) -> None:
    rows = "pump-1,1710111241530,1\npump-1,1710111241530123456,1\n"
    result = replay(tmp_path / "a.csv", HEADER + rows)
    assert result.rows.time.tolist() == [1710111241530000000, 1710111241530123456]


def test_nanoseconds_do_not_depend_on_the_neighbours(tmp_path: Path) -> None:
    fine = "pump-1,2026-01-01T00:00:00.123456789Z,1\n"
    alone = replay(tmp_path / "a.csv", HEADER + fine)
    mixed = replay(tmp_path / "b.csv", HEADER + fine + GOOD)
    assert alone.rows.time[0] == mixed.rows.time[0] == START + 123456789


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_two_time_zones_in_one_file(name: str, tmp_path: Path) -> None:
    times = ["2026-01-01T09:00:00+09:00", "2025-12-31T19:00:00-05:00"]
    if name == "a.csv":
        text = HEADER + "".join(f"pump-1,{time},20.5\n" for time in times)
    else:
        text = objects(*({"timestamp": time} for time in times))
    assert replay(tmp_path / name, text).rows.time.tolist() == [START] * 2


# Bytes


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_byte_order_mark_and_windows_line_breaks(name: str, newline: str, tmp_path: Path) -> None:
    text = HEADER + GOOD if name == "a.csv" else objects({})
    result = replay(tmp_path / name, "\ufeff" + text.replace("\n", newline).rstrip())
    assert temperatures(result) == [20.5]
    assert result.rows.name(0) == "pump-1"
    assert result.balance.received == 1


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_line_of_ten_megabytes(name: str, tmp_path: Path) -> None:
    text = HEADER + GOOD if name == "a.csv" else "\n" + objects({})
    result = replay(tmp_path / name, text + "x" * 10_485_760 + "\n" + text.split("\n")[1] + "\n")
    assert dead(result) == [(3, "a line of 10,485,760 bytes, longer than 1,048,576")]
    assert result.dead_letters[0].payload == b"x" * 1024
    assert temperatures(result) == [20.5, 20.5]


def test_text_in_another_encoding(tmp_path: Path) -> None:
    latin = GOOD.replace("pump-1", "Kühler").encode("latin-1")
    result = replay(tmp_path / "a.csv", HEADER.encode() + GOOD.encode() + latin)
    assert dead(result) == [(3, "not UTF-8: invalid start byte")]
    assert result.dead_letters[0].byte == 1
    assert result.dead_letters[0].row()["payload"].startswith("K\\xfchler,")


# Outputs that cannot be written


@pytest.mark.parametrize("sink", [files.jsonl, files.csv])
def test_an_output_that_cannot_be_written(sink: Any, tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text(HEADER + GOOD)

    def refused(target: Path) -> str:
        with pytest.raises(FlowError) as error:
            (FLOW | sink(target, of="alerts")).parts[-1].check(FLOW.schema)
        place = f"sink '{sink.__name__}_alerts': {target} "
        assert str(error.value).startswith(place)
        return str(error.value).removeprefix(place)

    gone = tmp_path / "out" / "alerts"
    assert refused(gone) == f"cannot be written: there is no folder {gone.parent}"
    assert refused(tmp_path) == "is a folder; name a file"
    inside = source / "alerts"
    assert refused(inside) == f"cannot be written: {source} is a file, not a folder"


def test_an_output_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(FlowError, match="cannot be written: permission denied"):
        files.jsonl(tmp_path / "alerts.jsonl", of="alerts").check(FLOW.schema)


def test_nothing_runs_if_an_output_cannot_be_written(tmp_path: Path) -> None:
    source, target = tmp_path / "a.csv", tmp_path / "good.jsonl"
    source.write_text(HEADER + GOOD)
    flow = Flow("machines", device="machine", time="timestamp", sensors=["temperature"])
    flow |= files.csv(source)
    flow |= files.jsonl(target, of="rows")
    with pytest.raises(FlowError, match="there is no folder"):
        (flow | files.jsonl(tmp_path / "out" / "alerts.jsonl", of="alerts")).run()
    assert not target.exists()
    assert flow.run().adds_up
    assert json.loads(target.read_text())["temperature"] == 20.5
