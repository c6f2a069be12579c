from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from streamflow import Alert, Flow
from streamflow.testing.plugin import Readings

FLOW = Flow("plant", device="machine", time="at", sensors=["temperature"]) | Alert(
    "temperature > 90"
)


def test_a_flow_has_a_test_in_five_lines(readings: Readings) -> None:
    rows = readings(machine="a", temperature=[20, 20, 95], every="1m", time="at")
    FLOW.test(rows, expect=[{"device": "a", "time": "2026-01-01T00:02:00Z", "status": "opened"}])


def test_rows_have_the_given_fields_and_scalars_repeat(readings: Readings) -> None:
    assert readings(machine="a", temperature=[20, None], every="1m") == [
        {"machine": "a", "time": "2026-01-01T00:00:00Z", "temperature": 20},
        {"machine": "a", "time": "2026-01-01T00:01:00Z", "temperature": None},
    ]


def test_only_scalars_make_one_row(readings: Readings) -> None:
    assert readings(machine="a", start="2026-03-01T12:00:00+02:00") == [
        {"machine": "a", "time": "2026-03-01T10:00:00Z"}
    ]


@pytest.mark.parametrize("values", [(1.5, 2.5), range(2), np.array([1.5, 2.5])])
def test_tuples_ranges_and_arrays_are_lists(readings: Readings, values: Any) -> None:
    got = [row["temperature"] for row in readings(temperature=values)]
    assert got == list(values)


def test_every_may_be_short(readings: Readings) -> None:
    times = [row["time"] for row in readings(t=[0, 0, 0], every="250ms")]
    assert times[1:] == ["2026-01-01T00:00:00.250Z", "2026-01-01T00:00:00.500Z"]


def test_lists_of_different_length_are_an_error(readings: Readings) -> None:
    with pytest.raises(ValueError, match="equally long: temperature has 3, pressure has 2"):
        readings(machine="a", temperature=[1, 2, 3], pressure=[1, 2])


def test_a_field_named_like_the_time_field_is_an_error(readings: Readings) -> None:
    with pytest.raises(ValueError, match="the field 'at' is filled with times"):
        readings(at=1, time="at")


def test_the_plugin_is_light() -> None:
    code = """
import sys
before = set(sys.modules)
import streamflow.testing.plugin
heavy = {"numpy", "hypothesis", "river", "bytewax"}
print(sorted(heavy & (set(sys.modules) - before)))
print(sorted(m for m in sys.modules if m.startswith("streamflow")))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy, ours = ran.stdout.splitlines()
    assert heavy == "[]"
    assert ours == "['streamflow', 'streamflow.testing', 'streamflow.testing.plugin']"
