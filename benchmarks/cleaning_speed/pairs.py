"""Which stage is compared with which loop, on which data: add a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from river import preprocessing, stats

from benchmarks.cleaning_speed import time_loops, value_loops
from benchmarks.cleaning_speed.data import DISORDERED, GAPPY, SENSORS, Data
from streamflow import (
    Deduplicate,
    Despike,
    GuardClock,
    Impute,
    Reorder,
    Resample,
    Silent,
    Stage,
    Stuck,
    Validate,
)

Loop = Callable[[list[Any]], list[Any] | None]
"""Takes the readings of a batch; gives those that go on, where these must be the stage's."""


@dataclass(frozen=True)
class Pair:
    """A stage, what makes the loop beside it, and how many times faster it is in each size."""

    name: str
    data: Data
    stage: Stage
    loop: Callable[[], Loop] | None = None
    small: float | None = None
    full: float | None = None


_RATES = dict.fromkeys(SENSORS, 10.0)
_UNITS = dict.fromkeys(SENSORS, "degF")
_MEAN, _QUANTILE = value_loops.statistic(stats.Mean), value_loops.statistic(stats.Quantile)
_LAST = value_loops.river(preprocessing.PreviousImputer)

# Runs of the small size take milliseconds on a machine that others use: a lower floor for the
# loops whose figures these move.
PAIRS = (
    Pair("GuardClock", DISORDERED, GuardClock(), time_loops.GuardClock, 8.0, 20.0),
    Pair("Deduplicate", DISORDERED, Deduplicate(), time_loops.Deduplicate, 7.2, 18.0),
    Pair("Reorder", DISORDERED, Reorder(lateness="5s"), time_loops.Reorder, 3.2, 8.0),
    Pair("Silent", DISORDERED, Silent(after="5s"), time_loops.Silent, 6.4, 16.0),
    Pair("Resample", DISORDERED, Resample(every="10s"), time_loops.Resample, 2.4, 6.0),
    Pair("Validate", GAPPY, Validate(), value_loops.in_range, 8.0, 8.0),
    Pair("Validate, rates", GAPPY, Validate(rates=_RATES)),
    Pair("Validate, units", GAPPY, Validate(units=_UNITS)),
    Pair("Stuck", GAPPY, Stuck(), value_loops.flatline, 2.5, 2.5),
    Pair("Despike", GAPPY, Despike(), value_loops.hampel, 10.0, 10.0),
    Pair("Impute", GAPPY, Impute("1h"), _LAST, 10.0, 10.0),
    Pair("Impute, mean", GAPPY, Impute("1h", by="mean"), _MEAN, 10.0, 10.0),
    Pair("Impute, median", GAPPY, Impute("1h", by="median"), _QUANTILE, 4.0, 4.0),
    Pair("Impute, linear", GAPPY, Impute("1h", by="linear")),
    Pair("Impute, seasonal", GAPPY, Impute("2d", by="seasonal")),
    Pair("Impute, regression", GAPPY, Impute("1h", by="regression")),
)
