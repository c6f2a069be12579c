"""Nested fields, arrays of readings, lines: the same for JSON and MessagePack."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from streamflow import Format, Json, Messages, MsgPack, Schema, Sensor
from streamflow.errors import FlowError

SCHEMA = Schema("device", "time", {"t": Sensor(), "p": Sensor()}, ("site",))
PATHS = {"device": "head.id", "t": "data.air.t", "p": "data.p", "site": "head.site"}
NESTED = {
    "head": {"id": "a", "site": "north"},
    "time": 1,
    "data": {"p": 2.0, "air": {"t": 1.5, "humidity": 40}},
    "more": [1, {"x": 2}],
}
ROW = {"device": "a", "time": 10**9, "site": "north", "t": 1.5, "p": 2.0}

Dead = list[tuple[int, str, int | None]]


def read(
    format_: Format, *payloads: bytes, **told: list[str | None]
) -> tuple[list[tuple[int, dict[str, Any]]], Dead]:
    """The readings, each with the number of its message, and the dead."""
    dead: dict[int, tuple[int, str, int | None]] = {}
    decoded = format_.decoder(SCHEMA).decode(
        Messages(payloads, range(len(payloads)), fields=told),
        lambda i, why, byte=None: dead.setdefault(i, (i, why, byte)),
    )
    rows = list(decoded.batch.rows())
    return list(zip(decoded.message.tolist(), rows, strict=True)), list(dead.values())


def packed(thing: Any) -> bytes:
    return msgspec.msgpack.encode(thing)


def as_json(thing: Any) -> bytes:
    return json.dumps(thing).encode()


WIRES = pytest.mark.parametrize(
    ("make", "encode"), [(Json, as_json), (MsgPack, packed)], ids=["json", "msgpack"]
)


@WIRES
def test_fields_are_found_at_their_paths(make: Any, encode: Any) -> None:
    assert read(make(paths=PATHS), encode(NESTED)) == ([(0, ROW)], [])


@WIRES
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"data": {}}, {"t": None, "p": None}),
        ({"data": None}, {"t": None, "p": None}),
        ({"data": 5}, {"t": None, "p": None}),
        ({"data": [1]}, {"t": None, "p": None}),
        ({"data": {"p": 2, "air": "fresh"}}, {"t": None}),
        ({"data": {"p": "high", "air": {"t": "2.5"}}}, {"t": 2.5, "p": None}),
        ({"head": {"id": 7}}, {"device": "7", "site": None}),
        ({"data": {"p": 3.0, "air.t": 9}}, {"t": None, "p": 3.0}),
    ],
    ids=repr,
)
def test_what_does_not_stand_at_its_path_is_missing(
    make: Any, encode: Any, change: Any, expected: dict[str, Any]
) -> None:
    rows, dead = read(make(paths=PATHS), *map(encode, (NESTED, {**NESTED, **change}, NESTED)))
    assert dead == []
    assert rows[0][1] == rows[2][1] == ROW
    assert {**rows[1][1], "quality": None} == {**ROW, **expected, "quality": None}


@WIRES
def test_no_device_at_its_path_is_a_dead_letter(make: Any, encode: Any) -> None:
    rows, dead = read(make(paths=PATHS), *map(encode, (NESTED, {**NESTED, "head": 5}, NESTED)))
    assert [i for i, _ in rows] == [0, 2]
    assert dead == [(1, "device: it has no device", None)]


@WIRES
def test_a_message_is_an_array_of_readings(make: Any, encode: Any) -> None:
    some = [{"device": "a", "time": n, "t": n} for n in (1, 2)]
    rows, dead = read(make(readings="."), *map(encode, (some, [], some[:1])))
    assert dead == []
    assert [(i, row["time"] // 10**9, row["t"]) for i, row in rows] == [
        (0, 1, 1.0),
        (0, 2, 2.0),
        (2, 1, 1.0),
    ]


@WIRES
def test_what_stands_around_an_array_holds_for_all_its_readings(make: Any, encode: Any) -> None:
    message = {
        "head": {"id": "a", "site": "north"},
        "data": {"p": 7.0},
        "sent": {
            "at": [
                {"time": 1, "data": {"air": {"t": 1}}},
                {"time": 2, "data": {"air": {"t": 2}, "p": 8.0}, "head": {"id": "b"}},
                {"time": 3},
            ]
        },
    }
    other = {"time": 4, "sent": {"at": [{"head": {"id": "c"}}]}}
    rows, dead = read(make(paths=PATHS, readings="sent.at"), encode(message), encode(other))
    assert dead == []
    told = [(i, r["device"], r["time"] // 10**9, r["site"], r["t"], r["p"]) for i, r in rows]
    assert told == [
        (0, "a", 1, "north", 1.0, 7.0),
        (0, "b", 2, "north", 2.0, 8.0),
        (0, "a", 3, "north", None, 7.0),
        (1, "c", 4, None, None, None),
    ]


@WIRES
@pytest.mark.parametrize(
    ("payload", "reason", "left"),
    [
        ({"time": 1, "device": "a"}, "it has no readings: nothing stands at 'sent'", 0),
        ({"sent": None}, "it has no readings: nothing stands at 'sent'", 0),
        ({"sent": "x"}, "sent: it is a {} string, not an array of readings", 0),
        ({"sent": {"t": 1}}, "sent: it is a {} object, not an array of readings", 0),
        ([{"device": "a", "time": 1}], "it is a {} array, not an object", 0),
        ({"device": "a", "sent": [{"time": 1}, 5]}, "reading 2 of 2 is a {} number", 1),
        ({"device": "a", "sent": [{"time": 1}, {"t": 1}]}, "reading 2 of 2: time: it has no", 1),
        ({"sent": [{"time": 1}]}, "device: it has no device", 0),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_a_message_whose_readings_are_wrong_is_dead_and_its_good_ones_go_on(
    make: Any, encode: Any, payload: Any, reason: str, left: int
) -> None:
    good = encode({"device": "a", "sent": [{"time": 1}]})
    rows, dead = read(make(readings="sent"), good, encode(payload), good)
    assert [i for i, _ in rows] == [0, *[1] * left, 2]
    ((i, why, _),) = dead
    assert i == 1
    assert why.startswith(reason.format("JSON" if make is Json else "MessagePack"))


@WIRES
def test_a_value_of_a_wrong_type_costs_that_value_of_that_reading_only(
    make: Any, encode: Any
) -> None:
    message = {"device": "a", "sent": [{"time": 1, "t": "hot"}, {"time": 2, "t": 2, "site": 5}]}
    rows, dead = read(make(readings="sent"), encode(message))
    assert dead == []
    assert rows[0][1]["quality"] == {"t": ["invalid"]}
    assert (rows[1][1]["t"], rows[1][1]["site"]) == (2.0, "5")


@WIRES
def test_what_the_transport_says_holds_for_all_readings_of_its_message(
    make: Any, encode: Any
) -> None:
    message = encode({"sent": [{"time": 1}, {"time": 2}]})
    rows, _ = read(make(readings="sent"), message, message, device=["x", "y"])
    assert [row["device"] for _, row in rows] == ["x", "x", "y", "y"]


LINE = b'{"device":"a","time":1,"t":1.5,"p":2,"site":"north"}'


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n"])
def test_a_message_of_several_lines_is_several_readings(end: bytes) -> None:
    rows, dead = read(Json(lines=True), LINE, LINE + (end or b"\n") + LINE + end)
    assert dead == []
    assert rows == [(0, ROW), (1, ROW), (1, ROW)]


@pytest.mark.parametrize(
    ("line", "reason", "byte"),
    [
        (b'{"device":"a",}', "not JSON: JSON is malformed", 14),
        (b'{"device":"\xff"}', "not UTF-8", 11),
        (b"[1]", "it is a JSON array, not an object", 0),
        (b'{"device":', "not JSON: Input data was truncated", None),
    ],
)
def test_a_line_that_is_wrong_is_pointed_at_in_its_message(
    line: bytes, reason: str, byte: int | None
) -> None:
    rows, dead = read(Json(lines=True), LINE, LINE + b"\n" + line + b"\n" + LINE, LINE)
    assert rows == [(0, ROW), (1, ROW), (1, ROW), (2, ROW)]
    ((i, why, at),) = dead
    assert i == 1
    assert why.startswith(reason)
    assert at == (None if byte is None else len(LINE) + 1 + byte)


@pytest.mark.parametrize("payload", [b"", b"\n", b" \n\n"])
def test_no_lines_are_a_dead_letter(payload: bytes) -> None:
    rows, dead = read(Json(lines=True), LINE, payload, LINE)
    assert [i for i, _ in rows] == [0, 2]
    assert dead == [(1, "empty message", None)]


def test_each_line_may_hold_an_array() -> None:
    rows, _ = read(
        Json(lines=True, readings="."), b"[" + LINE + b"]\n[" + LINE + b"," + LINE + b"]"
    )
    assert rows == [(0, ROW)] * 3


def test_many_messages_that_are_wrong_harm_no_other() -> None:
    """Each kind of trouble, in each order, between good ones: a decoder that is thrown out of its
    stride must not lose its place."""
    other = b'{"device":5,"time":1,"t":"2.5","p":2,"site":"north"}'
    kinds = [LINE, b"{", LINE, other, b"", b"[]", b"\xff"]
    payloads = [kinds[(n * n + n // 7) % 7] for n in range(500)]
    rows, dead = read(Json(), *payloads)
    good = [i for i, payload in enumerate(payloads) if payload in (LINE, other)]
    assert [i for i, _ in rows] == good
    assert [row["device"] for _, row in rows] == ["a" if payloads[i] == LINE else "5" for i in good]
    assert sorted(i for i, _, _ in dead) == sorted(set(range(500)) - set(good))


@WIRES
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"paths": {"temp": "data.t"}},
            "'temp', which is no field of the flow; did you mean|there",
        ),
        ({"paths": {"t": "data..t"}}, "'data..t' is no path; write keys with dots between"),
        ({"paths": {"t": ""}}, "'' is no path"),
        ({"paths": {"t": "data", "p": "data.p"}}, "t, p stand at one place: 'data' is either"),
        ({"paths": {"t": "data.x", "p": "data.x"}}, "t, p stand at one place: 'x' is either"),
        ({"paths": {"t": "p"}}, "t, p stand at one place: 'p'"),
        ({"readings": "a."}, "readings: 'a.' is no path"),
    ],
    ids=repr,
)
def test_paths_that_make_no_sense_are_refused(
    make: Any, encode: Any, options: Any, sentence: str
) -> None:
    with pytest.raises(FlowError, match=sentence):
        make(**options).decoder(SCHEMA)


@WIRES
def test_a_sensor_may_be_called_as_the_array_is(make: Any, encode: Any) -> None:
    message = {"device": "a", "t": [{"time": 1, "t": {"t": 3.0}}]}
    rows, dead = read(make(paths={"t": "t.t"}, readings="t"), encode(message))
    assert (dead, rows[0][1]["t"]) == ([], 3.0)
    message = {"device": "a", "t": [{"time": 1, "t": 3.0}]}
    rows, dead = read(make(readings="t"), encode(message))
    assert (dead, rows[0][1]["t"]) == ([], 3.0)
