from __future__ import annotations

import math
import pickle
import random
from collections.abc import Iterable, Iterator
from copy import deepcopy
from itertools import accumulate
from typing import Any

import pytest
from river import preprocessing

from streamflow.models.novelty import ValueNovelty
from streamflow.testing.observed import difference

LIMIT = ValueNovelty.ALERT_LIMIT
SIZES = [416, 216, 116]
PEAKS = 152


def noise(n: int, seed: int = 7) -> list[dict[str, float]]:
    rng = random.Random(seed)
    return [{"temperature": rng.gauss(20, 1)} for _ in range(n)]


def replay(model: Any, readings: Iterable[dict[str, float]]) -> list[float]:
    scores = []
    for x in readings:
        scores.append(model.score_one(x))
        model.learn_one(x)
    return scores


def test_scoring_changes_nothing() -> None:
    model = ValueNovelty()
    replay(model, noise(500))
    before = deepcopy(model)
    for value in (20.0, 1e9, -3, float("nan")):
        model.score_one({"temperature": value, "unseen": 1.0})
    assert difference(model, before) is None


def test_a_clone_has_the_parameters_and_nothing_else() -> None:
    model = ValueNovelty(resolutions=(0.01, 0.02), rarity_weight=1.0, warm_up=50)
    replay(model, noise(300))
    clone = model.clone()
    assert (
        difference(clone, ValueNovelty(resolutions=(0.01, 0.02), rarity_weight=1.0, warm_up=50))
        is None
    )
    assert replay(clone, noise(300)) == replay(
        ValueNovelty(resolutions=(0.01, 0.02), rarity_weight=1.0, warm_up=50), noise(300)
    )


def test_it_ends_a_river_pipeline() -> None:
    model = preprocessing.StandardScaler() | ValueNovelty()
    replay(model, noise(1000))
    assert model.score_one({"temperature": 20.0}) < LIMIT < model.score_one({"temperature": 40.0})


def test_a_pickled_model_goes_on_alike() -> None:
    model = ValueNovelty()
    replay(model, noise(600))
    twin = pickle.loads(pickle.dumps(model))
    assert replay(twin, noise(600, seed=8)) == replay(model, noise(600, seed=8))


@pytest.mark.parametrize("at", [300, 1000, 4000])
@pytest.mark.parametrize("lasting", [False, True])
def test_a_spike_and_a_level_shift_score_above_the_limit(at: int, lasting: bool) -> None:
    readings = noise(at + 10)
    for x in readings[at : None if lasting else at + 1]:
        x["temperature"] += 8
    scores = replay(ValueNovelty(), readings)
    assert scores[at] > LIMIT
    assert max(scores[at + 1 :]) < scores[at]


def test_a_new_level_becomes_normal() -> None:
    readings = noise(4000)
    for x in readings[1000:]:
        x["temperature"] += 50
    scores = replay(ValueNovelty(), readings)
    assert scores[1000] > LIMIT
    assert sum(score > LIMIT for score in scores[1100:]) <= 3


@pytest.mark.parametrize("seed", range(4))
def test_noise_rarely_alarms(seed: int) -> None:
    scores = replay(ValueNovelty(), noise(5000, seed))
    assert 0 < sum(score > LIMIT for score in scores) <= 15
    assert sum(score > LIMIT for score in scores[:500]) <= 5


def test_the_score_is_the_formula() -> None:
    # Range 0..10; 10 is 5 ranges/10 from its neighbour 5, so o = 0.5 at every resolution.
    model = ValueNovelty(warm_up=0)
    for value in (0.0, 10.0, 0.0, 0.0):
        model.learn_one({"v": value})
    evidence = 2.7  # log10(0.501) + 3, to the nearest 0.02
    # The evidence of 10, 3, was learned three readings ago; 5 is reading number 5.
    expected = evidence + 1.25 * (0.47712125 - (-2.30103000) / 2)
    assert model.score_one({"v": 5.0}) == pytest.approx(expected)


def by_the_book(values: list[float]) -> Iterator[float]:
    """The scores of one sensor without warm-up, computed from the whole past each time."""
    books: dict[float, list[float]] = {0.0025: [], 0.005: [], 0.01: []}
    evidence: list[float] = []
    low = high = values[0]
    for n, value in enumerate(values, start=1):
        width = high - low
        shares = {
            resolution: min(1.0, min(abs(value - known) for known in book) / width if width else 1)
            if book and value not in book
            else 0.0
            for resolution, book in books.items()
        }
        mean = sum(math.log10(share + 1e-3) + 3 for share in shares.values()) / 3
        now = math.floor(mean * 50 + 0.5)
        since = next((t for t, e in enumerate(reversed(evidence), 1) if 10 * e >= 9 * now), n)
        age = math.log10(min(n, 20_000) / 1000)
        score = now / 50 + 1.25 * math.log10(since) - 0.625 * age
        yield max(0.0, score) if now else 0.0
        evidence.append(now)
        for resolution, book in books.items():
            if not book or shares[resolution] > resolution:
                if len(book) >= 1 / resolution + 16:
                    thinned: list[float] = []
                    for known in sorted(book):
                        if not thinned or known - thinned[-1] > resolution * width:
                            thinned.append(known)
                    book[:] = thinned
                book.append(value)
        step = 9 * width or math.inf
        low, high = max(min(low, value), low - step), min(max(high, value), high + step)


