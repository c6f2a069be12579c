"""What the detectors of onsets have in common, and what tells them apart."""

from __future__ import annotations

import random
from copy import deepcopy
from math import isfinite, nan
from typing import Any

import numpy as np
import pytest
from scipy import stats

from streamflow import AutoDetector, LevelShift, SeasonalNovelty, ValueNovelty
from streamflow.models.codebook import Codebooks, room
from streamflow.models.level import WINDOWS, Level
from streamflow.models.rarity import Rarity
from streamflow.models.season import Season, hour_of
from streamflow.testing.observed import difference

OWN = [AutoDetector, LevelShift, SeasonalNovelty, ValueNovelty]
HOUR = 3600.0


def noise(n: int, seed: int = 7, *sensors: str) -> list[dict[str, float]]:
    rng = random.Random(seed)
    return [
        {"time": i * 300.0, **{name: rng.gauss(20, 1) for name in sensors or ("t",)}}
        for i in range(n)
    ]


def replay(model: Any, readings: list[dict[str, float]]) -> np.ndarray:
    scores = []
    for x in readings:
        if model.time is None:
            x = {name: value for name, value in x.items() if name != "time"}
        scores.append(model.score_one(x))
        model.learn_one(x)
    return np.array(scores)


@pytest.mark.parametrize("make", OWN)
def test_noise_rarely_alarms_and_what_comes_later_changes_no_score(make: Any) -> None:
    readings = noise(2500)
    scores = replay(make(), readings)
    assert 0 <= (scores > make.ALERT_LIMIT).sum() <= 12
    assert not scores[:200].any()
    assert replay(make(), readings[:900]).tolist() == scores[:900].tolist()


@pytest.mark.parametrize("make", OWN)
def test_scoring_changes_nothing_and_a_missing_value_is_no_value(make: Any) -> None:
    model = make()
    replay(model, noise(400))
    before = deepcopy(model)
    for x in ({"t": 1e300}, {"t": nan}, {"unseen": 3.0}, {}):
        assert isfinite(model.score_one(x))
    model.learn_one({"t": nan} | ({"time": nan} if model.time else {}))
    assert difference(model, before) is None


@pytest.mark.parametrize("make", OWN)
def test_absurd_values_leave_it_finite_and_seeing(make: Any) -> None:
    readings = noise(2500)
    readings[300]["t"], readings[301]["t"] = 1e300, 5e-324
    for x in readings[2450:]:
        x["t"] += 40
    scores = replay(make(), readings)
    assert np.isfinite(scores).all()
    if make is not LevelShift:  # its means hold the absurd ones for 192 readings, and fade
        assert scores[2450:].max() > make.ALERT_LIMIT


def test_a_small_change_that_lasts_is_seen_by_its_level_and_not_by_its_values() -> None:
    found = {LevelShift: 0, ValueNovelty: 0}
    for seed in range(6):
        readings = noise(2200, seed)
        for x in readings[2000:]:
            x["t"] += 1
        for make in found:
            scores = replay(make(), readings)[2000:2100]
            found[make] += bool(scores.max() > make.ALERT_LIMIT)
    assert found[LevelShift] == 6
    assert found[ValueNovelty] <= 3


def test_sensors_that_part_are_an_onset() -> None:
    rng = np.random.default_rng(3)
    both = rng.normal(0, 1, 3000)
    x, y = both + rng.normal(0, 0.1, 3000), both + rng.normal(0, 0.1, 3000)
    y[2900:] *= -1
    readings = [{"x": a, "y": b} for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    assert replay(AutoDetector(), readings)[2900:2960].max() > AutoDetector.ALERT_LIMIT


def test_the_return_period_of_exchangeable_evidence_is_the_budget_it_claims() -> None:
    rng, due, n = np.random.default_rng(7), 0, 0
    steps = [int(100 * 1.12**rank) for rank in range(200)]  # no nine tenths reach the next
    for _ in range(60):
        rarity = Rarity()
        for number, rank in enumerate(rng.permutation(200).tolist()):
            if number >= 100:
                age = np.log10((number + 1) / 1000) / 2
                period = 10 ** (rarity.score(steps[rank], 1.0) - steps[rank] / 50 + age)
                due += period > 99
                n += 1
            rarity.learn(steps[rank])
    low, high = stats.poisson.interval(0.999, n / 100)
    assert low < due < high


def test_a_codebook_never_holds_more_than_it_may() -> None:
    books = Codebooks(0.0, (0.0025, 0.01))
    for i in range(5000):
        books.learn(1.01**i if i < 3000 else float(i))
        assert [len(book) for book in books.books] <= [room(0.0025), room(0.01)]
        assert books.books[1] == sorted(books.books[1])


def test_a_departure_is_from_the_days_before_at_the_same_hour() -> None:
    season = Season(10.0, hour_of(0.0), (0.01,))
    for day in range(1, 30):
        season.learn(10.0, hour_of(day * 24 * HOUR))
        season.learn(30.0, hour_of(day * 24 * HOUR + 12 * HOUR))
    assert season.departure(30.0, 12) == pytest.approx(0)
    assert season.departure(30.0, 0) == pytest.approx(20)
    assert season.departure(30.0, 5) == 0.0


def test_a_level_knows_the_means_of_its_windows_and_no_more() -> None:
    level, rng = Level(), random.Random(7)
    values = [rng.gauss(0, 1) for _ in range(700)]
    for value in values:
        level.learn(value)
    ends = [*values, 5.0]
    means = [np.mean(ends[-window:]) for window in WINDOWS]
    assert level.means(5.0) == pytest.approx(means)
    assert len(level.last) == WINDOWS[-1]
    assert level.surprise(0.0) < level.surprise(50.0) < 3.7
