from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamflow import Batch, Gate
from streamflow.errors import FlowError
from streamflow.models.learning import Condition, condition


def of(text: str, score: str = "score") -> Condition:
    return condition("detect", "learn", text, score, ["t", "p"], ["site"])


BATCH = Batch.of(
    [{"device": "a", "time": i, "t": float(i), "site": "north"} for i in range(3)],
    ["t", "p"],
    ["site"],
)


@pytest.mark.parametrize(
    ("text", "score", "holds"),
    [
        ("score < 0.5", 0.4, True),
        ("score < 0.5", 0.5, False),
        ("score <= 0.5", 0.5, True),
        ("score > -1", -0.5, True),
        ("score >= 1e-3", 0.0, False),
        ("score > 0.1 and score < 0.5", 0.6, False),
        ("t > 0", 99.0, True),
        ("score < 0.5", float("nan"), False),
    ],
)
def test_the_part_about_the_score(text: str, score: float, holds: bool) -> None:
    assert of(text).holds(np.array([score])).tolist() == [holds]


def test_the_upstream_part_is_a_mask_over_the_batch() -> None:
    both = of('score < 0.5 and t > 0 and site == "north"')
    assert both.mask(BATCH).tolist() == [False, True, True]
    assert of("score < 0.5").mask(BATCH).tolist() == [True, True, True]


def test_an_or_of_upstream_columns_stays_whole() -> None:
    assert of("t > 1 or t < 1").mask(BATCH).tolist() == [True, False, True]


def test_a_named_detector_may_look_at_anothers_score() -> None:
    second = condition("x", "learn", "score < 1 and x_score < 2", "x_score", ["score"], [])
    assert second.holds(np.array([1.9, 2.0])).tolist() == [True, False]
    batch = BATCH.with_columns({"score": np.array([0.0, 1.0, 2.0])})
    assert second.mask(batch).tolist() == [True, False, False]


@pytest.mark.parametrize(
    "text",
    [
        "score < 0.5 or t > 1",
        "not score > 0.5",
        "0 < score < 1",
        "0.5 > score",
        "score < t",
        "score + 1 < 2",
        "abs(score) < 1",
        "missing(score)",
        "score == 1",
        "score != 1",
        "score in (1, 2)",
        "t < score",
        "t > 0 and (score < 1 or t > 5)",
    ],
)
def test_what_cannot_be_known_before_the_reading_is_refused(text: str) -> None:
    with pytest.raises(FlowError) as error:
        of(text)
    assert "'score' is known reading by reading only; compare it with a number" in str(error.value)


@pytest.mark.parametrize("text", ["tt > 1", "scor < 1", "site > 1", "t >", 0.5])
def test_a_wrong_condition_is_refused_before_anything_runs(text: Any) -> None:
    with pytest.raises(FlowError):
        of(text)


@pytest.mark.parametrize(("resume", "limit"), [(0, 1), (1, 0), (-1, 5)])
def test_a_gate_counts_readings(resume: int, limit: int) -> None:
    with pytest.raises(FlowError, match="at least 1"):
        Gate("score > 1", resume, limit)
