"""Onset: novelty, seasonal novelty and level of each sensor, and how rare their sum is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import copysign, floor, isfinite, log10, sqrt
from typing import Any, Self

import numpy as np

from streamflow.core.batch import Codes, Mask, Values
from streamflow.core.kernel import kernel, part
from streamflow.core.memory import Field
from streamflow.models.codebook import DIGITS, FLOOR, GROWTH, LARGEST, SMALLEST, Codebooks, room
from streamflow.models.kernels.base import Detector, Fields, Inputs
from streamflow.models.kernels.mahalanobis import Together
from streamflow.models.level import (
    BINS,
    BOUND,
    CHANGED,
    CLIP,
    FADE,
    KNOWN,
    PER_DECADE,
    SETTLED,
    SLOWEST,
    WINDOWS,
)
from streamflow.models.mahalanobis import Mahalanobis
from streamflow.models.onset import Evidence, Onset
from streamflow.models.rarity import HORIZON, TICKS
from streamflow.models.season import ENOUGH, FASTEST, HOURS

SPANS = np.array(WINDOWS)


@part
def _novelty(book, size, ends, row, j, b, edge, value, gaps):  # type: ignore[no-untyped-def]
    """The novelty of a value; leaves its distances in `gaps`."""
    low, high = ends[row, j, b, 0], ends[row, j, b, 1]
    width = max(high - low, max(DIGITS * max(abs(low), abs(high)), SMALLEST))
    product = 1.0
    for k in range(size.shape[3]):
        # Bisection without a branch, which the processor could not foresee.
        one = np.uint64(1)
        first, count = np.uint64(edge[k]), np.uint64(size[row, j, b, k])
        last, at = first + count, first
        while count > one:
            half = count >> one
            at = at + half if book[row, j, b, at + half - one] < value else at
            count -= half
        at = at + one if book[row, j, b, at] < value else at
        if at == last:
            gap = value - book[row, j, b, at - one]
        else:
            gap = book[row, j, b, at] - value
            if at > first and value - book[row, j, b, at - one] < gap:
                gap = value - book[row, j, b, at - one]
        gaps[j, b, k] = gap / width if gap < width else 1.0
        product *= gaps[j, b, k] + FLOOR
    return log10(product) / size.shape[3] + 3


@part
def _retain(book, size, ends, row, j, b, edge, resolution, value, gaps):  # type: ignore[no-untyped-def]
    """Learn a value, given its distances."""
    low, high = ends[row, j, b, 0], ends[row, j, b, 1]
    width = max(high - low, max(DIGITS * max(abs(low), abs(high)), SMALLEST))
    for k in range(size.shape[3]):
        if gaps[j, b, k] <= resolution[k]:
            continue
        first, count = edge[k], int(size[row, j, b, k])
        space = edge[k + 1] - first
        if count >= space:
            step, kept = resolution[k] * width, 1
            for m in range(first + 1, first + count):
                if book[row, j, b, m] - book[row, j, b, first + kept - 1] > step:
                    book[row, j, b, first + kept] = book[row, j, b, m]
                    kept += 1
            count = kept
        if count < space:
            m = first + count
            while m > first and book[row, j, b, m - 1] > value:
                book[row, j, b, m] = book[row, j, b, m - 1]
                m -= 1
            book[row, j, b, m] = value
            count += 1
        size[row, j, b, k] = count
    if not (low <= value and value <= high):
        step = GROWTH * width if low < high else 2 * LARGEST
        ends[row, j, b, 0] = min(low, max(value, low - step))
        ends[row, j, b, 1] = max(high, min(value, high + step))


@part
def _begin(book, size, ends, row, j, b, edge, value):  # type: ignore[no-untyped-def]
    for k in range(size.shape[3]):
        book[row, j, b, edge[k]] = value
        size[row, j, b, k] = 1
    ends[row, j, b, 0] = ends[row, j, b, 1] = value


@part
def _departure(mean, count, row, j, value, hour):  # type: ignore[no-untyped-def]
    return value - mean[row, j, hour] if count[row, j, hour] >= ENOUGH else 0.0


@part
def _follow(mean, count, ends, row, j, b, value, hour):  # type: ignore[no-untyped-def]
    step = value - mean[row, j, hour]
    if count[row, j, hour] >= ENOUGH:
        step = min(max(step, ends[row, j, b, 0]), ends[row, j, b, 1])
    count[row, j, hour] += 1
    mean[row, j, hour] += max(FASTEST, 1.0 / count[row, j, hour]) * step


@part
def _surprise(ring, moments, tail, row, j, readings, value, means, bins):  # type: ignore[no-untyped-def]
    """The surprise at the levels; leaves their means and bins."""
    surprise, count, total = 0.0, 1, value
    at = readings % ring.shape[2]
    for k in range(len(SPANS)):
        if readings < SPANS[k]:
            break
        while count < SPANS[k]:
            at = at - 1 if at > 0 else ring.shape[2] - 1
            total += ring[row, j, at]
            count += 1
        means[j, k] = total / SPANS[k]
        away, sigma = abs(means[j, k] - moments[row, j, k, 0]), sqrt(moments[row, j, k, 1])
        rounding = DIGITS * abs(moments[row, j, k, 0])
        bin_ = 0
        if readings - SPANS[k] >= KNOWN and away > rounding:
            z = min(away / sigma, BOUND) if sigma > rounding else CHANGED
            bin_ = min(max(int((log10(z) + 1) * PER_DECADE), 0), BINS - 1)
        bins[j, k] = bin_
        above = tail[row, j, k, bin_] + tail[row, j, k, bin_ + 1]
        surprise -= log10((0.5 * above + 0.5) / (tail[row, j, k, 0] + 1))
    return surprise / len(SPANS)


@part
def _learn_level(ring, moments, tail, row, j, readings, value, means, bins):  # type: ignore[no-untyped-def]
    for k in range(len(SPANS)):
        if readings < SPANS[k]:
            break
        for m in range(BINS + 1):
            tail[row, j, k, m] *= FADE
        for m in range(bins[j, k] + 1):
            tail[row, j, k, m] += 1
        count = readings - SPANS[k] + 1
        weight = max(SLOWEST, 1.0 / count)
        bound = CLIP * sqrt(moments[row, j, k, 1]) if count > SETTLED else BOUND
        step = min(max(means[j, k] - moments[row, j, k, 0], -bound), bound)
        moments[row, j, k, 0] += weight * step
        moments[row, j, k, 1] = (1 - weight) * (moments[row, j, k, 1] + weight * step * step)
    ring[row, j, readings % ring.shape[2]] = value


@part
def _period(peak, peak_at, peaks, number, row, ticks):  # type: ignore[no-untyped-def]
    """Readings since evidence of nine tenths of this."""
    bar = (9 * ticks + 9) // 10
    left, right = 0, int(peaks[row])
    while left < right:
        middle = (left + right) // 2
        if peak[row, middle] >= bar:
            left = middle + 1
        else:
            right = middle
    return number[row] - (peak_at[row, left - 1] if left > 0 else -1)


@kernel
def _run(  # type: ignore[no-untyped-def]
    readings,
    of,
    across,
    rarity,
    how,
    order,
    rows,
    times,
    x,
    here,
    y,
    good,
    may,
    scored,
    learned,
    scores,
):
    # Whole arrays and indices are handed on: a view of an array costs more than what is done in it.
    book, size, ends, mean, count, ring, moments, tail = of
    number, peak, peak_at, peaks = rarity
    values, season, level, edge, resolution, gamma, warm_up = how
    d, b = readings.shape[1], size.shape[2] - 1
    gaps, gap = np.zeros((d, *size.shape[2:])), np.zeros((1, 1, len(resolution)))
    means, bins = np.zeros((d, len(SPANS))), np.zeros((d, len(SPANS)), np.int64)
    found, same = np.zeros(d), np.zeros(d, np.bool_)
    for i in order:
        row = rows[i]
        hour = int(floor(times[i] / 3600.0) % HOURS) if isfinite(times[i]) else 0
        same[:] = False
        evidence, some = 0.0, False
        # First what is to be scored, then what is to be learned: mostly they are the same.
        for turn in range(2):
            if turn == 1:
                if not np.isnan(scored[i]):
                    evidence += _novelty(*across, row, 0, 0, edge, scored[i], gap)
                ticks = int(evidence * TICKS + 0.5)
                scores[i] = 0.0
                if ticks > 0:
                    period = _period(peak, peak_at, peaks, number, row, ticks)
                    age = min(number[row] + 1, HORIZON) / 1000
                    scores[i] = max(0.0, ticks / TICKS + gamma * log10(period * period / age) / 2)
                if not may[i]:
                    break
                evidence = 0.0
            for j in range(d):
                v = x[i, j] if turn == 0 else y[i, j]
                there = here[i, j] if turn == 0 else good[i, j]
                if not there or not abs(v) <= LARGEST:
                    continue
                known = readings[row, j]
                if known >= (max(warm_up, 1) if turn == 0 else 1):
                    if not same[j]:
                        found[j] = 0.0
                        if values:
                            found[j] += _novelty(book, size, ends, row, j, 0, edge, v, gaps)
                        if season:
                            away = _departure(mean, count, row, j, v, hour)
                            found[j] += _novelty(book, size, ends, row, j, b, edge, away, gaps)
                        if level > 0.0:
                            found[j] += level * _surprise(
                                ring, moments, tail, row, j, known, v, means, bins
                            )
                    evidence = max(evidence, found[j])
                if turn == 0:
                    alike = copysign(1.0, x[i, j]) == copysign(1.0, y[i, j])
                    same[j] = known >= max(warm_up, 1) and x[i, j] == y[i, j] and alike
                    continue
                some = True
                if values and known == 0:
                    _begin(book, size, ends, row, j, 0, edge, v)
                elif values:
                    _retain(book, size, ends, row, j, 0, edge, resolution, v, gaps)
                if season:
                    away = _departure(mean, count, row, j, v, hour)
                    if known == 0:
                        _begin(book, size, ends, row, j, b, edge, away)
                    else:
                        _retain(book, size, ends, row, j, b, edge, resolution, away, gaps)
                    _follow(mean, count, ends, row, j, b, v, hour)
                if level > 0.0:
                    _learn_level(ring, moments, tail, row, j, known, v, means, bins)
                readings[row, j] += 1
        if not some:
            continue
        if not np.isnan(learned[i]):
            if across[1][row, 0, 0, 0] == 0:
                _begin(*across, row, 0, 0, edge, learned[i])
            else:
                evidence += _novelty(*across, row, 0, 0, edge, learned[i], gap)
                _retain(*across, row, 0, 0, edge, resolution, learned[i], gap)
        ticks = int(evidence * TICKS + 0.5)
        top = int(peaks[row])
        while top > 0 and peak[row, top - 1] <= ticks:
            top -= 1
        peak[row, top] = ticks
        peak_at[row, top] = number[row]
        peaks[row] = top + 1
        number[row] += 1


@dataclass(frozen=True)
class Surprising(Detector):
    """An `Onset` over the arrays of all devices.

    State: of each sensor its codebooks with their sizes and ends, the means of the hours, the last
    values, the moments and tails of its levels; of a device the codebooks of the distances of its
    sensors taken together, and the peaks of its evidence. What the class is not made of takes no
    room.
    """

    river: Onset
    width: int
    together: Together | None = None
    fields: dict[str, Field] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        parts, d = self.river.PARTS, self.width
        kinds, books = len(self.river.resolutions), int(parts.value) + int(parts.season)
        room_ = int(self._edge[-1])
        hours = HOURS if parts.season else 0
        spans = len(WINDOWS) if parts.level else 0
        across = int(self.together is not None)
        self.fields.update(
            readings=Field(np.int64, 0, (d,)),
            book=Field(np.float64, 0.0, (d, books, room_)),
            size=Field(np.int16, 0, (d, books, kinds)),
            ends=Field(np.float64, 0.0, (d, books, 2)),
            mean=Field(np.float64, 0.0, (d, hours)),
            count=Field(np.int32, 0, (d, hours)),
            ring=Field(np.float64, 0.0, (d, WINDOWS[-1] if spans else 0)),
            moments=Field(np.float64, 0.0, (d, spans, 2)),
            tail=Field(np.float64, 0.0, (d, spans, BINS + 1)),
            across=Field(np.float64, 0.0, (1, 1, room_ * across)),
            across_size=Field(np.int16, 0, (1, 1, kinds)),
            across_ends=Field(np.float64, 0.0, (1, 1, 2)),
            number=Field(np.int64),
            peak=Field(np.int16, 0, (self._peaks,)),
            peak_at=Field(np.int64, 0, (self._peaks,)),
            peaks=Field(np.int16),
        )
        if self.together is not None:
            named = self.together.fields.items()
            self.fields.update({f"together_{name}": spec for name, spec in named})

    @property
    def _edge(self) -> Any:
        rooms = [room(resolution) for resolution in self.river.resolutions]
        return np.cumsum([0, *rooms])

    @property
    def _peaks(self) -> int:
        """Evidence that falls strictly has at most so many steps."""
        parts = self.river.PARTS
        novelties = int(parts.value) + int(parts.season) + int(self.together is not None)
        most = 3 * novelties + parts.level * -log10(0.5 / (1 + 1 / (1 - FADE)))
        return int(most * TICKS + 0.5) + 2

    @classmethod
    def of(cls, river: Onset, sensors: tuple[str, ...]) -> Self:
        """The kernel of a detector."""
        cross = river.PARTS.cross and len(sensors) > 1
        together = Together.of(Mahalanobis(), sensors, least=2) if cross else None
        return cls(river.clone(), len(sensors), together)

    def run(
        self, state: Fields, rows: Codes, seen: Inputs, good: Inputs, may: Mask, scores: Values
    ) -> None:
        """`score_one`, then `learn_one`."""
        river, parts = self.river, self.river.PARTS
        times = np.full(len(rows), np.nan) if river.time is None else seen.time / 1e9
        scored = learned = np.full(len(rows), np.nan)
        if self.together is not None:
            own = {name: state[f"together_{name}"] for name in self.together.fields}
            scored, learned, _ = self.together.distances(own, rows, seen, good, may)
        names = ("book", "size", "ends", "mean", "count", "ring", "moments", "tail")
        of = tuple(state[name] for name in names)
        across = tuple(state[name] for name in ("across", "across_size", "across_ends"))
        rarity = tuple(state[name] for name in ("number", "peak", "peak_at", "peaks"))
        gamma, warm_up = float(river.rarity_weight), int(river.warm_up)
        made_of = (parts.value, parts.season, float(parts.level))
        how = (*made_of, self._edge, np.array(river.resolutions, np.float64), gamma, warm_up)
        given = (seen.values, seen.present, good.values, good.present, may)
        parts_of = (state["readings"], of, across, rarity, how)
        # By device, so that its memory is near while its readings last.
        order = np.argsort(rows, kind="stable")
        _run(*parts_of, order, rows, times, *given, scored, learned, scores)

    def export(self, state: Fields, row: int, sensors: Sequence[str]) -> Any:
        """One device's detector."""
        out = self.river.clone()
        for j, name in enumerate(sensors):
            if state["readings"][row, j]:
                out._sensors[name] = self._sensor(state, row, j)
        if self.together is not None:
            own = {name: state[f"together_{name}"] for name in self.together.fields}
            self.together.fill(out._cross, own, row, sensors)
            if state["across_size"][row].any():
                places = (state["across"], state["across_size"], state["across_ends"])
                out._distances = self._books(*(place[row, 0, 0] for place in places))
        top = int(state["peaks"][row])
        out._rarity.readings = int(state["number"][row])
        out._rarity.peaks = [-tick for tick in state["peak"][row, :top].tolist()]
        out._rarity.at = state["peak_at"][row, :top].tolist()
        return out

    def _sensor(self, state: Fields, row: int, j: int) -> Evidence:
        parts = self.river.PARTS
        out = Evidence(parts, 0.0, 0, self.river.resolutions)
        out.readings = int(state["readings"][row, j])
        names = ("book", "size", "ends")
        if out.value:
            out.value = self._books(*(state[name][row, j, 0] for name in names))
        if out.season:
            out.season.books = self._books(*(state[name][row, j, -1] for name in names))
            out.season.mean = state["mean"][row, j].tolist()
            out.season.count = state["count"][row, j].tolist()
        if out.level:
            count, ring = out.readings, state["ring"][row, j].tolist()
            out.level.readings = count
            kept = range(max(0, count - len(ring)), count)
            out.level.last = [ring[at % len(ring)] for at in kept]
            out.level.mean = state["moments"][row, j, :, 0].tolist()
            out.level.variance = state["moments"][row, j, :, 1].tolist()
            out.level.tails = state["tail"][row, j].tolist()
        return out

    def _books(self, book: Any, size: Any, ends: Any) -> Codebooks:
        out = Codebooks(0.0, self.river.resolutions)
        starts = self._edge.tolist()
        out.books = [
            book[start : start + n].tolist()
            for start, n in zip(starts[:-1], size.tolist(), strict=True)
        ]
        out.low, out.high = ends.tolist()
        return out

    def take_over(self, state: Fields, row: int, sensors: Sequence[str], river: Any) -> None:
        """What a trained detector has learned."""
        for j, name in enumerate(sensors):
            if name in river._sensors:
                self._put_sensor(state, row, j, river._sensors[name])
        if self.together is not None:
            own = {name: state[f"together_{name}"] for name in self.together.fields}
            self.together.take_over(own, row, sensors, river._cross)
            if river._distances is not None:
                places = (state["across"], state["across_size"], state["across_ends"])
                self._put_books(river._distances, *(place[row, 0, 0] for place in places))
        top = len(river._rarity.peaks)
        state["number"][row] = river._rarity.readings
        state["peak"][row, :top] = [-tick for tick in river._rarity.peaks]
        state["peak_at"][row, :top] = river._rarity.at
        state["peaks"][row] = top

    def _put_sensor(self, state: Fields, row: int, j: int, sensor: Evidence) -> None:
        state["readings"][row, j] = sensor.readings
        names = ("book", "size", "ends")
        if sensor.value:
            self._put_books(sensor.value, *(state[name][row, j, 0] for name in names))
        if sensor.season:
            self._put_books(sensor.season.books, *(state[name][row, j, -1] for name in names))
            state["mean"][row, j], state["count"][row, j] = sensor.season.mean, sensor.season.count
        if sensor.level:
            count, last = sensor.level.readings, sensor.level.last
            for at, value in zip(range(count - len(last), count), last, strict=True):
                state["ring"][row, j, at % WINDOWS[-1]] = value
            state["moments"][row, j, :, 0] = sensor.level.mean
            state["moments"][row, j, :, 1] = sensor.level.variance
            state["tail"][row, j] = sensor.level.tails

    def _put_books(self, books: Codebooks, book: Any, size: Any, ends: Any) -> None:
        for k, values in enumerate(books.books):
            start = int(self._edge[k])
            book[start : start + len(values)] = values
            size[k] = len(values)
        ends[:] = books.low, books.high
