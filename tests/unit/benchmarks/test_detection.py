from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.detection import benchmark, contest, data, folds, ours, states
from benchmarks.detection.nab import Corpus, File
from benchmarks.detection.rivals import RIVALS
from benchmarks.frame import BenchmarkError
from streamflow import Batch, ValueNovelty

ONE = File("a/one", 200, [(100, 119), (150, 159)])


def scored(*rows: int, at: float = 1.0, n: int = 200) -> np.ndarray:
    out = np.zeros(n)
    out[list(rows)] = at
    return out


def test_an_early_hit_is_worth_more_than_a_late_one_and_the_best_counts_once() -> None:
    corpus = Corpus([ONE])
    early, late = (
        corpus.score({"a/one": scored(100, 150)}, 1),
        corpus.score({"a/one": scored(119, 159)}, 1),
    )
    assert early == pytest.approx(100)
    assert 50 < late < early
    assert corpus.score({"a/one": scored(*range(100, 120), 150)}, 1) == pytest.approx(early)


def test_a_false_detection_costs_less_shortly_after_a_window() -> None:
    corpus = Corpus([ONE])
    base = corpus.score({"a/one": scored(100, 150)}, 1)
    after, before = (corpus.score({"a/one": scored(100, 150, row)}, 1) for row in (120, 60))
    assert before < after < base
    assert base - before == pytest.approx(100 * 0.11 / 4)


def test_the_first_15_percent_are_not_judged() -> None:
    corpus = Corpus([ONE])
    assert corpus.score({"a/one": scored(*range(30))}, 1) == 0
    assert corpus.score({"a/one": scored(30)}, 1) < 0


def test_the_best_threshold_is_the_best_of_all_that_there_are() -> None:
    rng = np.random.default_rng(7)
    corpus = Corpus([ONE, File("b/two", 300, [(200, 240)]), File("b/none", 90, [])])
    for _ in range(5):
        scores = {file.name: rng.random(file.rows).round(2) for file in corpus.files}
        for profile in ("standard", "low FP", "low FN"):
            every = [corpus.score(scores, t, profile) for t in np.unique(scores["b/two"])]
            points, threshold = corpus.best(scores, profile)
            assert points >= max([*every, 0.0]) - 1e-9
            assert points == pytest.approx(corpus.score(scores, threshold, profile))


def test_halves_take_half_of_each_category_and_differ() -> None:
    corpus = Corpus(
        [File(f"{c}/{i}", 50, [(20, 25)]) for c, n in (("a", 4), ("b", 5)) for i in range(n)]
    )
    seen = set()
    for half, other in folds.halves(corpus):
        names = {file.name for file in half.files}
        assert len(names) + len(other.files) == 9
        assert not names & {file.name for file in other.files}
        assert sum(name.startswith("a/") for name in names) == 2
        assert sum(name.startswith("b/") for name in names) in {2, 3}
        seen.add(frozenset(names))
    assert len(seen) > 10


def test_the_variant_is_chosen_by_the_half_that_does_not_judge() -> None:
    corpus = Corpus([File(f"a/{i}", 200, [(100, 119)]) for i in range(4)])
    good = {file.name: scored(100) for file in corpus.files}
    bad = {file.name: scored(60, 100) for file in corpus.files}
    assert folds.other_half(corpus, [bad, good]) == pytest.approx([100.0] * folds.FOLDS)


def test_equal_scores_come_together_in_the_area() -> None:
    labels = np.array([True, False, False, True])
    assert states.area(labels, np.zeros(4)) == 0.5


def test_scores_do_not_depend_on_what_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    time = np.arange(900) * 60 * 10**9
    batch = Batch(["m"], np.zeros(900, np.int32), time, time, {"v": rng.normal(0, 1, 900)})
    series = [data.Series("a", batch, np.zeros(0, bool))]
    scores = {"a": ours.scores(ValueNovelty(), batch)}
    assert contest._truncated(ValueNovelty(), series, scores) == 0
    scores["a"] = scores["a"] / scores["a"].max()  # a score that needs the end
    assert contest._truncated(ValueNovelty(), series, scores) > 0
    monkeypatch.setattr(benchmark.process, "call", lambda *_: {"differ": 3})
    with pytest.raises(BenchmarkError, match="3 scores change"):
        benchmark.run("small", 1)


@pytest.mark.parametrize("name", sorted(RIVALS))
def test_each_rival_sees_a_jump_and_survives_constant_values(name: str) -> None:
    rng = np.random.default_rng(7)
    values = [*np.full(300, 5.0), *rng.normal(5, 1, 400), 25.0]
    scores = list(RIVALS[name]([{"v": float(value)} for value in values]))
    assert len(scores) == len(values)
    assert np.isfinite(scores).all()
    if name != "HalfSpaceTrees":  # beyond its range a value is no further away
        assert scores[-1] >= max(scores[350:-1])


def test_the_corpus_that_ships_is_whole_and_a_folder_can_add_to_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(data.VARIABLE, raising=False)
    corpus, series = data.nab()
    assert (len(series), sum(len(one.batch) for one in series)) == (58, 365_558)
    assert sum(len(file.windows) for file in corpus.files) == 116
    assert data.skab() == []
    monkeypatch.setenv(data.VARIABLE, str(tmp_path))
    assert len(data.nab()[1]) == 58
