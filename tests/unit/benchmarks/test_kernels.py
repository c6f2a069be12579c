from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.kernels import benchmark, duel, loops
from benchmarks.kernels.data import SIZES, Size, stream, take


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES, "small", Size((3,), 20, 60, {3: 2}))
    monkeypatch.setattr(duel, "WINDOW", 10)


def test_each_device_sends_a_reading_a_round() -> None:
    batches = take(stream(7, seed=1, gaps=True), rounds=1000)
    assert [len(batch) for batch in batches] == [4096, 7000 - 4096]
    device = np.concatenate([batch.device for batch in batches]).reshape(1000, 7)
    assert (np.sort(device, axis=1) == np.arange(7)).all()
    values = np.concatenate([batch["speed"] for batch in batches])
    assert 0.08 < np.isnan(values).mean() < 0.12


@pytest.mark.parametrize("name", ["HalfSpaceTrees", "GaussianScorer", "MinMaxScaler", "ADWIN"])
def test_a_duel_has_a_rate_of_each_side_and_run(name: str) -> None:
    rates = duel.run(name, "small", 3, repeats=2)
    sides = {"kernel", "river"} | ({"stage"} if name != "MinMaxScaler" else set())
    assert rates.keys() == sides
    assert all(len(runs) == 2 and min(runs) > 0 for runs in rates.values())


def test_an_output_that_differs_in_a_bit_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    right = loops.score_target

    def off(*given: Any) -> list[Any]:
        out = right(*given)
        out[-1] = np.nextafter(out[-1], 1)
        return out

    other = duel.Duel(duel.DUELS["GaussianScorer"].make, off)
    monkeypatch.setitem(duel.DUELS, "GaussianScorer", other)
    monkeypatch.setattr(loops, "score_target", off)
    with pytest.raises(RuntimeError, match=r"GaussianScorer, 3 devices, kernel: output \d+ is"):
        duel.run("GaussianScorer", "small", 3, repeats=1)


def test_floors_stand_where_the_memory_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [
        {
            "name": "HalfSpaceTrees",
            "devices": devices,
            "rates": {"kernel": [1.0], "stage": [1.0], "river": [1.0]},
        }
        for devices in (100, 1000)
    ]
    monkeypatch.setattr(benchmark.process, "call", lambda *_: told)
    floors = {case.name: case.floor for case in benchmark.run("full", 1).cases}
    assert floors == {
        "HalfSpaceTrees, 100: kernel": None,
        "HalfSpaceTrees, 100: stage": None,
        "HalfSpaceTrees, 1,000: kernel": 50.0,
        "HalfSpaceTrees, 1,000: stage": None,
    }
    assert benchmark.run("small", 1).cases[0].floor == 20.0
