"""The stages that are measured, each beside the loop that one would write for each reading."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from river import preprocessing, stats

from benchmarks.kernels.data import SENSORS
from streamflow import Despike, Impute, Stage, Stuck, Validate

LOW, HIGH = -50.0, 50.0
Loop = Callable[[Sequence[str], Sequence[dict[str, Any]]], None]
"""Handles readings one by one: their devices, and their values by sensor, None where missing."""


@dataclass(frozen=True)
class Stages:
    """What is measured: stages in a row, and the loop to hold them against, if there is one."""

    name: str
    stages: tuple[Stage, ...]
    loop: Callable[[], Loop] | None = None
    floor: float | None = None


def in_range() -> Loop:
    """Range and infinity, in Python."""

    def loop(_: Sequence[str], xs: Sequence[dict[str, Any]]) -> None:
        for x in xs:
            for name, value in x.items():
                if value is not None and not LOW <= value <= HIGH:
                    x[name] = None

    return loop


def flatline() -> Loop:
    """How long each value has stood, in Python."""
    runs: dict[tuple[str, str], list[float]] = {}

    def loop(devices: Sequence[str], xs: Sequence[dict[str, Any]]) -> None:
        for device, x in zip(devices, xs, strict=True):
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
    """Median and MAD of the last 7 values, in Python."""
    windows: dict[tuple[str, str], deque[float]] = {}

    def loop(devices: Sequence[str], xs: Sequence[dict[str, Any]]) -> None:
        for device, x in zip(devices, xs, strict=True):
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

        def loop(devices: Sequence[str], xs: Sequence[dict[str, Any]]) -> None:
            for device, x in zip(devices, xs, strict=True):
                if device not in own:
                    own[device] = make()
                own[device].transform_one(x)
                own[device].learn_one(x)

        return loop

    return begin


def _imputer(make: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: preprocessing.StatImputer(*((name, make()) for name in SENSORS))


ALL = dict.fromkeys(SENSORS, 10.0)
CHAIN = Stages(
    "Validate | Stuck | Despike | Impute", (Validate(), Stuck(), Despike(), Impute("1h"))
)
CASES = [
    Stages("Validate", (Validate(),), in_range, 8),
    Stages("Validate, rates", (Validate(rates=ALL),)),
    Stages("Validate, units", (Validate(units=dict.fromkeys(SENSORS, "degF")),)),
    Stages("Stuck", (Stuck(),), flatline, 2.5),
    Stages("Despike", (Despike(),), hampel, 10),
    Stages("Impute", (Impute("1h"),), river(preprocessing.PreviousImputer), 10),
    Stages("Impute, mean", (Impute("1h", by="mean"),), river(_imputer(stats.Mean)), 10),
    Stages("Impute, median", (Impute("1h", by="median"),), river(_imputer(stats.Quantile)), 4),
    Stages("Impute, linear", (Impute("1h", by="linear"),)),
    Stages("Impute, seasonal", (Impute("2d", by="seasonal"),)),
    Stages("Impute, regression", (Impute("1h", by="regression"),)),
]
