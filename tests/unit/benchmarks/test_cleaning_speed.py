from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.cleaning_speed import benchmark, duel
from benchmarks.cleaning_speed.data import SIZES, Size, batches, dicts
from benchmarks.cleaning_speed.pairs import PAIRS, Pair


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES, "small", Size((50,), 3_000))


def test_the_data_has_what_the_stages_are_for() -> None:
    batch = batches(100, 4000, run=1)[0]
    assert 20 < (np.diff(batch.time) == 0).sum() < 80
    assert set(np.unique((batch.time - batch.arrived) // (1800 * 10**9)).tolist()) == {-1, 1}
    assert dicts(batch)[0]["device"] == batch.name(0)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: type(pair.stage).__name__)
def test_each_side_has_a_figure_of_each_run(pair: Pair) -> None:
    spent = duel.run(pair, "small", 50, repeats=2)
    assert spent.keys() == {"stage", "copy", "loop"}
    assert all(len(runs) == 2 and min(runs) > 0 for runs in spent.values())


@pytest.mark.parametrize(
    ("spoiled", "sentence"),
    [
        (lambda rows: rows[:-1], "the loop's are"),
        (lambda rows: [{**row, "time": row["time"] + 1} for row in rows], "time differs from"),
        (lambda rows: [{**row, "speed": 0.5} for row in rows], "speed differs from the loop's"),
    ],
)
def test_a_loop_that_gives_others_fails(spoiled: Callable[[Any], Any], sentence: str) -> None:
    right = PAIRS[0]

    def make() -> Any:
        loop = right.loop()
        return lambda rows: spoiled(loop(rows))

    with pytest.raises(RuntimeError, match=sentence):
        duel.run(Pair(right.stage, make, right.floor), "small", 50, repeats=1)


def test_the_loop_has_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    ns = {"stage": [10.0], "copy": [5.0], "loop": [70.0]}
    one = {"name": "Reorder", "devices": 100, "floor": 8.0, "ns": ns}
    monkeypatch.setattr(benchmark.process, "call", lambda *_: [one])
    small, full = benchmark.run("small", 1), benchmark.run("full", 1)
    assert [case.ok for case in small.cases] == [True, True]
    assert [case.ok for case in full.cases] == [False, True]
