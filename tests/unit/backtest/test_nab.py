"""NAB's score: the published results of NAB, out of the published scores of its detectors.

`nab_published.json.gz` holds, of NAB v1.1 (MIT licence, streamflow/cli/demo_data/LICENSE_NAB.txt),
the sizes and windows of the 58 series, and of two detectors the scores from 0.5 (numenta) and
0.99999 (windowedGaussian) up, which are all that their thresholds let through.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamflow.backtest.nab import Corpus, Series
from streamflow.core.batch import Values


@cache
def published() -> Any:
    return json.loads(
        gzip.decompress(Path(__file__).with_name("nab_published.json.gz").read_bytes())
    )


@cache
def corpus() -> Corpus:
    known = published()
    pairs = zip(known["rows"], known["windows"], strict=True)
    return Corpus([Series(rows, [tuple(w) for w in windows]) for rows, windows in pairs])


def scores(detector: str) -> list[Values]:
    known, out = published(), []
    for rows, (steps, values) in zip(
        known["rows"], known["detectors"][detector]["scores"], strict=True
    ):
        out.append(np.zeros(rows))
        out[-1][np.cumsum(steps, dtype=int)] = values
    return out


@pytest.mark.parametrize("detector", ["numenta", "windowedGaussian"])
def test_published_results_come_out_at_the_published_thresholds(detector: str) -> None:
    known = published()["detectors"][detector]
    for profile, threshold in known["thresholds"].items():
        got = corpus().at(scores(detector), threshold)
        assert got is not None
        assert got[profile] == pytest.approx(known["published"][profile], abs=1e-9)


@pytest.mark.parametrize("detector", ["numenta", "windowedGaussian"])
def test_the_best_threshold_is_at_least_as_good_as_the_published_one(detector: str) -> None:
    known, best = published()["detectors"][detector], corpus().best(scores(detector))
    assert best is not None
    assert best["standard"].score == pytest.approx(known["published"]["standard"], abs=1e-9)
    for profile, (score, threshold) in best.items():
        assert score >= known["published"][profile] - 1e-9
        again = corpus().at(scores(detector), threshold)
        assert again is not None
        assert again[profile] == pytest.approx(score, abs=1e-9)


def random_case(seed: int) -> tuple[Corpus, list[Values]]:
    random = np.random.default_rng(seed)
    series = [Series(60, [(20, 24), (25, 25), (40, 49)]), Series(30, []), Series(40, [(0, 10)])]
    return Corpus(series), [random.normal(size=one.size).round(1) for one in series]


@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_beats_the_best_one(seed: int) -> None:
    corpus, scores = random_case(seed)
    best = corpus.best(scores)
    assert best is not None
    everything = [*np.unique(np.concatenate(scores)).tolist(), np.inf]
    for profile, found in best.items():
        tried = [corpus.at(scores, threshold) for threshold in everything]
        assert found.score == pytest.approx(max(one[profile] for one in tried if one))


def test_finding_nothing_is_0_and_finding_all_at_once_is_100() -> None:
    corpus = Corpus([Series(100, [(30, 39), (60, 60)])])
    detections = np.zeros(100)
    assert corpus.at([detections], 0.5) == {"standard": 0.0, "low_fp": 0.0, "low_fn": 0.0}
    detections[[30, 60]] = 1.0
    assert corpus.at([detections], 0.5) == {"standard": 100.0, "low_fp": 100.0, "low_fn": 100.0}


def test_rows_without_a_score_are_no_detections() -> None:
    corpus = Corpus([Series(100, [(50, 59)])])
    score = np.full(100, np.nan)
    assert corpus.at([score], -np.inf) is not None
    best = corpus.best([score])
    assert best is not None
    assert best["standard"] == (0.0, np.inf)


def test_without_a_window_there_is_no_score() -> None:
    assert Corpus([Series(10, [])]).at([np.ones(10)], 0.5) is None
    assert Corpus([]).best([]) is None