@pytest.mark.parametrize("kind", ["noise", "walk", "steps"])
def test_it_equals_the_rule_written_out(kind: str) -> None:
    rng = random.Random(kind)
    values = [rng.gauss(0, 1) for _ in range(800)]
    if kind == "walk":
        values = list(accumulate(values))
    if kind == "steps":
        values = [float(round(v) + 10 * (i // 200)) for i, v in enumerate(values)]
    scores = replay(ValueNovelty(warm_up=0), ({"v": v} for v in values))
    assert scores == pytest.approx(list(by_the_book(values)))


def test_readings_to_come_change_no_score() -> None:
    readings = noise(3000)
    assert replay(ValueNovelty(), readings[:1500]) == replay(ValueNovelty(), readings)[:1500]


def test_the_first_readings_score_0() -> None:
    scores = replay(ValueNovelty(), noise(400))
    assert scores[:200] == [0.0] * 200
    assert all(score > 0 for score in scores[200:])
    assert ValueNovelty(warm_up=0).score_one({"temperature": 1.0}) == 0.0


@pytest.mark.parametrize("value", [0, 7, -2.5, 1e300])
def test_a_constant_scores_0_until_it_changes(value: float) -> None:
    model = ValueNovelty()
    assert replay(model, [{"v": value}] * 1000) == [0.0] * 1000
    assert model.score_one({"v": value * (1 + 1e-15)}) < 1
    assert model.score_one({"v": value / 2 + 1}) > LIMIT


@pytest.mark.parametrize(
    "values",
    [
        [random.Random(1).gauss(0, 1) for _ in range(50_000)],
        [1.001**i * (-1) ** i for i in range(50_000)],
    ],
    ids=["noise", "growth"],
)
def test_memory_is_bounded(values: list[float]) -> None:
    model = ValueNovelty()
    longest = 0
    for value in values:
        model.learn_one({"v": value})
        longest = max(longest, len(model._rarity.peaks))
    assert longest <= PEAKS
    assert len(model._rarity.at) == len(model._rarity.peaks)
    for book, size in zip(model._sensors["v"].value.books, SIZES, strict=True):
        assert len(book) <= size
        assert book == sorted(book)


def test_a_full_codebook_goes_on_learning() -> None:
    model = ValueNovelty()
    for i in range(45_000):
        model.learn_one({"energy": i})
    fullest = model._sensors["energy"].value.books[0]
    assert SIZES[0] / 4 < len(fullest) <= SIZES[0]
    assert fullest[-1] > 44_000


def test_a_counter_does_not_alarm_for_ever() -> None:
    scores = replay(ValueNovelty(), ({"energy": i} for i in range(10_000)))
    assert max(scores) < LIMIT


def test_one_absurd_value_does_not_blind_it() -> None:
    readings = noise(3000)
    readings[1000] = {"temperature": 1e9}
    readings[2500] = {"temperature": 40}
    scores = replay(ValueNovelty(), readings)
    assert scores[1000] > LIMIT
    assert scores[2500] > LIMIT


def test_extreme_values_keep_every_score_finite() -> None:
    values = [1e300, -1e300, 5e-324, 0, 10**299, True, -0.0] * 100
    scores = replay(ValueNovelty(warm_up=0), [{"v": value} for value in values])
    assert all(0 <= score < 10 for score in scores)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf"), 10**400])
def test_a_value_that_is_no_finite_number_counts_as_missing(bad: float) -> None:
    model, twin = ValueNovelty(), ValueNovelty()
    clean = noise(400)
    dirty = [x for pair in zip(clean, [{"temperature": bad}] * 400, strict=True) for x in pair]
    assert replay(model, dirty)[::2] == replay(twin, clean)
    assert model.score_one({"temperature": bad}) == model.score_one({}) == 0.0
    assert difference(model, twin) is None


def test_each_sensor_is_judged_by_its_own_past() -> None:
    model = ValueNovelty()
    rng = random.Random(3)
    for _ in range(1000):
        model.learn_one({"speed": rng.gauss(1000, 50), "pressure": rng.gauss(2, 0.1)})
    calm = {"speed": 1000.0, "pressure": 2.0}
    assert model.score_one(calm) < LIMIT
    assert model.score_one(calm | {"pressure": 4.0}) > LIMIT
    assert model.score_one({"pressure": 4.0}) == model.score_one(calm | {"pressure": 4.0})
    assert model.score_one(calm | {"speed": 2.0}) > LIMIT
    assert model.score_one(dict(reversed(calm.items()))) == model.score_one(calm)


def test_a_late_sensor_warms_up_without_alarms() -> None:
    model = ValueNovelty()
    rng = random.Random(4)
    replay(model, noise(1000))
    both = [x | {"pressure": rng.gauss(2, 0.1)} for x in noise(700, seed=5)]
    scores = replay(model, both)
    assert sum(score > LIMIT for score in scores) <= 2
    assert model.score_one({"pressure": 4.0}) > LIMIT


def test_text_is_refused() -> None:
    with pytest.raises(TypeError):
        ValueNovelty().learn_one({"v": "high"})  # type: ignore[dict-item]
