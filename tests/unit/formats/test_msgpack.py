from __future__ import annotations

import random
import struct
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.msgpack import Ext

from streamflow import Messages, MsgPack, Schema, Sensor

SCHEMA = Schema("device", "time", {"t": Sensor()}, ("site",))
GOOD: dict[str, Any] = {"device": "a", "time": 1, "t": 1.5, "site": "north"}
ROW = {"device": "a", "time": 10**9, "site": "north", "t": 1.5}
BYTES = msgspec.msgpack.encode(GOOD)

Dead = list[tuple[int, str, int | None]]


def decode(*payloads: bytes) -> tuple[list[dict[str, Any]], Dead]:
    dead: Dead = []
    messages = Messages(payloads, range(len(payloads)))
    decoded = (
        MsgPack()
        .decoder(SCHEMA)
        .decode(messages, lambda i, why, byte=None: dead.append((i, why, byte)))
    )
    return list(decoded.batch.rows()), dead


def packed(**fields: Any) -> bytes:
    return msgspec.msgpack.encode({**GOOD, **fields})


@pytest.mark.parametrize(
    ("payload", "reason", "byte"),
    [
        (b"", "empty message", None),
        (BYTES[:-1], "not MessagePack: Input data was truncated", None),
        (BYTES + b"x", "not MessagePack: MessagePack data is malformed: trailing", len(BYTES)),
        (b"\xc1", "not MessagePack: MessagePack data is malformed: invalid opcode", 0),
        (b"\x81\xa6device\xc1", "not MessagePack: MessagePack data is malformed", 8),
        (b"\x81\xa6device\xa2\xff\xfe", "not UTF-8: invalid start byte", 9),
        (b"\x81\xa1x" + b"\x91" * 100_000, "not MessagePack: it is nested too deeply", None),
        (b'{"device": "a"}', "not MessagePack: MessagePack data is malformed: trailing", 1),
        (msgspec.msgpack.encode([GOOD]), "it is a MessagePack array, not an object", 0),
        (msgspec.msgpack.encode(b"x"), "it is a MessagePack string of bytes, not an object", 0),
        (msgspec.msgpack.encode(Ext(5, b"x")), "it is a MessagePack extension, not an object", 0),
        (packed(device=b"a"), "device: b'a' is not a device", None),
        (packed(time=b"1"), "time: b'1' is not a time", None),
        (packed(time=[1]), "time: [1] is not a time", None),
        (packed(time=Ext(5, b"12345678")), "time: ", None),
        (packed(time=Ext(-1, b"12345")), "", None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_cannot_become_a_reading_is_dead_with_its_reason_and_harms_no_other(
    payload: bytes, reason: str, byte: int | None
) -> None:
    rows, dead = decode(BYTES, payload, BYTES)
    assert rows == [ROW, ROW]
    ((i, why, at),) = dead
    assert (i, at) == (1, byte)
    assert why.startswith(reason)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"t": "2.5"}, {"t": 2.5}),
        ({"t": None}, {"t": None}),
        ({"t": float("nan")}, {"t": None}),
        ({"t": float("inf")}, {"t": float("inf")}),
        ({"t": 2**63}, {"t": 2.0**63}),
        ({"t": b"hot"}, {"t": None, "quality": {"t": ["invalid"]}}),
        ({"device": 5}, {"device": "5"}),
        ({"time": "2026-01-01T00:00:00Z"}, {"time": 1_767_225_600 * 10**9}),
        ({"extra": {"deep": [1, {b"x": None, 5: 6}]}}, {}),
    ],
    ids=repr,
)
def test_a_value_of_a_wrong_type_costs_that_value_only(
    fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    rows, dead = decode(BYTES, packed(**fields), BYTES)
    assert dead == []
    assert rows == [ROW, {**ROW, **expected}, ROW]


def stamp(ns: int) -> Ext:
    seconds, rest = divmod(ns, 10**9)
    if 0 <= seconds < 2**32 and rest == 0:
        return Ext(-1, struct.pack(">I", seconds))
    if 0 <= seconds < 2**34:
        return Ext(-1, struct.pack(">Q", rest << 34 | seconds))
    return Ext(-1, struct.pack(">Iq", rest, seconds))


@pytest.mark.parametrize("other", [{}, {"device": 7}], ids=["typed", "of another type"])
def test_timestamps_keep_their_nanoseconds(other: dict[str, Any]) -> None:
    rng = random.Random(5)
    times = [rng.randrange(-(2**63) + 10**9, 2**63 - 10**9) for _ in range(200)]
    times += [0, 1, -1, 10**9, 1_767_225_600_123_456_789]
    rows, dead = decode(*(packed(time=stamp(ns), **other) for ns in times))
    assert dead == []
    assert [row["time"] for row in rows] == times


def test_timestamps_of_one_form_are_taken_at_once_and_are_the_same() -> None:
    times = [1_767_225_600_000_000_000 + n * 1_234_567 + 1 for n in range(100)]
    rows, _ = decode(*(packed(time=stamp(ns)) for ns in times))
    assert [row["time"] for row in rows] == times


@pytest.mark.parametrize(
    ("ext", "reason"),
    [
        (Ext(-1, struct.pack(">Iq", 0, 10**12)), "time: 33658-"),
        (Ext(-1, struct.pack(">Q", (10**9 << 34) | 5)), "time: "),
    ],
    ids=["far away", "more than a second of ns"],
)
def test_a_timestamp_that_is_no_moment_is_dead(ext: Ext, reason: str) -> None:
    rows, dead = decode(BYTES, packed(time=ext), packed(time=stamp(5)))
    assert len(rows) == 2
    ((i, why, _),) = dead
    assert i == 1
    assert why.startswith(reason)
    assert "0x" not in why


def test_any_damage_is_a_reading_or_a_dead_letter_never_an_exception() -> None:
    rng = random.Random(1)
    payloads = []
    for _ in range(3000):
        damaged = bytearray(packed(time=stamp(rng.randrange(2**62))))
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        payloads.append(bytes(damaged[: rng.randrange(len(damaged) // 2, len(damaged) + 1)]))
    rows, dead = decode(*payloads)
    assert len(rows) + len({i for i, _, _ in dead}) == len(payloads)
    assert rows
    assert all(np.isfinite(row["time"]) for row in rows)
