from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from streamflow import Batch, Flow, Memory, Stage
from streamflow.core.index import NEVER, Index
from streamflow.engine.expiry import returns, silent
from streamflow.engine.shard import Shard

TTL = 10


def readings(*rows: tuple[str, int]) -> Batch:
    """Readings that arrive at their event time: (device, time)."""
    return Batch.of([{"device": d, "time": t, "t": 1.0} for d, t in rows], ["t"])


def returned(batch: Batch, seen: list[int]) -> list[tuple[int, bool]]:
    """(position, first of its device) of each return; `seen` is by the device's code."""
    got = returns(batch, batch.device, np.array(seen), TTL)
    return [] if got is None else list(zip(got.at.tolist(), got.first.tolist(), strict=True))


def test_a_device_never_heard_of_does_not_return() -> None:
    assert returned(readings(("a", 100), ("b", 1)), [NEVER, NEVER]) == []


def test_silence_of_exactly_the_ttl_is_no_return() -> None:
    assert returned(readings(("a", 20)), [10]) == []
    assert returned(readings(("a", 21)), [10]) == [(0, True)]


def test_returns_come_in_order_and_tell_a_device_s_first() -> None:
    batch = readings(("a", 8), ("b", 30), ("a", 31), ("c", 31), ("a", 32), ("b", 60))
    assert returned(batch, [5, 10, 10]) == [(1, True), (2, False), (3, True), (5, False)]


def test_arrivals_out_of_order_are_measured_from_the_reading_before() -> None:
    assert returned(readings(("a", 50), ("a", 5), ("a", 20)), [45]) == [(2, False)]


def test_devices_are_silent_after_the_ttl_and_erased_ones_never() -> None:
    index = Index()
    index.restore(["a", "b", "c", "d"], [10, 20, 5, NEVER])
    index.erase([2])
    assert silent(index, 21, TTL) == ["a"]
    assert silent(index, 20, TTL) == []


@dataclass(frozen=True)
class Count(Stage):
    """Numbers the readings of each device."""

    @property
    def memory(self) -> Memory:
        """How many there were."""
        return Memory({"n": 0})

    @property
    def adds(self) -> Sequence[str]:
        """The number."""
        return ["n"]

    def on_batch(self, batch: Batch, state: Any) -> Batch:
        """One after the other."""
        number = np.zeros(len(batch))
        for i, row in enumerate(batch.device.tolist()):
            state["n"][row] += 1
            number[i] = state["n"][row]
        return batch.with_columns({"n": number})


@dataclass(frozen=True)
class Ticking(Count):
    """The same, for a stage that is told of time."""

    def on_tick(self, now: int, state: Any) -> None:
        """Nothing is due."""


@pytest.mark.parametrize("stage", [Count(), Ticking()], ids=["without ticks", "with ticks"])
def test_devices_that_return_start_anew_wherever_they_stand_in_a_batch(stage: Stage) -> None:
    shard = Shard((Flow("f", sensors=["t"], ttl="10ns") | stage).plan())
    shard.on_batch(readings(("a", 1), ("b", 1), ("c", 1)))
    out = shard.on_batch(
        readings(("c", 5), ("a", 30), ("b", 30), ("c", 31), ("a", 35), ("a", 99), ("b", 99))
    )
    assert np.concatenate([batch["n"] for batch in out.rows]).tolist() == [2, 1, 1, 1, 2, 1, 1]


@pytest.mark.parametrize("stage", [Count(), Ticking()], ids=["without ticks", "with ticks"])
def test_a_fleet_that_returns_at_once_is_erased_at_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = Shard((Flow("f", sensors=["t"], ttl="10ns") | stage).plan())
    fleet = [f"d{i}" for i in range(500)]
    shard.on_batch(readings(*((name, 1) for name in fleet)))
    erased: list[int] = []
    erase = Index.erase
    monkeypatch.setattr(
        Index, "erase", lambda self, rows: (erased.append(len(rows)), erase(self, rows))
    )
    out = shard.on_batch(readings(*((name, 50) for name in fleet)))
    assert erased == [500]
    assert [batch["n"].tolist() for batch in out.rows] == [[1.0] * 500]
