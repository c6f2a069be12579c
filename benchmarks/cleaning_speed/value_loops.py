"""The other side of the value stages: plain Python or River, one reading after the other.

A loop is given the readings of a batch, each a device and a dict of values, and sets missing or
fills in there. They do less than the stages: `flatline` only counts equal values, `hampel` knows
no steps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from statistics import median
from typing import Any

from river import preprocessing

from benchmarks.cleaning_speed.data import HIGH, LOW, SENSORS, Row

Loop = Callable[[list[tuple[str, Row]]], None]


def in_range() -> Loop:
    """Range and infinity."""

    def loop(rows: list[tuple[str, Row]]) -> None:
        for _, x in rows:
            for name, value in x.items():
                if value is not None and not LOW <= value <= HIGH:
                    x[name] = None

    return loop


def flatline() -> Loop:
    """How long each value has stood."""
    runs: dict[tuple[str, str], list[float]] = {}

    def loop(rows: list[tuple[str, Row]]) -> None:
        for device, x in rows:
            for name, value in x.items():
                run = runs.setdefault((device, name), [0.0, 0])
                if value == run[0]:
                    run[1] += 1
                    if run[1] >= 60:
                        x[name] = None
                elif value is not None:
                    run[:] = value, 1

    return loop


def hampel() -> Loop:
    """Median and MAD of the last 7 values."""
    windows: dict[tuple[str, str], deque[float]] = {}

    def loop(rows: list[tuple[str, Row]]) -> None:
        for device, x in rows:
            for name, value in x.items():
                last = windows.setdefault((device, name), deque(maxlen=7))
                if value is None:
                    continue
                if len(last) == 7:
                    middle = median(last)
                    spread = median([abs(one - middle) for one in last])
                    if abs(value - middle) > 5 * 1.4826 * spread:
                        x[name] = None
                        continue
                last.append(value)

    return loop


def river(make: Callable[[], Any]) -> Callable[[], Loop]:
    """An imputer of River per device."""

    def begin() -> Loop:
        own: dict[str, Any] = {}

        def loop(rows: list[tuple[str, Row]]) -> None:
            for device, x in rows:
                if device not in own:
                    own[device] = make()
                own[device].transform_one(x)
                own[device].learn_one(x)

        return loop

    return begin


def statistic(make: Callable[[], Any]) -> Callable[[], Loop]:
    """River's imputer by a statistic of each sensor."""
    return river(lambda: preprocessing.StatImputer(*((name, make()) for name in SENSORS)))
