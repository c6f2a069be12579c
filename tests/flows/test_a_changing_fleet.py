"""Devices that join and leave, and sensors that come and go: no restart, no error, no growth."""

from __future__ import annotations

import numpy as np
from river import anomaly, preprocessing

from streamflow import Alert, Batch, Detect, Flow, Impute, Sensor, Validate
from streamflow.engine.plan import Plan
from streamflow.engine.shard import Shard

HOUR = 3600 * 10**9


def a_plan() -> Plan:
    trees = anomaly.HalfSpaceTrees(n_trees=2, height=3, window_size=20, seed=7)
    sensors = {name: Sensor(low=-1e3, high=1e3) for name in ("t", "p", "v")}
    flow = Flow("fleet", sensors=sensors, ttl="2h") | Validate() | Impute(hold="1h")
    return (flow | Detect(preprocessing.MinMaxScaler() | trees) | Alert("score > 0.9")).plan()


def a_batch(rng: np.random.Generator, devices: list[str], time: int, sensors: str) -> Batch:
    n = len(devices)
    columns = {name: np.full(n, np.nan) for name in "tpv"}
    columns |= {name: rng.normal(20, 1, n) for name in sensors}
    code, at = np.arange(n, dtype=np.int32), np.full(n, time)
    return Batch(devices, code, at, at, columns)


def test_thousands_join_and_leave_in_bounded_memory() -> None:
    rng, shard = np.random.default_rng(1), Shard(a_plan())
    sizes = []
    for hour in range(24):
        fleet = [f"m{hour // 2}-{i}" for i in range(1500)]
        shard.on_batch(a_batch(rng, fleet, hour * HOUR, "tpv"))
        shard.on_tick(hour * HOUR + HOUR // 2)
        sizes.append(sum(state.bytes() for state in shard.states.values()))
    assert len(shard.index) <= 2 * 1500
    assert max(sizes) == max(sizes[:6])
    assert shard.balance.readings == shard.balance.out == 24 * 1500


def test_a_sensor_that_comes_late_goes_and_comes_again_is_scored_throughout() -> None:
    rng, shard = np.random.default_rng(1), Shard(a_plan())
    for step, sensors in enumerate(["t", "tp", "p", "tpv", "v", "t"] * 10):
        (rows,) = shard.on_batch(a_batch(rng, ["a", "b"], step * HOUR, sensors)).rows
        assert not np.isnan(rows["score"]).any()
    assert shard.balance.readings == shard.balance.out == 120
