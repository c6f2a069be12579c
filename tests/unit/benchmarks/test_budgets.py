from __future__ import annotations

import pytest

from benchmarks.budgets import benchmark
from benchmarks.budgets.data import Size, quiet


def test_quiet_series_have_no_incident_in_them() -> None:
    stretches = dict(quiet())
    assert len(stretches) == 7
    taxi = [row["time"] for row in stretches["taxi_demand"]]
    marathon, snow = 1_414_800_000, 1_422_316_800  # 2014-11-01, 2015-01-27: both labelled
    assert not any(taxi[0] <= day * 10**9 <= taxi[-1] for day in (marathon, snow))
    assert len(taxi) > 3_000


@pytest.mark.parametrize(("count", "low", "high"), [(0, 0.0, 3.7), (100, 81.4, 121.6)])
def test_poisson_intervals(count: int, low: float, high: float) -> None:
    assert benchmark.interval(count) == pytest.approx((low, high), abs=0.1)


def test_a_case_of_noise_tells_both_sides_of_the_budget() -> None:
    enough, no_more = benchmark._noise("gaussian", Size(8, 4_032), 1)[:2]
    assert enough.ok
    assert no_more.ok
    assert enough.ratio is not None
    assert no_more.ratio == pytest.approx(1 / enough.ratio)
