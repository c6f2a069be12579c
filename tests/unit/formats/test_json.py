from __future__ import annotations

import json
import random
from typing import Any

import pytest

from streamflow import Json, Messages, Schema, Sensor
from streamflow.errors import FlowError

SCHEMA = Schema("device", "time", {"t": Sensor(), "p": Sensor()}, ("site",))
GOOD = b'{"device":"a","time":1,"t":1.5,"p":2,"site":"north"}'
ROW = {"device": "a", "time": 10**9, "site": "north", "t": 1.5, "p": 2.0}

Dead = list[tuple[int, str, int | None]]


def decode(*payloads: bytes, schema: Schema = SCHEMA) -> tuple[list[dict[str, Any]], Dead]:
    dead: Dead = []
    messages = Messages(payloads, range(len(payloads)))
    batch = (
        Json()
        .decoder(schema)
        .decode(messages, lambda i, why, byte=None: dead.append((i, why, byte)))
        .batch
    )
    return list(batch.rows()), dead


def between(payload: bytes) -> tuple[list[dict[str, Any]], Dead]:
    """Decoded between two good messages, which must not suffer."""
    rows, dead = decode(GOOD, payload, GOOD)
    assert rows[0] == rows[-1] == ROW
    return rows[1:-1], dead


def test_a_message_is_a_reading() -> None:
    assert decode(GOOD) == ([ROW], [])


def test_no_messages_are_no_readings() -> None:
    assert decode() == ([], [])


