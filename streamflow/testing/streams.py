"""Streams to test stages with: a frozen value, and a Hypothesis strategy that draws unkind ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from streamflow.core.batch import Batch
from streamflow.core.event import iso
from streamflow.core.quality import Quality, flag_names
from streamflow.core.schema import Sensor
from streamflow.flow.flow import Flow

SECOND = 10**9
_START = 1_767_225_600 * SECOND  # 2026-01-01
_SAME = "same"  # in place of a value: the device's last one
_SILENCES = (SECOND, 0, 10 * SECOND, 60 * SECOND, 3600 * SECOND)
_LAGS = (0, 0, 0, SECOND, 60 * SECOND, 7200 * SECOND, -5 * SECOND, _START)
_VALUES = (0.0, 1.0, 20.0, 20.5, 35.0, 95.0, -5.0, -0.0, 1e-12, 5e-324, 1e300, -1e300)


@dataclass(frozen=True)
class Tick:
    """Time has come to `now`, ns UTC, without a reading."""

    now: int


@dataclass(frozen=True, repr=False)
class Stream:
    """What reaches a shard, in order: batches of readings, and ticks between them.

    Parameters
    ----------
    items
        Batches and ticks; `arrived` and `now` never go back.

    Examples
    --------
    >>> rows = [{"device": "a", "time": i * SECOND, "t": 20.0 + i} for i in range(2)]
    >>> Stream((Batch.of(rows, ["t"]), Tick(60 * SECOND)))
    Stream(
      batch  a 1970-01-01T00:00:00Z t=20.0
             a 1970-01-01T00:00:01Z t=21.0
      tick     1970-01-01T00:01:00Z
    )
    """

    items: tuple[Batch | Tick, ...]

    @cached_property
    def readings(self) -> Batch:
        """All its readings in one batch."""
        return Batch.concat([item for item in self.items if isinstance(item, Batch)])

    @cached_property
    def devices(self) -> Sequence[str]:
        """The devices that it has readings of, in order of appearance."""
        return list(dict.fromkeys(map(self.readings.name, range(len(self.readings)))))

    @property
    def end(self) -> int:
        """The time it has come to at its end."""
        ticks = [item.now for item in self.items if isinstance(item, Tick)]
        return max([*ticks, int(self.readings.arrived.max())])

    def cut(self, cuts: Collection[int]) -> Stream:
        """Its readings cut before these numbers, with those of its ticks that stand at a cut."""
        ticks: dict[int, list[Tick]] = {}
        count = 0
        for item in self.items:
            if isinstance(item, Tick):
                ticks.setdefault(count, []).append(item)
            else:
                count += len(item)
        edges = [0, *sorted(cut for cut in set(cuts) if 0 < cut < count), count]
        items: list[Batch | Tick] = list(ticks.get(0, ()))
        for first, last in pairwise(edges):
            items += [self.readings.take(np.arange(first, last)), *ticks.get(last, ())]
        return Stream(tuple(items))

    def singly(self) -> Stream:
        """Its readings one by one, each after a tick at its arrival, and its own ticks.

        Each reading has a vocabulary of its own, as after a journey.
        """
        items: list[Batch | Tick] = []
        for item in self.cut(range(len(self.readings))).items:
            if isinstance(item, Batch):
                items += [Tick(int(item.arrived[0])), copy(item)]
            else:
                items.append(item)
        return Stream(tuple(items))

    def without(self, device: str, stop: int | None = None) -> Stream:
        """The stream without a device's readings among its first `stop` items."""
        items: list[Batch | Tick] = []
        for number, item in enumerate(self.items):
            if isinstance(item, Batch) and (stop is None or number < stop):
                kept = [i for i in range(len(item)) if item.name(i) != device]
                item = item.take(np.array(kept, np.intp))
            if isinstance(item, Tick) or len(item):
                items.append(item)
        return Stream(tuple(items))

    def only(self, device: str) -> Stream:
        """The readings of one device, and all ticks."""
        left = self
        for other in self.devices:
            left = left if other == device else left.without(other)
        return left

    def __repr__(self) -> str:
        lines = [line for item in self.items for line in _lines(item)]
        return "\n  ".join(["Stream(", *lines]) + "\n)"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        # How Hypothesis and IPython ask; without it they show a dataclass field by field.
        first, *others = repr(self).splitlines()
        printer.text(first)
        for line in others:
            printer.break_()
            printer.text(line)


