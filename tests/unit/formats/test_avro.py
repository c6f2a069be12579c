from __future__ import annotations

import io
import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pytest

from streamflow import Avro, Messages, Schema, Sensor

SCHEMA = Schema("device", "time", {"t": Sensor(), "p": Sensor()}, ("site",))
WRITTEN: dict[str, Any] = {
    "type": "record",
    "name": "Reading",
    "fields": [
        {"name": "device", "type": "string"},
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "t", "type": ["null", "double"]},
        {
            "name": "p",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2},
        },
        {"name": "site", "type": {"type": "enum", "name": "Site", "symbols": ["north", "south"]}},
        {"name": "more", "type": {"type": "map", "values": "float"}},
    ],
}
MOMENT = datetime(2026, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "device": "a",
    "time": MOMENT,
    "t": 1.5,
    "p": Decimal("2.25"),
    "site": "south",
    "more": {"x": 1.0},
}
NS = 1_767_225_600_123_456_000
ROW = {"device": "a", "time": NS, "site": "south", "t": 1.5, "p": 2.25}


def packed(thing: Any = GOOD, schema: Any = WRITTEN) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), thing)
    return out.getvalue()


def decode(format_: Avro, *payloads: bytes) -> tuple[list[dict[str, Any]], dict[int, Any]]:
    dead: dict[int, Any] = {}
    messages = Messages(payloads, range(len(payloads)))
    decoded = format_.decoder(SCHEMA).decode(
        messages, lambda i, why, byte=None: dead.setdefault(i, (why, byte))
    )
    return list(decoded.batch.rows()), dead


def test_a_record_is_a_reading(tmp_path: Path) -> None:
    assert decode(Avro(WRITTEN), packed(), packed({**GOOD, "t": None})) == (
        [ROW, {**ROW, "t": None}],
        {},
    )
    file = tmp_path / "reading.avsc"
    file.write_text(json.dumps(WRITTEN))
    assert decode(Avro(file), packed()) == ([ROW], {})


def test_nested_records_and_arrays_of_readings() -> None:
    reading = {
        "type": "record",
        "name": "One",
        "fields": [
            {"name": "time", "type": "long"},
            {
                "name": "v",
                "type": {
                    "type": "record",
                    "name": "V",
                    "fields": [{"name": "t", "type": "float"}, {"name": "p", "type": "int"}],
                },
            },
        ],
    }
    schema = {
        "type": "record",
        "name": "Sent",
        "fields": [
            {"name": "device", "type": "string"},
            {"name": "sent", "type": {"type": "array", "items": reading}},
        ],
    }
    thing = {"device": "a", "sent": [{"time": n, "v": {"t": n, "p": 2 * n}} for n in (1, 2)]}
    format_ = Avro(schema, paths={"t": "v.t", "p": "v.p"}, readings="sent")
    rows, dead = decode(format_, packed(thing, schema), packed({**thing, "sent": []}, schema))
    assert dead == {}
    assert [(row["device"], row["t"], row["p"]) for row in rows] == [("a", 1, 2), ("a", 2, 4)]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", ("empty message", None)),
        (packed()[:-1], ("not Avro of its schema: it ends too early", len(packed()) - 1)),
        (packed() + b"xyz", ("not Avro of its schema: 3 bytes follow its record", len(packed()))),
        (b"\x02\xff", ("not Avro of its schema: a string is not UTF-8: invalid start byte", 2)),
        (
            b"\x02a\x00\x06",
            ("not Avro of its schema: there is no such branch of a union, or symbol", 4),
        ),
        (packed({**GOOD, "device": ""}), ("device: it has no device", None)),
    ],
    ids=repr,
)
def test_what_is_no_record_is_dead_with_reason_and_place_and_harms_no_other(
    payload: bytes, reason: Any
) -> None:
    assert decode(Avro(WRITTEN), packed(), payload, packed()) == ([ROW, ROW], {1: reason})


def test_any_damage_is_a_reading_or_a_dead_letter_never_an_exception() -> None:
    rng = random.Random(1)
    payloads = []
    for _ in range(3000):
        damaged = bytearray(packed())
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        payloads.append(bytes(damaged[: rng.randrange(len(damaged) // 2, len(damaged) + 1)]))
    rows, dead = decode(Avro(WRITTEN), *payloads)
    assert len(rows) + len(dead) == len(payloads)
    assert rows
    assert not any("0x" in why for why, _ in dead.values())
