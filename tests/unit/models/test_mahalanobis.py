from __future__ import annotations

import random
from collections.abc import Iterable
from copy import deepcopy
from math import inf, isfinite, nan
from typing import Any

import numpy as np
import pytest

from streamflow.models.mahalanobis import Mahalanobis
from streamflow.testing.observed import difference


def machine(n: int, seed: int = 7) -> list[dict[str, float]]:
    """Current follows speed; the room's temperature does not."""
    rng = random.Random(seed)
    out = []
    for _ in range(n):
        speed = rng.gauss(50, 5)
        current = speed / 10 + rng.gauss(0, 0.1)
        out.append({"speed": speed, "current": current, "room": rng.gauss(20, 1)})
    return out


def replay(model: Any, readings: Iterable[dict[str, float]]) -> list[float]:
    scores = []
    for x in readings:
        scores.append(model.score_one(x))
        model.learn_one(x)
    return scores


def test_sensors_that_part_are_seen_though_each_is_within_its_range() -> None:
    readings = machine(1200)
    for x in readings[1000:1100]:
        x["current"] = 10 - x["current"]  # its mean and its spread stay
    scores = replay(Mahalanobis(), readings)
    assert np.mean(scores[1050:1100]) > 1
    assert max(scores[1000:1100]) > 1.1
    assert sum(score > 1 for score in scores[400:1000]) < 60
    assert max(scores[1190:]) < scores[1099]


def test_without_correlations_it_is_the_root_mean_square_of_the_deviations() -> None:
    rng = np.random.default_rng(7)
    readings = [
        dict(zip("abc", row, strict=True)) for row in rng.normal(5, 2, (20_000, 3)).tolist()
    ]
    model = Mahalanobis(smoothing=1.0)
    for x in readings:
        model.learn_one(x)
    x = {"a": 7.0, "b": 5.0, "c": 1.0}
    assert model.distance(x) == pytest.approx(((1 + 0 + 4) / 3) ** 0.5, rel=0.05)


def test_the_distance_is_the_formula() -> None:
    rows = np.random.default_rng(7).normal(0, 1, (40, 2)) @ np.array([[2.0, 1.0], [0.0, 0.5]])
    model = Mahalanobis(smoothing=1.0, ridge=0.5)
    for row in rows[:29]:
        model.learn_one(dict(zip("ab", row.tolist(), strict=True)))
    mean, cov = rows[:29].mean(axis=0), np.cov(rows[:29].T, bias=True)
    sd = np.sqrt(np.diag(cov))
    z = (rows[35] - mean) / sd
    inner = np.linalg.inv(cov / np.outer(sd, sd) + 0.5 * np.eye(2))
    expected = np.sqrt(1.5 * z @ inner @ z / 2)
    assert model.distance(dict(zip("ab", rows[35].tolist(), strict=True))) == pytest.approx(
        expected
    )


def test_the_gate_keeps_a_fault_from_being_learned_for_a_while_and_not_for_ever() -> None:
    readings = machine(6000)
    for x in readings[1000:]:
        x["room"] += 8
    scores = replay(Mahalanobis(), readings)
    assert min(scores[1050:1200]) > 1
    assert np.mean(np.array(scores[5000:]) > 1) < 0.2


def test_in_the_long_run_about_one_reading_in_a_hundred_is_above_the_limit() -> None:
    above = np.array(replay(Mahalanobis(), machine(30_000)))[2000:] > 1
    assert 0.003 < above.mean() < 0.03


def test_it_scores_0_until_its_limit_is_found() -> None:
    scores = replay(Mahalanobis(grace=20, warm_up=50), machine(80))
    assert scores[:50] == [0.0] * 50
    assert min(scores[50:]) > 0


@pytest.mark.parametrize("bad", [nan, inf, -inf, 1e200, 10**400])
def test_what_cannot_be_squared_counts_as_missing(bad: float) -> None:
    model, twin = Mahalanobis(), Mahalanobis()
    for x in machine(500):
        model.learn_one(x | {"extra": bad})
        twin.learn_one(x)
    assert difference(model, twin) is None
    assert model.score_one({"speed": 50.0, "room": bad}) == twin.score_one({"speed": 50.0})


def test_one_absurd_value_neither_spoils_nor_blinds_it() -> None:
    readings = machine(1500)
    readings[700]["speed"] = 1e149
    for x in readings[1400:]:
        x["speed"] += 40
    scores = replay(Mahalanobis(), readings)
    assert all(map(isfinite, scores))
    assert scores[1450] > 1 > scores[1399]


def test_constant_and_equal_sensors_give_finite_scores_and_a_change_is_seen() -> None:
    readings = [{"a": 7.0, "b": 7.0, "c": float(i % 5), "d": float(i % 5)} for i in range(600)]
    changed = [{**x, "a": 8.0} for x in readings[:30]]
    scores = replay(Mahalanobis(), [*readings, *changed])
    assert all(map(isfinite, scores))
    assert scores[599] < 1 < scores[-1]


def test_scoring_changes_nothing() -> None:
    model = Mahalanobis()
    replay(model, machine(500))
    before = deepcopy(model)
    model.score_one({"speed": 1e9, "unseen": 3.0})
    assert difference(model, before) is None