def _lines(item: Batch | Tick) -> Iterator[str]:
    if isinstance(item, Tick):
        yield f"tick     {iso(item.now)}"
        return
    for i in range(len(item)):
        words = [item.name(i), iso(int(item.time[i]))]
        if item.arrived[i] != item.time[i]:
            words.append(f"arrived={iso(int(item.arrived[i]))}")
        words += [f"{name}={values[i].item()!r}" for name, values in item.columns.items()]
        words += [f"{name}={tag.at(i)!r}" for name, tag in item.tags.items()]
        for name, flags in item.quality.items():
            words += [f"{name}:{flag}" for flag in flag_names(flags[i].item())]
        yield f"{'' if i else 'batch':5}  {' '.join(words)}"


def streams_for(flow: Flow) -> st.SearchStrategy[Stream]:
    """Streams of readings of a few devices with a flow's sensors and tags.

    They have gaps, infinities, tiny and huge values, values at the edges of the sensors' ranges,
    repeated constants and readings, quality flags, event times out of order, alike, ahead, hours
    late and from a clock that was never set, one device that sends most, batches of any size, and
    ticks. `arrived` never goes back.
    """
    sensors: Any = flow.sensors
    flags = [(name, flag) for name in sensors for flag in Quality]
    reading = st.tuples(
        st.sampled_from("aaabbc"),
        st.sampled_from(_SILENCES),
        st.sampled_from(_LAGS),
        st.tuples(*(_values(sensor) for sensor in sensors.values())),
        st.tuples(*(st.sampled_from(["north", "south", None]) for _ in flow.tags)),
        st.sampled_from([*[None] * (2 * len(flags)), *flags]),
        st.sampled_from([1, 1, 1, 2, 6]),
    )
    # Between readings: nothing, the end of a batch, or that and a tick after some time.
    between = st.sampled_from([None, None, None, None, "cut", *_SILENCES])
    parts = st.lists(st.tuples(reading, between), min_size=1, max_size=12)
    return parts.map(lambda drawn: _stream(flow, drawn))


def _values(sensor: Sensor) -> st.SearchStrategy[Any]:
    edges = [edge for edge in (sensor.low, sensor.high) if np.isfinite(edge)]
    beyond = [float(np.nextafter(edge, to)) for edge in edges for to in (-np.inf, np.inf)]
    usual = [*_VALUES, *edges, *beyond, np.inf, -np.inf, np.nan, np.nan, _SAME, _SAME, _SAME]
    return st.sampled_from(usual) | st.floats(-100, 100)


def _stream(flow: Flow, parts: Sequence[Any]) -> Stream:
    clock = _START
    rows: list[dict[str, Any]] = []
    flags = {name: list[int]() for name in flow.sensors}
    ends: dict[int, list[Tick]] = {}
    last: dict[str, dict[str, float]] = {}
    for (device, silence, lag, values, tags, flagged, repeats), after in parts:
        before = last.get(device, {})
        named = zip(flow.sensors, values, strict=True)
        sent = {name: before.get(name, 0.0) if v is _SAME else v for name, v in named}
        last[device] = sent
        words = dict(zip(flow.tags, tags, strict=True))
        for _ in range(repeats):
            clock += silence
            rows.append({"device": device, "time": clock - lag, "arrived": clock, **sent, **words})
            for name, column in flags.items():
                column.append(flagged[1] if flagged and flagged[0] == name else 0)
        if isinstance(after, int):
            clock += after
        if after is not None:
            ends.setdefault(len(rows), []).extend([Tick(clock)] if after != "cut" else [])
    quality = {name: np.array(column, np.uint16) for name, column in flags.items()}
    batch = replace(Batch.of(rows, list(flow.sensors), list(flow.tags)), quality=quality)
    items: list[Batch | Tick] = []
    for start, stop in pairwise(sorted({0, *ends, len(rows)})):
        items += [batch.take(np.arange(start, stop)), *ends.get(stop, ())]
    return Stream(tuple(items))
