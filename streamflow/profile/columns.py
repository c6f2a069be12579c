"""Columns: which field of a file is the device, which the time, which are sensors and tags."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from streamflow.core.schema import Schema, Sensor
from streamflow.errors import FlowError, suggest
from streamflow.formats.columns import numbers
from streamflow.formats.times import TimeParser

TIMES = (
    *("timestamp", "time", "datetime", "date_time", "ts", "@timestamp", "_time", "event_time"),
    *("eventtime", "measured_at", "created_at", "recorded_at", "sampled_at", "date", "at"),
    *("epoch", "unix_time"),
)
DEVICES = (
    *("device", "device_id", "deviceid", "machine", "machine_id", "machineid", "asset", "asset_id"),
    *("equipment", "equipment_id", "unit", "unit_id", "unit_number", "station", "station_id"),
    *("sensor_id", "node", "node_id", "host", "hostname", "serial", "serial_number", "vehicle"),
    *("turbine", "turbine_id", "pump", "pump_id", "meter", "meter_id", "source_id", "id", "name"),
    "file",
)
LABELS = (
    *("anomaly", "is_anomaly", "anomalous", "changepoint", "change_point", "label", "labels"),
    *("target", "class", "fault", "is_fault", "failure", "machine_failure", "machine_status", "y"),
    *("outlier", "is_outlier"),
)
CHANNELS = (
    *("sensor", "sensor_name", "sensor_type", "sensor_id", "channel", "signal", "variable", "name"),
    *("parameter", "param", "metric", "metric_name", "measurement", "measure", "quantity"),
    *("observed_property", "property", "attribute", "datapoint", "point", "tag", "tag_name"),
    *("field", "_field", "key"),
)
VALUES = ("value", "_value", "val", "v", "reading", "measured_value", "result", "data")
NUMBERS = ("", "index", "row", "id", "unnamed: 0", "no", "seq", "_id")
FORMS = (
    *("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M"),
    *("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M"),
    *("%m/%d/%y %H:%M", "%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M", "%m/%d/%Y %I:%M:%S %p"),
    *("%Y%m%d%H%M%S", "%d %b %Y %H:%M:%S"),
)
_MISSING = {None, "", "null", "none", "na", "n/a", "nan", "NaN", "NA", "NULL"}
Cells = Mapping[str, Sequence[Any]]
"""Column -> raw values of some messages."""


@dataclass(frozen=True)
class Roles:
    """What each column is.

    Parameters
    ----------
    device, time
        Their names; `device=None`: all readings are of one device.
    sensors, tags
        The numeric columns, and those of words.
    left_out
        name -> why it is neither.
    long
        In the long format, a row for each sensor: the columns of its name and of its value.
    """

    device: str | None
    time: str
    sensors: tuple[str, ...]
    tags: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    timezone: str = "UTC"
    time_format: str | None = None
    long: tuple[str, str] | None = None

    @property
    def schema(self) -> Schema:
        """The schema of a flow for it."""
        sensors = {name: Sensor() for name in self.sensors}
        device = self.device or "device"
        return Schema(device, self.time, sensors, self.tags, self.timezone, self.time_format)


@dataclass(frozen=True)
class Wish:
    """What the user says of the columns; None is for us to guess."""

    device: str | None = None
    time: str | None = None
    sensors: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    timezone: str = "UTC"
    time_format: str | None = None


def guess(found: Cells, wish: Wish, place: str) -> Roles:
    """The role of each column, as the user says or by name and content; FlowError without a time.

    >>> cells = {"ts": ["2026-01-01T00:00:00Z"] * 4, "pump": ["a", "b"] * 2, "bar": ["4.1"] * 4}
    >>> roles = guess(cells, Wish(), "pumps.csv")
    >>> roles.device, roles.time, roles.sensors
    ('pump', 'ts', ('bar',))
    """
    for name in (wish.device or None, wish.time, *(wish.sensors or ()), *(wish.tags or ())):
        if name and name != "none" and name not in found:
            raise FlowError(f"{place}: no column {name!r}; {suggest(name, found)}")
    left: dict[str, str] = {}
    time, form = _time(found, wish, place)
    rest = {name: values for name, values in found.items() if name != time}
    usable = {}
    for name, values in rest.items():
        why = _unusable(name, values)
        if why and name not in (wish.sensors or ()) and name != wish.device:
            left[name] = why
        else:
            usable[name] = values
    long = None if wish.sensors else _long(usable, wish)
    others = {name: values for name, values in usable.items() if name not in (long or ())}
    device = None if wish.device == "none" else wish.device or _device(others)
    if long and device is None and wish.device != "none":
        long, device = None, _device(usable)  # a name for each row, and nothing else: a device
    rest = {name: values for name, values in usable.items() if name not in (device, *(long or ()))}
    for name in ("device", "time"):
        if name in rest and name not in (device, time):
            left[name] = f"every row has a {name} of its own"
            del rest[name]
    numeric = [name for name, values in rest.items() if _numeric(values)]
    sensors = _channels(usable[long[0]]) if long else wish.sensors
    if long:
        left |= {n: "it stands beside the value" for n in numeric if n not in (wish.tags or ())}
    elif sensors is None:
        for name in numeric:
            why = _no_sensor(name, rest[name])
            if why and name not in (wish.tags or ()):
                left[name] = why
        sensors = tuple(n for n in numeric if n not in left and n not in (wish.tags or ()))
    if not sensors:
        raise FlowError(f"{place}: no column of numbers among {', '.join(found)}; say --sensors")
    tags = wish.tags
    if tags is None:
        words = [n for n in rest if n not in sensors and n not in left]
        tags = tuple(n for n in words if _repeats(rest[n]))
        left |= {n: "nearly every reading has a word of its own" for n in words if n not in tags}
    roles = Roles(device, time, sensors, tags, left, wish.timezone, form, long)
    return replace(
        roles, left_out={n: why for n, why in left.items() if n not in (*sensors, *tags)}
    )


def _known(values: Sequence[Any]) -> list[Any]:
    return [v for v in values if not (isinstance(v, str) or v is None) or v not in _MISSING]


def _unusable(name: str, values: Sequence[Any]) -> str:
    known = _known(values)
    if not name.strip() or not name.isprintable() or '"' in name or "\\" in name:
        return "its name cannot name a field"
    if not known:
        return "it has no value"
    if any(isinstance(v, (dict, list)) for v in known):
        return "it holds objects or lists"
    return ""


def _numeric(values: Sequence[Any]) -> bool:
    known = _known(values)
    if any(isinstance(v, bool) for v in known):
        return False
    _, invalid = numbers(known)
    return invalid is None or float(invalid.mean()) < 0.1


def _no_sensor(name: str, values: Sequence[Any]) -> str:
    """Why a column of numbers is no sensor: a label, or a running number; empty if it is one."""
    got, _ = numbers(_known(values))
    distinct = set(got.tolist())
    if name.lower() in LABELS and len(distinct) <= 2 and distinct <= {0.0, 1.0}:
        return "it looks like a label, not like something measured"
    counting = len(got) > 2 and bool((np.diff(got[:20]) == 1).all())
    if counting and name.lower() in NUMBERS:
        return "it numbers the rows"
    return ""


def _repeats(values: Sequence[Any]) -> bool:
    known = list(map(str, _known(values)))
    return len(set(known)) <= max(len(known) / 2, 1)


def _long(found: Cells, wish: Wish) -> tuple[str, str] | None:
    """The columns of the name and of the value, where each row is of the sensor that it names."""
    for by in (name for known in CHANNELS for name in found if name.lower() == known):
        if by in (wish.device, *(wish.tags or ())) or _numeric(found[by]):
            continue
        for value in (name for known in VALUES for name in found if name.lower() == known):
            several = len(_channels(found[by])) > 1 and _repeats(found[by])
            if several and _numeric(found[value]):
                return by, value
    return None


def _channels(values: Sequence[Any]) -> tuple[str, ...]:
    """The sensors that are named, each of which a field of a flow may be called after."""
    named = dict.fromkeys(str(name) for name in _known(values))
    return tuple(
        name
        for name in named
        if name not in ("device", "time") and not _unusable(name, [name]) and name.strip() == name
    )


def _device(found: Cells) -> str | None:
    """The column of the device: by name, else the one of words that tells most apart."""
    by_name = [name for known in DEVICES for name in found if name.lower() == known]
    for name in by_name:
        values = _known(found[name])
        whole = all(isinstance(v, int) or str(v).isdecimal() for v in values)
        if _repeats(values) and (whole or not _numeric(values)):
            return name
    words = [n for n, values in found.items() if not _numeric(values) and _repeats(values)]
    if not words:
        return None
    return max(words, key=lambda n: len(set(map(str, _known(found[n])))))


def _time(found: Cells, wish: Wish, place: str) -> tuple[str, str | None]:
    """The column of the time, and its format where it needs one."""
    named = [name for known in TIMES for name in found if name.lower() == known]
    others = [name for name in found if name not in named]
    for name in [wish.time] if wish.time else [*named, *others]:
        values = _known(found[name])[:500]
        if wish.time_format:
            return name, wish.time_format
        for form in (None, *FORMS):
            if _parse(values, wish, form) and (name in (*named, wish.time) or _recent(values)):
                return name, form
    if wish.time:
        shown = _known(found[wish.time])[:1]
        raise FlowError(
            f"{place}: cannot read the times in {wish.time!r}, such as {shown}; say --time-format"
        )
    raise FlowError(f"{place}: which column is the time? Say --time; it has {', '.join(found)}")


def _parse(values: Sequence[Any], wish: Wish, form: str | None) -> bool:
    parser = TimeParser(Schema("device", "time", {}, (), wish.timezone, form))
    if form and not all(isinstance(v, str) for v in values):
        return False
    good = 0
    for value in values:
        try:
            parser.one(value)
        except ValueError:
            continue
        good += 1
    return good > 0.9 * len(values) > 0


def _recent(values: Sequence[Any]) -> bool:
    """Whether they are times even without a name that says so: text, or numbers of this age."""
    got, invalid = numbers(values)
    if invalid is not None and invalid.any():
        return bool(re.search(r"\d[-/.:T]\d", str(values[0])))
    return bool(((got > 9e8) & (got < 4.2e9) | (got > 9e11) & (got < 4.2e12)).all())
