"""Facts: what a survey found about each device and each of its sensors, in plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamflow.core.batch import Values
from streamflow.profile.survey import BINS, Survey
from streamflow.profile.units import conversion

GAP = 5
"""A gap is longer than so many usual intervals."""
WINDOW = 16
"""A change of unit is looked for between so many values and as many after them."""


class Stretch(NamedTuple):
    """A stretch of event time, ns UTC, and how many readings it has."""

    start: int
    end: int
    readings: int


@dataclass(frozen=True)
class SensorFacts:
    """One sensor of one device; shares and percentiles are those of a uniform sample.

    Parameters
    ----------
    values, missing, infinite, invalid
        How many are numbers, not there, infinite, no numbers at all.
    low, high
        The extremes.
    percentiles
        1st, 5th, 50th, 95th, 99th.
    step
        The smallest difference between two values; 0 if there are too many to say.
    levels
        How many different values there are in the sample.
    change
        The 99th percentile of the change from reading to reading.
    rate
        The same of the change per second.
    spikes
        About how many values jump away from both their neighbours, far more than usual.
    longest
        The longest run of equal values.
    usual_run
        The longest run to expect from how often a value repeats.
    ceiling, at_ceiling
        The commonest value of the upper quarter, and the share of values that equal it.
    converted
        A unit that the later values seem to have, as in "degC to degF", and from when on.
    """

    values: int
    missing: int
    infinite: int
    invalid: int
    low: float
    high: float
    percentiles: tuple[float, float, float, float, float]
    step: float
    levels: int
    change: float
    rate: float
    spikes: int
    longest: Stretch
    usual_run: float
    ceiling: float
    at_ceiling: float
    converted: tuple[str, int] | None

    @property
    def spread(self) -> float:
        """From the 1st to the 99th percentile."""
        return self.percentiles[4] - self.percentiles[0]

    @property
    def stuck(self) -> bool:
        """Whether the longest run of equal values is much longer than the sensor's habit."""
        return self.longest.readings > 3 * self.usual_run + 10

    @property
    def constant(self) -> bool:
        """Whether it never changes."""
        return self.values > 0 and self.low == self.high

    @property
    def saturated(self) -> bool:
        """Whether it stands at one high value far more often than at others."""
        usual = 1 / max(self.levels, 1)
        return self.levels > 20 and self.at_ceiling > max(0.02, 5 * usual)

    @property
    def coarse(self) -> bool:
        """Whether it comes in few steps."""
        return not self.constant and 0 < self.levels <= 20 and self.values > 20 * self.levels


@dataclass(frozen=True)
class DeviceFacts:
    """One device; times and durations in ns.

    Parameters
    ----------
    every
        The usual interval between its readings.
    gaps
        How many intervals are longer than `GAP` usual ones.
    longest
        The longest of them: (from, how long).
    copies, same_time
        Readings that came again; others with the time of the one before.
    late, late_most
        Readings behind a later one, and by how much at most.
    set_back, back
        How often the clock went back, and the largest steps: (at, by).
    old, ahead
        Readings before the year 2000, and in the future.
    lag
        How far its clock is ahead of the arrival; 0 for history.
    correlations
        (sensor, sensor) -> Pearson's r, of those above 0.7.
    """

    device: str
    readings: int
    first: int
    last: int
    every: int
    gaps: int
    longest: Sequence[tuple[int, int]]
    copies: int
    same_time: int
    late: int
    late_most: int
    set_back: int
    back: Sequence[tuple[int, int]]
    old: int
    ahead: int
    lag: int
    sensors: Mapping[str, SensorFacts]
    correlations: Mapping[tuple[str, str], float]
    sample: Mapping[str, NDArray[Any]] = field(repr=False, compare=False)
    """`time`, and a column for each sensor: a sample of its readings in order of time."""


def facts(survey: Survey) -> list[DeviceFacts]:
    """The facts of all devices for which there was room, by name."""
    survey.settle()
    t = survey.table
    rows = [row for row in range(len(survey.index.names)) if row < len(t.get("count", ()))]
    return sorted(
        (_device(survey, row) for row in rows if t["count"][row]), key=lambda one: one.device
    )


def _device(survey: Survey, row: int) -> DeviceFacts:
    t = {name: column[row] for name, column in survey.table.items()}
    count = int(t["count"])
    kept = min(count, len(t["sample_time"]))
    order = np.argsort(t["sample_time"][:kept], kind="stable")
    steps = t["sample_step"][:kept]
    every = int(np.median(steps[steps > 0])) if (steps > 0).any() else 0
    longest = _pairs(t["gap_at"], t["gap"], GAP * every)
    return DeviceFacts(
        survey.index.names[row],
        count + int(t["copies"]),
        int(t["first"]),
        int(t["last"]),
        every,
        _gaps(t["steps"], every, len(longest)),
        longest,
        int(t["copies"]),
        int(t["same"]),
        int(t["late"]),
        int(t["late_most"]),
        int(t["set_back"]),
        _pairs(t["back_at"], t["back"], 0),
        int(t["old"]),
        int(t["ahead"]),
        int(np.median(t["sample_lag"][:kept])),
        {name: _sensor(t, i, count, kept, order) for i, name in enumerate(survey.sensors)},
        _correlations(t["sample"][:kept], survey.sensors),
        {
            "time": t["sample_time"][:kept][order],
            **{n: t["sample"][:kept, i][order] for i, n in enumerate(survey.sensors)},
        },
    )


