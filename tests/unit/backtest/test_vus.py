"""VUS-PR: figures of a scorer that agrees with TSB-AD to the last digit, and what must hold."""

from __future__ import annotations

import numpy as np
import pytest

from streamflow.backtest.vus import vus_pr

WINDOWS = [(400, 449), (1200, 1200), (2900, 2999)]


def label() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    out = np.zeros(3000)
    for first, last in WINDOWS:
        out[first : last + 1] = 1.0
    return out


NOISE = np.random.default_rng(11).normal(size=3000).round(2)


@pytest.mark.parametrize(
    ("score", "known"),
    [
        (NOISE, 0.08590143937630898),
        (NOISE + 2 * label() + (np.arange(3000) % 7 == 0), 0.4714632233039295),
        (label(), 1.0),
    ],
    ids=["noise", "noise and signal", "the labels"],
)
def test_known_figures(score: np.ndarray[tuple[int], np.dtype[np.float64]], known: float) -> None:
    assert vus_pr(score, WINDOWS) == pytest.approx(known, abs=1e-12)


def test_it_depends_on_the_order_of_scores_alone() -> None:
    assert vus_pr(np.exp(NOISE), WINDOWS) == vus_pr(NOISE, WINDOWS)


def test_a_missing_score_counts_as_the_lowest() -> None:
    low, missing = label() - 9.0, label()
    missing[missing == 0] = np.nan
    assert vus_pr(missing, WINDOWS) == vus_pr(low, WINDOWS)


def test_without_a_window_there_is_none() -> None:
    assert vus_pr(NOISE, []) is None
