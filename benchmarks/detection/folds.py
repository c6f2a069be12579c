"""Half of the files choose, the other half judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from benchmarks.detection.nab import Corpus, Values, points

Scores = Mapping[str, Values]
"""File -> score of each row."""
FOLDS = 20


def halves(corpus: Corpus, folds: int = FOLDS) -> Iterator[tuple[Corpus, Corpus]]:
    """Of each category half of the files, drawn from the seeds 0, 1, ..., and the other half."""
    categories: dict[str, list[str]] = {}
    for file in corpus.files:
        categories.setdefault(file.name.partition("/")[0], []).append(file.name)
    for seed in range(folds):
        rng = np.random.default_rng(seed)
        chosen: set[str] = set()
        for names in categories.values():
            # Of an odd number either half has the one more.
            size = (len(names) + int(rng.integers(2))) // 2
            chosen.update(names[i] for i in rng.permutation(len(names))[:size])
        others = {file.name for file in corpus.files} - chosen
        yield corpus.some(chosen), corpus.some(others)


def other_half(corpus: Corpus, variants: Sequence[Scores]) -> list[float]:
    """Points on the other half, with the threshold, and the variant, that one half found best."""
    out = []
    for half, other in halves(corpus):
        found = [half.best(scores) for scores in variants]
        best = max(range(len(variants)), key=lambda i: found[i][0])
        out.append(other.score(variants[best], found[best][1]))
    return out


def bootstrap(corpus: Corpus, scores: Scores, threshold: float, times: int = 1000) -> float:
    """The standard deviation of the points if the files were drawn anew, with replacement."""
    rng = np.random.default_rng(0)
    earned = corpus.by_file(scores, threshold)
    drawn = rng.integers(0, len(earned), (times, len(earned)))
    return float(np.std([points(earned[rows].sum(axis=0)) for rows in drawn]))
