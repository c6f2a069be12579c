"""Garbage in the middle of a stream, and maintenance: later scores are as if it had not been."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from river import anomaly, preprocessing

from streamflow import (
    Despike,
    Detect,
    Flow,
    Gate,
    Impute,
    Maintenance,
    Sensor,
    Stage,
    Stuck,
    Validate,
    ValueNovelty,
)
from streamflow.core.event import iso

FLOW = Flow("guarded", sensors={"t": Sensor(low=-50, high=150), "p": Sensor(low=0, high=10)})
MINUTE = 60
INF = float("inf")
MODELS: dict[str, Any] = {
    "half-space trees": lambda: Detect(
        preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(5, 4, window_size=20, seed=7)
    ),
    "scaled, with a gate": lambda: Detect(
        preprocessing.StandardScaler() | anomaly.HalfSpaceTrees(5, 4, window_size=20, seed=7),
        gate=Gate("score > 0.9", resume=3, limit=20),
    ),
    "gaussian": lambda: Detect(anomaly.GaussianScorer(None, 5), target="t"),
    "novelty": lambda: Detect(ValueNovelty(warm_up=5), sensors=["t"]),
    "reading by reading": lambda: Detect(
        preprocessing.RobustScaler() | anomaly.HalfSpaceTrees(3, 3, window_size=20, seed=7)
    ),
}
GARBAGE: dict[str, list[dict[str, Any]]] = {
    "missing": [{}, {"t": None, "p": None}, {"t": float("nan")}],
    "infinite": [{"t": INF, "p": -INF}] * 3,
    "text": [{"t": "hot", "p": "n/a"}] * 3,
    "out of range": [{"t": 1e30, "p": -1.0}, {"t": -127.0, "p": 11.0}] * 3,
    "a spike": [{"t": 120.0, "p": 9.9}],
    "everything": [
        {"t": INF, "p": 99.0}, {"t": 140.0, "p": 9.9}, {}, {"t": -49.0, "p": 0.0},
        {"t": "x", "p": 11.0},
    ],
}  # fmt: skip


def usual(n: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    t, p = 20 + rng.normal(0, 1, n), 5 + rng.normal(0, 0.2, n)
    return [{"t": a, "p": b} for a, b in zip(t.tolist(), p.tolist(), strict=True)]


def scores(
    stages: list[Stage], before: list[Any], burst: list[Any], after: list[Any], left_out: bool
) -> list[float]:
    """The scores behind a burst that came, or that the device never sent."""
    flow = FLOW
    for part in stages:
        flow |= part
    numbered = list(enumerate([*before, *burst, *after]))
    if left_out:
        numbered = [*numbered[: len(before)], *numbered[len(before) + len(burst) :]]
    rows = [{"device": "a", "time": MINUTE * i, **values} for i, values in numbered]
    got: list[float] = flow.replay(rows).rows["score"].tolist()
    assert len(got) == len(rows)
    return got[-len(after) :]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("burst", GARBAGE)
def test_a_burst_of_garbage_leaves_every_later_score_as_it_would_have_been(
    model: str, burst: str
) -> None:
    usual_ = usual(160)
    stages = [Validate(), Stuck(), Despike(), Impute(hold="1h"), MODELS[model]()]
    given = (stages, usual_[:80], GARBAGE[burst], usual_[80:])
    expected = scores(*given, left_out=True)
    assert scores(*given, left_out=False) == expected
    assert len(set(expected)) > 1


def test_without_the_cleaning_stages_the_same_garbage_changes_scores() -> None:
    usual_ = usual(160)
    given = ([MODELS["half-space trees"]()], usual_[:80], GARBAGE["everything"], usual_[80:])
    assert scores(*given, left_out=False) != scores(*given, left_out=True)


@pytest.mark.parametrize("model", MODELS)
def test_of_a_stuck_sensor_only_the_beginning_is_learned(model: str) -> None:
    usual_ = usual(160)
    before, after = usual_[:80], usual_[80:]
    frozen = [{"t": 20.5, "p": 5.1}] * 60
    stages = [Validate(), Stuck(after=6, pinned=None), Impute(hold="1h"), MODELS[model]()]
    # Its first five readings have passed when the sixth shows it.
    expected = scores(stages, [*before, *frozen[:5]], frozen[5:], after, left_out=True)
    assert scores(stages, [*before, *frozen[:5]], frozen[5:], after, left_out=False) == expected


@pytest.mark.parametrize("model", MODELS)
def test_what_comes_in_a_maintenance_window_is_not_learned(model: str, tmp_path: Path) -> None:
    usual_, work = usual(160), [{"t": 90.0 + i % 7, "p": 1.0 + i % 3} for i in range(50)]
    start, end = iso(80 * MINUTE * 10**9), iso(130 * MINUTE * 10**9)
    table = tmp_path / "windows.csv"
    table.write_text(f"device,start,end\na,{start},{end}\n")
    given = ([Maintenance(table), MODELS[model]()], usual_[:80], work, usual_[80:])
    expected = scores(*given, left_out=True)
    assert scores(*given, left_out=False) == expected
    table.write_text(f"device,start,end\nb,{start},{end}\n")
    assert scores(*given, left_out=False) != expected
