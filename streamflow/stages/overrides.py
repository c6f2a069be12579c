"""Limits of single devices, from a table."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from math import inf
from pathlib import Path

from streamflow.core.schema import Schema
from streamflow.errors import FlowError, suggest

Limits = Mapping[str, tuple[float, float]]
"""Sensor -> (low, high)."""


def check_limits(place: str, sensor: str, low: float, high: float, schema: Schema) -> None:
    """Raise FlowError for a sensor that is none, and for limits that contradict each other."""
    if sensor not in schema.sensors:
        raise FlowError(f"{place}: no sensor {sensor!r}; {suggest(sensor, schema.sensors)}")
    if not low < high:
        raise FlowError(
            f"{place}: the limits of {sensor!r} contradict each other: "
            f"low {low} is not below high {high}"
        )


def read_overrides(place: str, path: Path, schema: Schema) -> dict[str, Limits]:
    """Device -> its limits, from a CSV file with the columns device,sensor,low,high."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _table(f"{place}: {path}", csv.DictReader(file), schema)
    except OSError as error:
        raise FlowError(f"{place}: cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise FlowError(f"{place}: {path} is not CSV in UTF-8: {error}") from None


def _table(path: str, rows: csv.DictReader[str], schema: Schema) -> dict[str, Limits]:
    if not {"device", "sensor", "low", "high"} <= set(rows.fieldnames or ()):
        raise FlowError(f"{path}, line 1: the columns are device,sensor,low,high")
    table: dict[str, dict[str, tuple[float, float]]] = {}
    lines: dict[tuple[str, str], int] = {}
    for row in rows:
        place = f"{path}, line {rows.line_num}"
        if None in row or None in row.values():
            raise FlowError(f"{place}: it has more or fewer fields than the header")
        try:
            low, high = float(row["low"] or -inf), float(row["high"] or inf)
        except ValueError as error:
            raise FlowError(f"{place}: {error}") from None
        device, sensor = row["device"], row["sensor"]
        check_limits(place, sensor, low, high, schema)
        first = lines.setdefault((device, sensor), rows.line_num)
        if table.get(device, {}).get(sensor, (low, high)) != (low, high):
            raise FlowError(f"{place}: {sensor!r} of {device!r} has other limits in line {first}")
        table.setdefault(device, {})[sensor] = (low, high)
    return dict(table)


def unseen(step: str, key: str, named: Collection[str], seen: Collection[str]) -> Sequence[str]:
    """What to say of devices that a table names and that never came."""
    missing = [name for name in named if name not in seen]
    if not missing:
        return ()
    shown = ", ".join(map(repr, missing[:3])) + (", ..." if len(missing) > 3 else "")
    return (
        f"step {step!r}: {key}: {len(missing):,} of {len(named):,} devices never appeared: {shown}",
    )