def _pairs(at: Values, size: Values, least: int) -> list[tuple[int, int]]:
    both = zip(at.tolist(), size.tolist(), strict=True)
    return [(a, s) for a, s in both if s > max(least, 0)]


def _gaps(steps: NDArray[np.int32], every: int, known: int) -> int:
    """How many intervals are gaps, to the next quarter of a power of two."""
    if not every or not known:
        return known
    edge = int(np.ceil(np.log2(GAP * every) * 4))
    return max(int(steps[min(edge, BINS - 1) :].sum()), known)


def _sensor(t: dict[str, Any], i: int, count: int, kept: int, order: Any) -> SensorFacts:
    sample = t["sample"][:kept, i]
    known = sample[np.isfinite(sample)]
    values = count - int(t["missing"][i]) - int(t["infinite"][i])
    longest = int(t["longest"][i]), int(t["longest_from"][i]), int(t["longest_to"][i])
    if not len(known):
        known = np.zeros(1)
    levels, counts = np.unique(known, return_counts=True)
    differ = np.diff(levels)
    upper = np.searchsorted(levels, np.percentile(known, 75))
    top = upper + int(np.argmax(counts[upper:]))
    moves = np.abs(t["sample_change"][:kept, i])
    moves, seconds = moves[np.isfinite(moves)], t["sample_step"][:kept] / 1e9
    rates = np.abs(t["sample_change"][:kept, i])[seconds > 0] / seconds[seconds > 0]
    rates = rates[np.isfinite(rates)]
    percentiles = tuple(np.percentile(known, [1, 5, 50, 95, 99]).tolist())
    usual = float(np.percentile(moves, 95)) if len(moves) else 0.0
    bar = max(4 * usual, 0.3 * (percentiles[3] - percentiles[1]))
    far = np.count_nonzero(t["sample_peak"][:kept, i] > bar) if bar > 0 else 0
    spikes = round(far * count / max(kept, 1)) or int(0 < bar < float(t["peak"][i]))
    return SensorFacts(
        values,
        int(t["missing"][i]),
        int(t["infinite"][i]),
        int(t["invalid"][i]),
        float(t["low"][i]) if values else 0.0,
        float(t["high"][i]) if values else 0.0,
        percentiles,
        float(differ.min()) if len(differ) and len(levels) < len(known) / 2 else 0.0,
        len(levels),
        float(np.percentile(moves, 99)) if len(moves) else 0.0,
        float(np.percentile(rates, 99)) if len(rates) else 0.0,
        spikes,
        Stretch(longest[1], longest[2], longest[0]),
        _usual_run(values, int(t["repeats"][i]), longest[0]),
        float(levels[top]),
        float(counts[top] / len(known)),
        _converted(t["sample_time"][:kept][order], sample[order]),
    )


def _usual_run(values: int, repeats: int, longest: int) -> float:
    """The longest run to expect if each value repeated the last with the share of all others.

    log(n) / log(1 / p), the longest run of n tosses of a coin with probability p.
    """
    others = max(repeats - (longest - 1), 0) + 1
    p = min(others / max(values - longest, others + 1), 0.9999)
    return log(max(values, 2)) / -log(p) + 1


def _converted(time: Values, sample: Values) -> tuple[str, int] | None:
    """Whether the sensor's unit seems to have changed: which, and when.

    Looked for where the medians of `WINDOW` values before and after differ most.
    """
    known = np.isfinite(sample)
    time, sample = time[known], sample[known]
    if len(sample) < 4 * WINDOW:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(sample, WINDOW)
    medians = np.median(windows, axis=1)
    apart = np.abs(medians[WINDOW:] - medians[:-WINDOW])
    at = int(np.argmax(apart))
    noise = float(np.median(np.ptp(windows, axis=1))) / 4
    name = conversion(float(medians[at]), float(medians[at + WINDOW]), noise)
    return (name, int(time[at + WINDOW])) if name else None


def _correlations(sample: Values, sensors: Sequence[str]) -> dict[tuple[str, str], float]:
    out = {}
    for i, a in enumerate(sensors):
        for j in range(i + 1, len(sensors)):
            x, y = sample[:, i], sample[:, j]
            both = np.isfinite(x) & np.isfinite(y)
            x, y = x[both], y[both]
            if len(x) < 30 or not np.ptp(x) or not np.ptp(y):
                continue
            r = float(np.corrcoef(x, y)[0, 1])
            if abs(r) > 0.7:
                out[a, sensors[j]] = round(r, 3)
    return out


def clocked(device: DeviceFacts) -> bool:
    """Whether its times are moments, not seconds since its start."""
    return device.old < device.readings / 2
