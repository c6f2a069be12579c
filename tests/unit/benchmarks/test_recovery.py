from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.recovery import flow as program
from benchmarks.recovery import side
from benchmarks.recovery.benchmark import SIZES
from benchmarks.recovery.meter import Figures, Meter


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets both clocks."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "process_time", lambda: now[0] / 2)

    def set_(seconds: float) -> None:
        now[0] = seconds

    return set_


def test_epochs_are_measured_from_snapshot_to_durable_less_a_batch(
    at: Callable[[float], None],
) -> None:
    meter = Meter(recovery=True, epoch=10.0, epochs=2)
    now = 0.0
    for epoch in range(3):
        for batch in range(3):
            at(now := now + 1.0)
            meter.polled((3 * epoch + batch + 1) * 10, warm=True)
            if batch == 2:
                meter.snapped()
            meter.arrived(10)
        assert not meter.done
        at(now := now + 5.0)
        meter.committed(warm=True)
    figures = meter.figures()
    assert figures.epochs_wall == [4.0, 4.0]
    assert figures.epochs_cpu == [2.0, 2.0]
    assert (figures.readings, figures.wall, figures.cpu) == (60, 16.0, 8.0)
    assert len(figures.latencies) == 6
    assert meter.done


def test_without_recovery_a_run_lasts_as_long_as_its_epochs(at: Callable[[float], None]) -> None:
    meter = Meter(recovery=False, epoch=2.0, epochs=2)
    for second in range(1, 7):
        at(float(second))
        meter.polled(second * 10, warm=second > 1)
        meter.arrived(10)
    figures = meter.figures()
    assert (figures.wall, figures.readings, figures.epochs_cpu) == (4.0, 40, [])


def test_a_batch_has_arrived_with_its_last_reading(at: Callable[[float], None]) -> None:
    meter = Meter(recovery=False, epoch=1.0, epochs=2)
    for number, (second, arrives) in enumerate([(0.0, 0), (1.0, 5), (2.0, 15), (3.0, 0)], 1):
        at(second)
        meter.polled(number * 10, warm=True)
        meter.arrived(arrives)
    assert meter.figures().latencies == [2.0, 1.0]


def test_the_rate_is_that_of_a_core_of_its_own() -> None:
    # 8 s of CPU between epochs, and an epoch each 2 s takes half a second of them.
    figures = Figures(8_000, 9.0, 30.0, [], [0.5, 0.5], [1.0, 1.0])
    assert figures.rate(epoch=2.0) == 750.0
    assert Figures(8_000, 8.0, 30.0, [], [], []).rate(epoch=2.0) == 1000.0


@pytest.mark.parametrize("recovery", [True, False])
def test_a_run_measures_what_it_says(recovery: bool) -> None:
    told = side.measure(50, 80, 0.2, 1, recovery)
    assert told["readings"] % program.BATCH == 0
    assert min(told["readings"], told["cpu"], told["wall"], *told["latencies"]) > 0
    assert len(told["epochs_wall"]) == recovery


def test_a_state_that_is_not_that_of_the_readings_fails_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(program.Readings, "windows", lambda *_: np.zeros((50, 10)))
    with pytest.raises(RuntimeError, match="not what the readings make it"):
        side.measure(50, 80, 0.2, 1, True)


def test_the_floors_of_the_issue_stand_in_the_full_size() -> None:
    floors = {
        (s.devices * s.bytes_per_device, s.epoch): (s.floor_cpu, s.floor_wall)
        for s in SIZES["full"]
        if s.floor_cpu is not None
    }
    assert floors == {(10_000_000, 2): (0.95, 0.95), (100_000_000, 10): (0.9, 0.9)}
