"""Onset: novelty, seasonal novelty and level of each sensor, and how rare their sum is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import copysign, floor, isfinite, log10, sqrt
from typing import Any, Self

import numpy as np

from streamflow.core.batch import Codes, Mask, Values
from streamflow.core.memory import Field
from streamflow.models.codebook import DIGITS, FLOOR, GROWTH, LARGEST, SMALLEST, Codebooks, room
from streamflow.models.kernels.base import Detector, Fields, Inputs, kernel, part
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
def _novelty(book, size, ends, edge, value, gaps):  # type: ignore[no-untyped-def]
    """The novelty of a value; leaves its distances in `gaps`."""
    low, high = ends[0], ends[1]
    width = max(high - low, max(DIGITS * max(abs(low), abs(high)), SMALLEST))
    product = 1.0
    for k in range(len(size)):
        first, last = edge[k], edge[k] + size[k]
        left, right = first, last
        while left < right:
            middle = (left + right) // 2
            if book[middle] < value:
                left = middle + 1
            else:
                right = middle
        if left == last:
            gap = value - book[last - 1]
        else:
            gap = book[left] - value
            if left > first and value - book[left - 1] < gap:
                gap = value - book[left - 1]
        gaps[k] = gap / width if gap < width else 1.0
        product *= gaps[k] + FLOOR
    return log10(product) / len(size) + 3


@part
def _retain(book, size, ends, edge, resolution, value, gaps):  # type: ignore[no-untyped-def]
    """Learn a value, given its distances."""
    low, high = ends[0], ends[1]
    width = max(high - low, max(DIGITS * max(abs(low), abs(high)), SMALLEST))
    for k in range(len(size)):
        if gaps[k] <= resolution[k]:
            continue
        first, space = edge[k], edge[k + 1] - edge[k]
        if size[k] >= space:
            step, kept = resolution[k] * width, 1
            for m in range(first + 1, first + size[k]):
                if book[m] - book[first + kept - 1] > step:
                    book[first + kept] = book[m]
                    kept += 1
            size[k] = kept
        if size[k] < space:
            m = first + size[k]
            while m > first and book[m - 1] > value:
                book[m] = book[m - 1]
                m -= 1
            book[m] = value
            size[k] += 1
    if not (low <= value and value <= high):
        step = GROWTH * width if low < high else 2 * LARGEST
        ends[0] = min(low, max(value, low - step))
        ends[1] = max(high, min(value, high + step))


@part
def _begin(book, size, ends, edge, value):  # type: ignore[no-untyped-def]
    for k in range(len(size)):
        book[edge[k]] = value
        size[k] = 1
    ends[0] = ends[1] = value


@part
def _departure(mean, count, value, hour):  # type: ignore[no-untyped-def]
    return value - mean[hour] if count[hour] >= ENOUGH else 0.0


@part
def _follow(mean, count, ends, value, hour):  # type: ignore[no-untyped-def]
    step = value - mean[hour]
    if count[hour] >= ENOUGH:
        step = min(max(step, ends[0]), ends[1])
    count[hour] += 1
    mean[hour] += max(FASTEST, 1.0 / count[hour]) * step


@part
def _surprise(ring, moments, tail, readings, value, means, bins):  # type: ignore[no-untyped-def]
    """The surprise at the levels; leaves their means and bins."""
    total, count, sum_ = 0.0, 1, value
    at = readings % len(ring)
    for k in range(len(SPANS)):
        if readings < SPANS[k]:
            break
        while count < SPANS[k]:
            at = at - 1 if at > 0 else len(ring) - 1
            sum_ += ring[at]
            count += 1
        means[k] = sum_ / SPANS[k]
        away, sigma = abs(means[k] - moments[k, 0]), sqrt(moments[k, 1])
        rounding = DIGITS * abs(moments[k, 0])
        bins[k] = 0
        if readings - SPANS[k] >= KNOWN and away > rounding:
            z = min(away / sigma, BOUND) if sigma > rounding else CHANGED
            bins[k] = min(max(int((log10(z) + 1) * PER_DECADE), 0), BINS - 1)
        b = bins[k]
        total -= log10((0.5 * (tail[k, b] + tail[k, b + 1]) + 0.5) / (tail[k, 0] + 1))
    return total / len(SPANS)


@part
def _learn_level(ring, moments, tail, readings, value, means, bins):  # type: ignore[no-untyped-def]
    for k in range(len(SPANS)):
        if readings < SPANS[k]:
            break
        for m in range(BINS + 1):
            tail[k, m] *= FADE
        for m in range(bins[k] + 1):
            tail[k, m] += 1
        count = readings - SPANS[k] + 1
        weight = max(SLOWEST, 1.0 / count)
        bound = CLIP * sqrt(moments[k, 1]) if count > SETTLED else BOUND
        step = min(max(means[k] - moments[k, 0], -bound), bound)
        moments[k, 0] += weight * step
        moments[k, 1] = (1 - weight) * (moments[k, 1] + weight * step * step)
    ring[readings % len(ring)] = value


@part
def _period(peak, peak_at, peaks, readings, ticks):  # type: ignore[no-untyped-def]
    """Readings since evidence of nine tenths of this."""
    bar = (9 * ticks + 9) // 10
    left, right = 0, peaks
    while left < right:
        middle = (left + right) // 2
        if peak[middle] >= bar:
            left = middle + 1
        else:
            right = middle
    return readings - (peak_at[left - 1] if left > 0 else -1)


@part
def _evidence(of, how, readings, value, hour, scratch):  # type: ignore[no-untyped-def]
    """Of a sensor that is known; leaves in `scratch` what learning the value needs."""
    book, size, ends, mean, count, ring, moments, tail = of
    values, season, level, edge, resolution, gamma, warm_up = how
    gaps, means, bins = scratch
    found = 0.0
    if values:
        found += _novelty(book[0], size[0], ends[0], edge, value, gaps[0])
    if season:
        b = len(gaps) - 1
        away = _departure(mean, count, value, hour)
        found += _novelty(book[b], size[b], ends[b], edge, away, gaps[b])
    if level > 0.0:
        found += level * _surprise(ring, moments, tail, readings, value, means, bins)
    return found


@part
def _learn(of, how, readings, value, hour, scratch):  # type: ignore[no-untyped-def]
    """Learn a value, of which `scratch` has what `_evidence` left unless it is the first."""
    book, size, ends, mean, count, ring, moments, tail = of
    values, season, level, edge, resolution, gamma, warm_up = how
    gaps, means, bins = scratch
    if values:
        if readings == 0:
            _begin(book[0], size[0], ends[0], edge, value)
        else:
            _retain(book[0], size[0], ends[0], edge, resolution, value, gaps[0])
    if season:
        b = len(gaps) - 1
        away = _departure(mean, count, value, hour)
        if readings == 0:
            _begin(book[b], size[b], ends[b], edge, away)
        else:
            _retain(book[b], size[b], ends[b], edge, resolution, away, gaps[b])
        _follow(mean, count, ends[b], value, hour)
    if level > 0.0:
        _learn_level(ring, moments, tail, readings, value, means, bins)


@kernel
def _run(  # type: ignore[no-untyped-def]
    readings, of, device, how, rows, times, x, here, y, good, may, scored, learned, scores
):
    book, size, ends, mean, count, ring, moments, tail = of
    across, across_size, across_ends, number, peak, peak_at, peaks = device
    values, season, level, edge, resolution, gamma, warm_up = how
    d = readings.shape[1]
    all_gaps, gap = np.zeros((d, *size.shape[2:])), np.zeros(len(resolution))
    all_means, all_bins = np.zeros((d, len(SPANS))), np.zeros((d, len(SPANS)), np.int64)
    found, same = np.zeros(d), np.zeros(d, np.bool_)
    for i in range(len(rows)):
        row = rows[i]
        hour = int(floor(times[i] / 3600.0) % HOURS) if isfinite(times[i]) else 0
        evidence = 0.0
        for j in range(d):
            same[j] = False
            if here[i, j] and abs(x[i, j]) <= LARGEST and readings[row, j] >= max(warm_up, 1):
                own = (book[row, j], size[row, j], ends[row, j], mean[row, j], count[row, j])
                rest = (ring[row, j], moments[row, j], tail[row, j])
                scratch = (all_gaps[j], all_means[j], all_bins[j])
                found[j] = _evidence(own + rest, how, readings[row, j], x[i, j], hour, scratch)
                evidence = max(evidence, found[j])
                same[j] = x[i, j] == y[i, j] and copysign(1.0, x[i, j]) == copysign(1.0, y[i, j])
        if not np.isnan(scored[i]):
            evidence += _novelty(
                across[row], across_size[row], across_ends[row], edge, scored[i], gap
            )
        ticks = int(evidence * TICKS + 0.5)
        scores[i] = 0.0
        if ticks > 0:
            period = _period(peak[row], peak_at[row], peaks[row], number[row], ticks)
            age = min(number[row] + 1, HORIZON) / 1000
            scores[i] = max(0.0, ticks / TICKS + gamma * log10(period * period / age) / 2)
        if not may[i]:
            continue
        evidence, some = 0.0, False
        for j in range(d):
            if good[i, j] and abs(y[i, j]) <= LARGEST:
                own = (book[row, j], size[row, j], ends[row, j], mean[row, j], count[row, j])
                rest = (ring[row, j], moments[row, j], tail[row, j])
                scratch = (all_gaps[j], all_means[j], all_bins[j])
                if readings[row, j] > 0:
                    if not same[j]:
                        found[j] = _evidence(
                            own + rest, how, readings[row, j], y[i, j], hour, scratch
                        )
                    evidence = max(evidence, found[j])
                _learn(own + rest, how, readings[row, j], y[i, j], hour, scratch)
                readings[row, j] += 1
                some = True
        if not some:
            continue
        if not np.isnan(learned[i]):
            a, b, c = across[row], across_size[row], across_ends[row]
            if b[0] == 0:
                _begin(a, b, c, edge, learned[i])
            else:
                evidence += _novelty(a, b, c, edge, learned[i], gap)
                _retain(a, b, c, edge, resolution, learned[i], gap)
        ticks = int(evidence * TICKS + 0.5)
        top = peaks[row]
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
            across=Field(np.float64, 0.0, (room_ * across,)),
            across_size=Field(np.int16, 0, (kinds,)),
            across_ends=Field(np.float64, 0.0, (2,)),
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
        names = ("across", "across_size", "across_ends", "number", "peak", "peak_at", "peaks")
        device = tuple(state[name] for name in names)
        gamma, warm_up = float(river.rarity_weight), int(river.warm_up)
        how = (parts.value, parts.season, float(parts.level), self._edge)
        how = (*how, np.array(river.resolutions, np.float64), gamma, warm_up)
        given = (seen.values, seen.present, good.values, good.present, may)
        _run(state["readings"], of, device, how, rows, times, *given, scored, learned, scores)

    def export(self, state: Fields, row: int, sensors: Sequence[str]) -> Any:
        """One device's detector."""
        out = self.river.clone()
        for j, name in enumerate(sensors):
            if state["readings"][row, j]:
                out._sensors[name] = self._sensor(state, row, j)
        if self.together is not None:
            own = {name: state[f"together_{name}"] for name in self.together.fields}
            self.together.fill(out._cross, own, row, sensors)
            if state["across_size"][row, 0]:
                places = (state["across"], state["across_size"], state["across_ends"])
                out._distances = self._books(*(place[row] for place in places))
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
                self._put_books(river._distances, *(place[row] for place in places))
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
