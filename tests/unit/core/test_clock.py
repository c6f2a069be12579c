from __future__ import annotations

from streamflow import SystemClock
from streamflow.core.clock import ManualClock


def test_a_manual_clock_moves_only_when_it_sleeps() -> None:
    clock = ManualClock(5)
    assert (clock.now(), clock.monotonic()) == (5, 5)
    clock.sleep(0.25)
    assert (clock.now(), clock.monotonic()) == (250_000_005, 250_000_005)


def test_the_system_clock_is_in_ns_since_1970_and_sleeps() -> None:
    clock = SystemClock()
    wall, began = clock.now(), clock.monotonic()
    clock.sleep(0.002)
    assert clock.monotonic() - began >= 2_000_000
    assert clock.now() > wall > 1_700_000_000 * 10**9