@pytest.mark.parametrize(
    ("payload", "reason", "byte"),
    [
        (b"", "empty message", None),
        (b"   ", "not JSON: Input data was truncated", None),
        (b"{", "not JSON: Input data was truncated", None),
        (GOOD[:-1], "not JSON: Input data was truncated", None),
        (b'{"device":"a","time":1,"t":NaN}', "not JSON: JSON is malformed: invalid character", 27),
        (b'{"device":"a","time":1,"t":Infinity}', "not JSON", 27),
        (b"{'device':'a'}", "not JSON: JSON is malformed", 1),
        (b'{"device":"a",}', "not JSON: JSON is malformed", 14),
        (b'{"device":"a" "time":1}', "not JSON: JSON is malformed", 14),
        (b"\0", "not JSON: JSON is malformed: invalid character", 0),
        (b"a,1,2.5", "not JSON: JSON is malformed: invalid character", 0),
        (b'{"device":"\xff","time":1}', "not UTF-8: invalid start byte", 11),
        (b'{"device":"a\xc3","time":1}', "not UTF-8: invalid continuation byte", 12),
        (b'{"device":"\xed\xa0\x80","time":1}', "not UTF-8", 11),
        (b'{"device":"\\ud800","time":1}', "not JSON: JSON is malformed", 17),
        (b'\xef\xbb\xbf{"device":"a",x}', "not JSON: JSON is malformed", 17),
        (b"\xff\xfe{\0}\0", "not UTF-8: invalid start byte", 0),
        (b"[]", "it is a JSON array, not an object", 0),
        (b"[" + GOOD + b"]", "it is a JSON array, not an object", 0),
        (b'"a"', "it is a JSON string, not an object", 0),
        (b"1.5", "it is a JSON number, not an object", 0),
        (b"true", "it is a JSON boolean, not an object", 0),
        (b"null", "it is a JSON null, not an object", 0),
        (b"[" * 100_000, "not JSON: it is nested too deeply", None),
        (b'{"x":' * 100_000, "not JSON: it is nested too deeply", None),
        (
            b'{"device":"a","time":1,"x":' + b"[" * 100_000,
            "not JSON: it is nested too deeply",
            None,
        ),
        (b"{}", "device: it has no device", None),
        (b'{"time":1}', "device: it has no device", None),
        (b'{"device":null,"time":1}', "device: it has no device", None),
        (b'{"device":"","time":1}', "device: it has no device", None),
        (b'{"device":"  ","time":1}', "device: '  ' is not a device", None),
        (b'{"device":["a"],"time":1}', "device: ['a'] is not a device", None),
        (b'{"device":{"a":1},"time":1}', "device: {'a': 1} is not a device", None),
        (b'{"device":true,"time":1}', "device: True is not a device", None),
        (b'{"device":1.5,"time":1}', "device: 1.5 is not a device", None),
        (b'{"device":"a"}', "time: it has no time", None),
        (b'{"device":"a","time":null}', "time: it has no time", None),
        (b'{"device":"a","time":"soon"}', "time: 'soon' is not a time", None),
        (b'{"device":"a","time":true}', "time: True is not a time", None),
        (b'{"device":"a","time":[1]}', "time: [1] is not a time", None),
        (b'{"device":"a","time":1e300}', "time: 1e+300 is a time outside the years", None),
        (b'{"device":"a","time":' + b"9" * 400 + b"}", "time: 999", None),
        (b'{"device":"a","time":' + b"9" * 5000 + b"}", "not JSON: Integer value out of r", None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_cannot_become_a_reading_is_dead_with_its_reason_and_harms_no_other(
    payload: bytes, reason: str, byte: int | None
) -> None:
    rows, dead = between(payload)
    assert rows == []
    ((i, why, at),) = dead
    assert (i, at) == (1, byte)
    assert why.startswith(reason)


@pytest.mark.parametrize("more", [b"x", b",", GOOD])
def test_what_follows_an_object_is_pointed_at(more: bytes) -> None:
    rows, dead = between(GOOD + more)
    assert rows == []
    ((_, why, byte),) = dead
    assert why.startswith("not JSON: JSON is malformed: trailing characters")
    assert byte in (len(GOOD), len(GOOD) + 1)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"t": "2.5"}, {"t": 2.5}),
        ({"t": " 2.5 "}, {"t": 2.5}),
        ({"t": True}, {"t": 1.0}),
        ({"t": None}, {"t": None}),
        ({"t": ""}, {"t": None}),
        ({"t": "n/a"}, {"t": None}),
        ({"t": "NaN"}, {"t": None}),
        ({"t": "hot"}, {"t": None, "quality": {"t": ["invalid"]}}),
        ({"t": [1, 2]}, {"t": None, "quality": {"t": ["invalid"]}}),
        ({"t": []}, {"t": None, "quality": {"t": ["invalid"]}}),
        ({"t": {"value": 1}}, {"t": None, "quality": {"t": ["invalid"]}}),
        ({"t": 10**400}, {"t": None, "quality": {"t": ["invalid"]}}),
        ({"t": 1e-400}, {"t": 0.0}),
        ({"t": 2**63}, {"t": 2.0**63}),
        ({"device": 5}, {"device": "5"}),
        ({"site": 5}, {"site": "5"}),
        ({"site": ""}, {"site": None}),
        ({"site": None}, {"site": None}),
        ({"site": True}, {"site": "True"}),
        ({"time": "2"}, {"time": 2 * 10**9}),
        ({"extra": {"deep": [1, {"x": None}]}}, {}),
        ({"device": "Größe \u2603"}, {"device": "Größe \u2603"}),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_value_of_a_wrong_type_costs_that_value_only(
    fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    rows, dead = between(json.dumps({**json.loads(GOOD), **fields}).encode())
    assert dead == []
    assert rows == [{**ROW, **expected}]


def test_the_last_of_two_equal_keys_counts() -> None:
    rows, dead = between(b'{"device":"a","device":"b","time":1,"t":1,"t":2,"site":"x"}')
    assert dead == []
    assert (rows[0]["device"], rows[0]["t"]) == ("b", 2.0)


def test_a_bom_is_passed_over() -> None:
    assert between(b"\xef\xbb\xbf" + GOOD) == ([ROW], [])


def test_fields_may_be_called_anything() -> None:
    names = ["f0", "type", "", "PM2.5", "a b", "Größe", "__class__", "self"]
    schema = Schema("device", "time", dict.fromkeys(names, Sensor()))
    payload = {"device": "a", "time": 1} | {name: float(i) for i, name in enumerate(names)}
    rows, dead = decode(json.dumps(payload).encode(), schema=schema)
    assert dead == []
    assert [rows[0][name] for name in names] == [float(i) for i in range(len(names))]


def test_readings_arrive_when_the_messages_came() -> None:
    decoder = Json().decoder(SCHEMA)
    assert decoder.decode(Messages([GOOD], [0], arrived=77), print).batch.arrived.tolist() == [77]
    assert decoder.decode(Messages([GOOD], [0]), print).batch.arrived.tolist() == [10**9]


def test_one_vocabulary_of_devices_serves_all_batches() -> None:
    decoder = Json().decoder(SCHEMA)
    first = decoder.decode(Messages([GOOD], [0]), print).batch
    second = decoder.decode(Messages([GOOD.replace(b'"a"', b'"b"'), GOOD], [1, 2]), print).batch
    assert second.devices is first.devices
    assert [second.name(i) for i in range(2)] == ["b", "a"]


def test_any_damage_is_a_reading_or_a_dead_letter_never_an_exception() -> None:
    rng = random.Random(1)
    payloads = []
    for _ in range(3000):
        damaged = bytearray(GOOD)
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        payloads.append(bytes(damaged[: rng.randrange(1, len(damaged) + 1)]))
    rows, dead = decode(*payloads)
    assert len(rows) + len(dead) == len(payloads)
    assert rows
    assert len({i for i, _, _ in dead}) == len(dead)


def test_of_thousands_of_messages_each_keeps_its_own_place() -> None:
    several = Json(readings=".").decoder(Schema("device", "time", {"t": Sensor()}))
    payloads = [b'[{"device": "a", "time": %d, "t": %d}]' % (i, i) for i in range(2500)]
    for i in (3, 1023, 1024, 2499):
        payloads[i] = b"[" + b" " * i
    dead: list[int] = []
    batch, message = several.decode(
        Messages(payloads, range(2500)), lambda i, reason, byte=None: dead.append(i)
    )
    assert dead == [3, 1023, 1024, 2499]
    assert message.tolist() == batch["t"].tolist() == sorted({*range(2500)}.difference(dead))


def test_a_key_that_no_message_can_hold_as_it_is_is_an_error() -> None:
    for name in ('a"b', "a\\b", "a\n"):
        with pytest.raises(FlowError, match="no field can stand at"):
            Json().decoder(Schema("device", "time", {name: Sensor()}))
