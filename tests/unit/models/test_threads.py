from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from river import anomaly

from streamflow import Batch, Detect, Flow
from streamflow.engine.shard import Shard

RNG = random.Random(1)
SENSORS = ["p", "q", "r", "s", "t", "u"]
FLOW = Flow("test", sensors=SENSORS) | Detect(
    anomaly.HalfSpaceTrees(n_trees=2, height=3, window_size=5, seed=1)
)


@pytest.fixture(autouse=True)
def _restless() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def batch(device: str) -> Batch:
    """Readings that have other sensors each."""
    rows = [
        {"device": f"{device}{i % 9}", "time": i}
        | {name: RNG.random() for name in RNG.sample(SENSORS, RNG.randrange(7))}
        for i in range(25)
    ]
    return Batch.of(rows, SENSORS)


def test_shards_in_several_threads_share_a_model_and_not_its_growing_pains() -> None:
    batches = [batch(name) for name in "abcd"]
    alone = [Shard(FLOW.plan()).on_batch(b).rows[0]["score"].tolist() for b in batches]
    for _ in range(20):
        plan, start = FLOW.plan(), Barrier(4)

        def run(number: int, plan: object = plan, start: Barrier = start) -> list[float]:
            shard = Shard(plan)  # type: ignore[arg-type]
            start.wait()
            return shard.on_batch(batches[number]).rows[0]["score"].tolist()

        with ThreadPoolExecutor(4) as pool:
            assert repr(list(pool.map(run, range(4)))) == repr(alone)
