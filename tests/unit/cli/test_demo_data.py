from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections import Counter
from datetime import datetime
from functools import cache
from importlib.resources import files

DATA = files("streamflow") / "cli" / "demo_data"

READINGS = {
    "ambient_temperature": 7_267,
    "cpu_utilization": 18_050,
    "key_hold": 1_882,
    "key_updown": 5_315,
    "machine_temperature": 22_695,
    "request_latency": 4_032,
    "taxi_demand": 10_320,
}
INCIDENTS = {
    "ambient_temperature": 2,
    "cpu_utilization": 1,
    "key_hold": 2,
    "key_updown": 2,
    "machine_temperature": 4,
    "request_latency": 3,
    "taxi_demand": 5,
}
FLEET = "768f781abd6fe32d6750d3b34c07389a53b3a9770e4af82507fc380835c519cb"
WINDOWS = "42cb37be1467a7009c00f6b16f1cc49b333e6c4874a04f9746db63c39686a6d5"
LICENCE = "0a0b4d0b10cb1f7ed9ab2993ef93defc03447e6eba9daca1315dd32dae4877e3"


def unpacked() -> bytes:
    return gzip.decompress((DATA / "fleet.csv.gz").read_bytes())


@cache
def fleet() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(unpacked().decode())))


@cache
def incidents() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((DATA / "incidents.csv").read_text())))


def time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_the_bytes_are_the_ones_described() -> None:
    assert hashlib.sha256(unpacked()).hexdigest() == FLEET
    assert hashlib.sha256((DATA / "incidents.csv").read_bytes()).hexdigest() == WINDOWS
    assert hashlib.sha256((DATA / "LICENSE_NAB.txt").read_bytes()).hexdigest() == LICENCE


def test_packing_leaves_no_trace_of_when_and_where() -> None:
    head = (DATA / "fleet.csv.gz").read_bytes()[:10]
    flags, written = head[3], head[4:8]
    assert (flags, written) == (0, bytes(4))


def test_each_machine_has_its_readings() -> None:
    assert list(fleet()[0]) == ["machine", "timestamp", "value"]
    assert Counter(row["machine"] for row in fleet()) == READINGS


def test_readings_are_in_order_of_time() -> None:
    times = [time(row["timestamp"]) for row in fleet()]
    assert times == sorted(times)


def test_values_are_written_as_python_reads_them() -> None:
    assert all(repr(float(row["value"])) == row["value"] for row in fleet())


def test_every_incident_lies_inside_its_machines_data() -> None:
    assert list(incidents()[0]) == ["machine", "start", "end"]
    assert Counter(row["machine"] for row in incidents()) == INCIDENTS
    stamps: dict[str, set[str]] = {machine: set() for machine in READINGS}
    for row in fleet():
        stamps[row["machine"]].add(row["timestamp"])
    for row in incidents():
        assert {row["start"], row["end"]} <= stamps[row["machine"]]
        assert time(row["start"]) < time(row["end"])


def test_incidents_of_a_machine_do_not_overlap() -> None:
    for before, after in zip(incidents(), incidents()[1:], strict=False):
        if before["machine"] == after["machine"]:
            assert time(before["end"]) < time(after["start"])


def test_only_data_and_its_papers_are_shipped() -> None:
    assert {entry.name for entry in DATA.iterdir()} - {"__pycache__"} == {
        "LICENSE_NAB.txt",
        "README.md",
        "fleet.csv.gz",
        "incidents.csv",
    }
