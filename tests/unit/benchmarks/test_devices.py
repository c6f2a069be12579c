from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.devices import benchmark, keyed, ours, scorers
from benchmarks.devices.watch import Figures
from benchmarks.frame import Case

DEVICES = 5_000


@pytest.mark.parametrize(
    ("side", "phases"),
    [(ours, ("restart", "return", "expire")), (keyed, ("restart", "expire"))],
    ids=["ours", "keyed"],
)
def test_each_phase_leaves_the_devices_it_should(
    side: ModuleType, phases: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "SWEEP", 1.5)
    started = Figures(**side.run("start", DEVICES, str(tmp_path / "start")))
    assert min(started.readings_cpu, started.end_cpu, started.end_wall, started.disk) > 0
    for phase in phases:
        shutil.copytree(tmp_path / "start", tmp_path / phase)
        figures = Figures(**side.run(phase, DEVICES, str(tmp_path / phase)))
        assert figures.ready_wall > 0


def test_a_state_with_the_wrong_devices_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "SWEEP", 0.0)
    ours.run("start", DEVICES, str(tmp_path / "state"))
    with pytest.raises(RuntimeError, match="knows 5,000 devices"):
        ours.run("expire", DEVICES, str(tmp_path / "state"))


def test_what_the_baseline_was_spared_has_no_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = dict.fromkeys(Figures.__annotations__, 1.0)
    told = {"benchmarks.devices.scorers:run": {"peak": 1.0}, "benchmarks.devices.scorers:trees": 1}
    monkeypatch.setattr(benchmark.process, "call", lambda name, *_: told.get(name, figures))
    monkeypatch.setattr(benchmark.shutil, "copytree", lambda *_: None)
    small = {case.name: case for case in benchmark.run("small", 1).cases}
    full = {case.name: case for case in benchmark.run("full", 1).cases}
    assert small["restart, CPU"].floor is not None
    assert (full["restart, CPU"].floor, full["restart, CPU"].baseline) == (None, ())
    assert all(isinstance(case, Case) and len(case.ours) == 1 for case in full.values())


def test_a_scorer_and_trees_take_no_more_than_they_may() -> None:
    figures = scorers.run(DEVICES)
    assert 0 < figures["declared"] * DEVICES <= 24 * DEVICES
    assert figures["held"] <= figures["peak"]
    assert 10_000 < scorers.trees() < 12_000


def test_more_memory_than_allowed_is_below_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"benchmarks.devices.scorers:run": {"peak": 5e7}, "benchmarks.devices.scorers:trees": 1}
    monkeypatch.setattr(benchmark.process, "call", lambda name, *_: told[name])
    assert [case.ok for case in benchmark._allowed(100_000, 499.0)] == [False, True]
