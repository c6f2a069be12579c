"""The baselines: what one writes without streamflow, in three styles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks.decode.data import TOGETHER, Form
from benchmarks.hot_path.data import SENSORS

NAN = float("nan")
Loads = Callable[[bytes], Any]


class Table(NamedTuple):
    """Readings in columns: codes of devices, their names, ns since 1970, sensors."""

    device: NDArray[np.int32]
    names: list[str]
    time: NDArray[np.int64]
    sensors: list[NDArray[np.float64]]


def loads_of(form: Form) -> Loads:
    """The decoder of a message into dicts."""
    return orjson.loads if form.pack is orjson.dumps else msgspec.msgpack.Decoder().decode


class Loop:
    """One message after the other into NumPy arrays; a malformed one is kept, the others go on."""

    def __init__(self, form: Form) -> None:
        self._form, self._loads = form, loads_of(form)
        self._codes: dict[str, int] = {}
        self.dead: list[bytes] = []

    def __call__(self, payloads: Sequence[bytes]) -> Table:
        """The readings of a batch of messages."""
        form, loads, codes = self._form, self._loads, self._codes
        nested, several, epoch = form.shape == "nested", form.shape == "several", form.epoch
        most = len(payloads) * (TOGETHER if several else 1)
        device, time = np.empty(most, np.int32), np.empty(most, np.int64)
        columns = [(name, np.empty(most)) for name in SENSORS]
        n = 0
        for payload in payloads:
            try:
                message = loads(payload)
                for reading in message["sent"] if several else (message,):
                    stamp, name = reading["timestamp"], reading["machine"]
                    time[n] = stamp * 1_000_000 if epoch else _ns(stamp)
                    device[n] = codes.setdefault(name, len(codes))
                    values = reading["data"] if nested else reading
                    for sensor, column in columns:
                        column[n] = values.get(sensor, NAN)
                    n += 1
            except (ValueError, KeyError, TypeError, AttributeError):
                self.dead.append(payload)
        return Table(device[:n], list(codes), time[:n], [column[:n] for _, column in columns])


class Lists:
    """The same into lists, of which arrays are made at the end."""

    def __init__(self, form: Form) -> None:
        self._form, self._loads = form, loads_of(form)
        self._codes: dict[str, int] = {}
        self.dead: list[bytes] = []

    def __call__(self, payloads: Sequence[bytes]) -> Table:
        """The readings of a batch of messages."""
        form, loads, codes = self._form, self._loads, self._codes
        nested, several, epoch = form.shape == "nested", form.shape == "several", form.epoch
        device: list[int] = []
        time: list[int] = []
        columns: list[list[float]] = [[] for _ in SENSORS]
        adders = [(name, column.append) for name, column in zip(SENSORS, columns, strict=True)]
        for payload in payloads:
            try:
                message = loads(payload)
                for reading in message["sent"] if several else (message,):
                    stamp, name = reading["timestamp"], reading["machine"]
                    moment = stamp * 1_000_000 if epoch else _ns(stamp)
                    values = reading["data"] if nested else reading
                    time.append(moment)
                    device.append(codes.setdefault(name, len(codes)))
                    for sensor, add in adders:
                        add(values.get(sensor, NAN))
            except (ValueError, KeyError, TypeError, AttributeError):
                self.dead.append(payload)
        sensors = [np.array(column) for column in columns]
        return Table(np.array(device, np.int32), list(codes), np.array(time, np.int64), sensors)


def _ns(stamp: str) -> int:
    return round(datetime.fromisoformat(stamp).timestamp() * 1e6) * 1000


class Comprehensions:
    """A column after the other; one malformed message fails its whole batch."""

    def __init__(self, form: Form) -> None:
        self._form, self._loads = form, loads_of(form)
        self._codes: dict[str, int] = {}

    def __call__(self, payloads: Sequence[bytes]) -> Table:
        """The readings of a batch of messages."""
        form, loads, codes = self._form, self._loads, self._codes
        readings = [loads(payload) for payload in payloads]
        if form.shape == "several":
            readings = [reading for message in readings for reading in message["sent"]]
        device = [codes.setdefault(reading["machine"], len(codes)) for reading in readings]
        stamps = [reading["timestamp"] for reading in readings]
        if form.epoch:
            time = np.array(stamps, np.int64) * 1_000_000
        else:  # NumPy reads them, but for the zone
            time = np.array([s[:-1] for s in stamps], "datetime64[ns]").astype(np.int64)
        if form.shape == "nested":
            readings = [reading["data"] for reading in readings]
        sensors = [np.array([reading.get(name, NAN) for reading in readings]) for name in SENSORS]
        return Table(np.array(device, np.int32), list(codes), time, sensors)
