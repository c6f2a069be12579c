"""Mahalanobis: the weighted mean of distances, its limit, and moments behind a gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, log, sqrt
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streamflow.core.batch import Codes, Mask, Values
from streamflow.core.kernel import kernel, part
from streamflow.core.memory import Field
from streamflow.models.codebook import DIGITS
from streamflow.models.kernels.base import Detector, Fields, Inputs
from streamflow.models.mahalanobis import (
    CLIP,
    GATED,
    KNOWN,
    LARGEST,
    LEAST,
    LOWER,
    QUANTILE,
    RAISE,
    SLOWEST,
    Mahalanobis,
)

DISTANCE, LIMIT, LOG_MEAN, LOG_SPREAD = range(4)


@part
def _distance(before, weight, mean, cov, x, here, ridge, smoothing, at, z, sigma, lower):  # type: ignore[no-untyped-def]
    n = 0
    for j in range(len(weight)):
        if not here[j] or weight[j] == 0.0 or not abs(x[j]) <= LARGEST:
            continue
        away, deviation = x[j] - mean[j], sqrt(cov[j, j])
        rounding = DIGITS * abs(mean[j])
        z[n] = 0.0
        if deviation > rounding:
            z[n] = min(max(away / deviation, -CLIP), CLIP)
        elif abs(away) > rounding:
            z[n] = CLIP if away > 0 else -CLIP
        sigma[n] = deviation if deviation > rounding else 0.0
        at[n] = j
        n += 1
    if n == 0:
        return before
    square = 0.0
    for i in range(n):
        pivot, rest = 1.0 + ridge, z[i]
        for j in range(i):
            both = sigma[i] * sigma[j]
            entry = cov[at[i], at[j]] / both if both > 0.0 else 0.0
            entry = min(max(entry, -1.0), 1.0)
            for k in range(j):
                entry -= lower[i, k] * lower[j, k]
            lower[i, j] = entry / lower[j, j]
            pivot -= lower[i, j] * lower[i, j]
            # z is solved in place: L^-1 z.
            rest -= lower[i, j] * z[j]
        lower[i, i] = sqrt(max(pivot, max(ridge, DIGITS)))
        z[i] = rest / lower[i, i]
        square += z[i] * z[i]
    q = sqrt((1.0 + ridge) * square / n)
    return (1.0 - smoothing) * before + smoothing * q


@kernel
def _run(  # type: ignore[no-untyped-def]
    readings,
    states,
    weights,
    means,
    covs,
    ridge,
    smoothing,
    grace,
    warm_up,
    least,
    rows,
    x,
    here,
    y,
    good,
    may,
    scored,
    learned,
    limits,
):
    d = weights.shape[1]
    at, used = np.zeros(d, np.int64), np.zeros(d, np.bool_)
    z, sigma, lower = np.zeros(d), np.zeros(d), np.zeros((d, d))
    steps, rates = np.zeros(d), np.zeros(d)
    for i in range(len(rows)):
        row = rows[i]
        weight, mean, cov, state = weights[row], means[row], covs[row], states[row]
        given = 0
        for j in range(d):
            if here[i, j] and abs(x[i, j]) <= LARGEST:
                given += 1
        limits[i] = state[LIMIT]
        if given >= least and limits[i] > 0.0:
            before = state[DISTANCE]
            scored[i] = _distance(
                before, weight, mean, cov, x[i], here[i], ridge, smoothing, at, z, sigma, lower
            )
        given = 0
        for j in range(d):
            used[j] = good[i, j] and abs(y[i, j]) <= LARGEST
            if used[j]:
                given += 1
        if not may[i] or given < least or given == 0:
            continue
        state[DISTANCE] = _distance(
            state[DISTANCE], weight, mean, cov, y[i], used, ridge, smoothing, at, z, sigma, lower
        )
        readings[row] += 1
        above = state[LIMIT] > 0.0 and state[DISTANCE] > state[LIMIT]
        if state[LIMIT] > 0.0:
            state[LIMIT] = max(state[LIMIT] * (RAISE if above else LOWER), LEAST)
        else:
            count = readings[row] - grace
            if count > 0:
                size = log(max(state[DISTANCE], LEAST))
                step = size - state[LOG_MEAN]
                state[LOG_MEAN] += step / count
                state[LOG_SPREAD] += step * (size - state[LOG_MEAN])
            if readings[row] >= warm_up:
                deviation = sqrt(state[LOG_SPREAD] / max(count, 1))
                state[LIMIT] = max(exp(state[LOG_MEAN] + QUANTILE * deviation), LEAST)
        if readings[row] > grace:
            learned[i] = state[DISTANCE]
        share = GATED if above else 1.0
        for j in range(d):
            if used[j]:
                bound = LARGEST
                if weight[j] >= KNOWN and cov[j, j] > 0.0:
                    bound = CLIP * sqrt(cov[j, j])
                weight[j] += share
                steps[j] = min(max(y[i, j] - mean[j], -bound), bound)
                rates[j] = max(share / weight[j], SLOWEST * share)
        for j in range(d):
            if used[j]:
                for k in range(j + 1):
                    if used[k]:
                        rate = max(rates[j], rates[k])
                        now = (1.0 - rate) * (cov[j, k] + rate * (steps[j] * steps[k]))
                        cov[j, k] = now
                        cov[k, j] = now
        for j in range(d):
            if used[j]:
                mean[j] += rates[j] * steps[j]


@dataclass(frozen=True)
class Together(Detector):
    """Mahalanobis over the arrays of all devices.

    State: readings; the weighted mean distance, the limit and what it comes from; of each sensor
    weight and mean; of each pair the covariance.
    """

    width: int
    ridge: float
    smoothing: float
    grace: int
    warm_up: int
    least: int = 0
    fields: dict[str, Field] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        d = self.width
        self.fields["readings"] = Field(np.int64)
        self.fields["state"] = Field(np.float64, 0.0, (4,))
        self.fields["weight"] = Field(np.float64, 0.0, (d,))
        self.fields["mean"] = Field(np.float64, 0.0, (d,))
        self.fields["cov"] = Field(np.float64, 0.0, (d, d))

    @classmethod
    def of(cls, river: Mahalanobis, sensors: tuple[str, ...], least: int = 0) -> Self:
        """The kernel of a detector that needs so many sensors in a reading."""
        size = len(sensors)
        return cls(
            size, float(river.ridge), float(river.smoothing), river.grace, river.warm_up, least
        )

    def distances(
        self, state: Fields, rows: Codes, seen: Inputs, good: Inputs, may: Mask
    ) -> tuple[Values, Values, Values]:
        """Of each reading: the distance to score, NaN until the limit is found; that learned, NaN
        until it is being found; the limit."""
        scored, learned = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
        limits = np.zeros(len(rows))
        columns = (state[name] for name in self.fields)
        how = (self.ridge, self.smoothing, self.grace, self.warm_up, self.least)
        given = (seen.values, seen.present, good.values, good.present, may)
        _run(*columns, *how, rows, *given, scored, learned, limits)
        return scored, learned, limits

    def run(
        self, state: Fields, rows: Codes, seen: Inputs, good: Inputs, may: Mask, scores: Values
    ) -> None:
        """`score_one`, then `learn_one`."""
        scored, _, limits = self.distances(state, rows, seen, good, may)
        known = limits > 0.0
        scores[:] = 0.0
        scores[known] = scored[known] / limits[known]

    def export(self, state: Fields, row: int, sensors: Sequence[str]) -> Any:
        """One device's detector."""
        out = Mahalanobis(
            ridge=self.ridge, smoothing=self.smoothing, grace=self.grace, warm_up=self.warm_up
        )
        self.fill(out, state, row, sensors)
        return out

    def fill(self, out: Mahalanobis, state: Fields, row: int, sensors: Sequence[str]) -> None:
        """Put what a device has learned into a detector."""
        out._readings = int(state["readings"][row])
        names = ("_distance", "_limit", "_log_mean", "_log_spread")
        for name, value in zip(names, state["state"][row].tolist(), strict=True):
            setattr(out, name, value)
        weight: NDArray[Any] = state["weight"][row]
        known = [j for j in range(len(sensors)) if weight[j] > 0.0]
        for j in known:
            out._weight[sensors[j]] = float(weight[j])
            out._mean[sensors[j]] = float(state["mean"][row, j])
            out._cov[sensors[j]] = {sensors[k]: float(state["cov"][row, j, k]) for k in known}

    def take_over(self, state: Fields, row: int, sensors: Sequence[str], river: Any) -> None:
        """A trained detector's moments."""
        state["readings"][row] = river._readings
        state["state"][row] = (
            river._distance,
            river._limit,
            river._log_mean,
            river._log_spread,
        )
        for j, a in enumerate(sensors):
            if a in river._weight:
                state["weight"][row, j] = river._weight[a]
                state["mean"][row, j] = river._mean[a]
                for k, b in enumerate(sensors):
                    state["cov"][row, j, k] = river._cov[a].get(b, 0.0)
