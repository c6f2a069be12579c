from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamflow import Batch, Messages, Schema, Sensor, Words
from streamflow.formats.columns import Columns, numbers

SCHEMA = Schema("device", "time", {"t": Sensor()}, ("site",))

Dead = list[tuple[int, str]]


def build(
    fields: dict[str, Any], rows: list[int], dead: Dead, told: dict[str, list[str | None]]
) -> tuple[Batch, list[int]]:
    decoded = Columns(SCHEMA).build(
        fields,
        np.array(rows, np.intp),
        Messages([b""] * 20, range(20), fields=told),
        lambda i, why, byte=None: dead.append((i, why)),
    )
    return decoded.batch, decoded.message.tolist()


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (1, 1.0),
        (-0.0, -0.0),
        ("2.5", 2.5),
        (" 2.5 ", 2.5),
        ("1e3", 1000.0),
        ("-7", -7.0),
        (True, 1.0),
        ("inf", float("inf")),
        ("-Infinity", float("-inf")),
        (2**70, 2.0**70),
    ],
)
def test_what_is_a_number(raw: Any, value: float) -> None:
    for others in ([], ["hot"]):  # the fast way, and value by value
        got, _ = numbers([raw, *others])
        assert got[0] == value


@pytest.mark.parametrize("raw", [None, "", " ", "null", "None", "NA", "n/a", "NaN", float("nan")])
def test_what_is_missing_is_not_wrong(raw: Any) -> None:
    got, invalid = numbers([raw, 1.0])
    assert np.isnan(got[0])
    assert got[1] == 1.0
    assert invalid is None


@pytest.mark.parametrize(
    "raw",
    ["hot", "1,5", "0x10", "1 2", "--1", [1], [1, 2], [], {}, {"x": 1}, 10**400, 1j, object()],
)
def test_what_is_no_number_is_missing_and_wrong_and_harms_no_other(raw: Any) -> None:
    for values in ([raw, 1.0], [raw]):
        got, invalid = numbers(values)
        assert invalid is not None
        assert invalid.tolist() == [True, False][: len(values)]
        assert np.isnan(got[0])
        assert got[1:].tolist() == [1.0][: len(values) - 1]


def test_no_values_are_no_numbers() -> None:
    got, invalid = numbers([])
    assert (got.tolist(), got.dtype, invalid) == ([], np.float64, None)


def test_lists_of_one_length_are_not_taken_for_a_table() -> None:
    got, invalid = numbers([[1.0], [2.0]])
    assert got.shape == (2,)
    assert invalid is not None
    assert invalid.all()


def test_a_reading_is_dead_once_for_its_first_reason() -> None:
    dead: Dead = []
    fields = {"device": ["", "a"], "time": ["never", 1], "t": ["hot", 1]}
    batch, message = build(fields, [10, 11], dead, {})
    assert message == [11]
    assert dead == [(10, "device: it has no device")]
    assert len(batch) == 1
    assert batch.flags("t").tolist() == [0]


def test_fields_that_are_absent_are_missing() -> None:
    batch, _ = build({"device": ["a"], "time": [1]}, [0], [], {})
    assert list(batch.rows()) == [{"device": "a", "time": 10**9, "site": None, "t": None}]


def test_columns_that_are_columnar_are_taken_as_they_are() -> None:
    dead: Dead = []
    fields = {
        "device": Words(np.array([1, 0, -1, 1], np.int32), ["x", "y", " "]),
        "time": np.array(["2026-01-01", "NaT", "2026-01-01", "2026-01-02"], "datetime64[ms]"),
        "t": np.array([1.0, 2.0, 3.0, np.nan]),
        "site": Words.of(["n", None, "s", "n"]),
    }
    batch, message = build(fields, [0, 1, 2, 3], dead, {})
    assert message == [0, 3]
    assert sorted(dead) == [(1, "time: it has no time"), (2, "device: it has no device")]
    assert [batch.name(i) for i in range(2)] == ["y", "y"]
    assert batch.tags["site"].list() == ["n", "n"]


def test_what_the_transport_says_counts_more_than_the_payload() -> None:
    dead: Dead = []
    fields = {"device": ["a", "b", "c"], "time": [1, 2, 3], "site": ["n", "", "s"]}
    told: dict[str, list[str | None]] = {
        "device": ["x", None, "y", ""],
        "site": [None, "w", None, "e"],
        "time": ["7", "8", "9", "10"],
        "t": ["1", "1", "1", "1"],
        "other": ["o", "o", "o", "o"],
    }
    batch, message = build(fields, [1, 2, 2], dead, told)
    assert (dead, message) == ([], [1, 2, 2])
    assert list(batch.rows()) == [
        {"device": "a", "time": 8 * 10**9, "site": "w", "t": None},
        {"device": "y", "time": 9 * 10**9, "site": None, "t": None},
        {"device": "y", "time": 9 * 10**9, "site": "s", "t": None},
    ]


def test_what_the_transport_leaves_open_the_columns_say() -> None:
    dead: Dead = []
    fields = {
        "device": Words.of(["x", "y", "x"]),
        "time": np.array(["2026-01-01", "NaT", "2026-01-01"], "datetime64[ms]"),
    }
    told: dict[str, list[str | None]] = {"device": [None, "z", None], "time": [None, None, "1"]}
    batch, message = build(fields, [0, 1, 2], dead, told)
    assert (dead, message) == ([(1, "time: it has no time")], [0, 2])
    assert [(row["device"], row["time"]) for row in batch.rows()] == [
        ("x", 1_767_225_600 * 10**9),
        ("x", 10**9),
    ]


def test_a_device_that_neither_tells_is_dead() -> None:
    dead: Dead = []
    build({"time": [1]}, [0], dead, {"device": [None]})
    assert dead == [(0, "device: it has no device")]
