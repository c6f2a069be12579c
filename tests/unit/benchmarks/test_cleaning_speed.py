from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.cleaning_speed import benchmark, chain, duel
from benchmarks.cleaning_speed.data import SIZES, by_device, dicts, disordered, gappy
from benchmarks.cleaning_speed.pairs import PAIRS, Pair
from benchmarks.cleaning_speed.value_loops import flatline, hampel, in_range


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES, "small", 3_000)


def test_the_data_has_what_the_stages_are_for() -> None:
    batch = disordered(100, 4000, run=1)[0]
    assert 20 < (np.diff(batch.time) == 0).sum() < 80
    assert set(np.unique((batch.time - batch.arrived) // (1800 * 10**9)).tolist()) == {-1, 1}
    assert dicts(batch)[0]["device"] == batch.name(0)


def test_each_device_sends_a_reading_a_round_and_time_goes_on() -> None:
    (batch,), (later,) = gappy(7, 700, run=0), gappy(7, 700, run=1)
    assert (np.sort(batch.device.reshape(-1, 7), axis=1) == np.arange(7)).all()
    assert (np.diff(batch.time) >= 0).all()
    assert batch.time[-1] < later.time[0]
    missing = [x["speed"] is None for _, x in by_device(batch)]
    assert missing == np.isnan(batch["speed"]).tolist()
    assert 0 < np.mean(missing) < 0.05


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_each_side_has_a_figure_of_each_run(pair: Pair) -> None:
    spent = duel.run(pair, "small", 50, repeats=2)
    assert spent.keys() == {"stage", "copy"} | ({"loop"} if pair.loop else set())
    assert all(len(runs) == 2 and min(runs) > 0 for runs in spent.values())


def test_every_loop_has_a_floor_in_both_sizes() -> None:
    for pair in PAIRS:
        assert (pair.loop is None) == (pair.small is None) == (pair.full is None)


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
        assert right.loop
        loop = right.loop()
        return lambda rows: spoiled(loop(rows))

    with pytest.raises(RuntimeError, match=sentence):
        duel.run(replace(right, loop=make), "small", 50, repeats=1)


def test_the_loops_do_what_they_are_held_against_for() -> None:
    def given(values: list[Any]) -> list[tuple[str, dict[str, Any]]]:
        return [("a", {"speed": value}) for value in values]

    far = given([20.0, 99.0, None])
    in_range()(far)
    assert [x["speed"] for _, x in far] == [20.0, None, None]
    frozen = given([20.0] * 70)
    flatline()(frozen)
    assert [x["speed"] for _, x in frozen].index(None) == 59
    spiky = given([*np.random.default_rng(1).normal(20, 0.1, 20), 30.0])
    hampel()(spiky)
    assert spiky[-1][1]["speed"] is None


def test_the_loop_has_the_floor_and_the_chain_one_of_a_third(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = {"name": "Reorder, 100", "floor": 8.0}
    ns = {"stage": [10.0], "copy": [5.0], "loop": [70.0]}

    def call(target: str, *_: Any) -> Any:
        if target.endswith("chain:run"):
            return {"chain": [200.0], "hot path": [1100.0]}
        return [{**one, "ns": ns}]

    monkeypatch.setattr(benchmark.process, "call", call)
    report = benchmark.run("small", 1)
    assert [case.ok for case in report.cases] == [False, True, True]
    assert [case.floor for case in report.cases] == [8.0, None, 3.0]
    assert report.cases[-1].ratio == 5.5


def test_the_chain_is_timed_beside_the_hot_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "LEARNED", 5)
    spent = chain.run("small", 2)
    assert spent.keys() == {"chain", "hot path"}
    assert all(len(runs) == 2 and min(runs) > 0 for runs in spent.values())
