from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.cleaning_values import benchmark, race
from benchmarks.cleaning_values.stages import CASES, flatline, hampel, in_range


def test_each_device_sends_a_reading_a_round_and_time_goes_on() -> None:
    source = race.stream(7)
    device = np.concatenate([next(source).device for _ in range(7)]).reshape(-1, 7)
    assert (np.sort(device, axis=1) == np.arange(7)).all()
    first, second = next(source), next(source)
    assert first.time[-1] <= second.time[0]
    assert 0 < np.isnan(first["speed"]).mean() < 0.05


def test_a_race_has_a_cost_of_each_side_and_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "CASES", [case for case in CASES if case.name == "Validate"])
    (found,) = race.races(7, 1, 2)
    assert found.keys() == {"ours", "copy", "loop"}
    assert all(len(runs) == 2 and min(runs) > 0 for runs in found.values())


def test_the_loops_do_what_they_are_held_against_for() -> None:
    devices = ["a"] * 100

    def given(values: list[Any]) -> list[dict[str, Any]]:
        return [{"speed": value} for value in values]

    far = given([20.0, 99.0, None])
    in_range()(devices[:3], far)
    assert [x["speed"] for x in far] == [20.0, None, None]
    frozen = given([20.0] * 70)
    flatline()(devices[:70], frozen)
    assert [x["speed"] for x in frozen].index(None) == 59
    spiky = given([*np.random.default_rng(1).normal(20, 0.1, 20), 30.0])
    hampel()(devices[:21], spiky)
    assert spiky[-1]["speed"] is None


def test_the_chain_has_a_floor_of_a_third(monkeypatch: pytest.MonkeyPatch) -> None:
    def call(target: str, *_: Any) -> Any:
        if target.endswith(":chain"):
            return {"chain": [200.0], "hot path": [1100.0]}
        return [{"ours": [5.0], "copy": [1.0], "loop": [500.0]} for _ in CASES]

    monkeypatch.setattr(benchmark.process, "call", call)
    report = benchmark.run("small", 1)
    assert report.ok
    assert (report.cases[-1].floor, report.cases[-1].ratio) == (3.0, 5.5)
