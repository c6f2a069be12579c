"""Stages that break a law are caught, and the law they break is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, settings

from streamflow import Batch, Field, Flow, Memory, Stage
from streamflow.core.state import State
from streamflow.testing import check_laws

FLOW = Flow("caught", sensors=["t"])


@dataclass(frozen=True)
class Adds(Stage):
    """Adds one column, and counts readings of a device in a field of its memory."""

    @property
    def adds(self) -> Sequence[str]:
        return ("out",)

    @property
    def memory(self) -> Memory:
        return Memory({"count": 0})

    def on_batch(self, batch: Batch, state: State) -> Batch:
        out = np.zeros(len(batch))
        for i in range(len(batch)):
            out[i] = self.one(batch.device[i], batch["t"][i], state)
        return batch.with_columns({"out": out})

    def one(self, row: int, value: float, state: State) -> float:
        state["count"][row] += 1
        return float(state["count"][row])


@dataclass(frozen=True)
class SubtractsTheBatchMean(Adds):
    def on_batch(self, batch: Batch, state: State) -> Batch:
        with np.errstate(all="ignore"):
            return batch.with_columns({"out": batch["t"] - batch["t"].mean()})


@dataclass(frozen=True)
class AsksTheTime(Adds):
    """Holds readings until a tick, and adds how long they were held."""

    @property
    def memory(self) -> Memory:
        return Memory(holds=True)

    def on_batch(self, batch: Batch, state: State) -> Batch:
        state.hold(batch)
        return batch.take(np.arange(0)).with_columns({"out": np.zeros(0)})

    def on_tick(self, now: int, state: State) -> Batch | None:
        late = state.held and state.release(np.arange(len(state.held)))
        return late and late.with_columns({"out": (now - late.arrived).astype(float)})


@dataclass(frozen=True)
class Chancy(Adds):
    """Depends on something that no state holds, here on how often any copy of it was called."""

    calls = count()

    def one(self, row: int, value: float, state: State) -> float:
        return next(self.calls)


@dataclass(frozen=True)
class HidesItsState(Adds):
    seen: dict[int, int] = field(default_factory=dict)

    def one(self, row: int, value: float, state: State) -> float:
        self.seen[row] = self.seen.get(row, 0) + 1
        return self.seen[row]


@dataclass(frozen=True)
class ForgetsAField(Adds):
    """Remembers two things, and declares one of them to follow from the device's name."""

    @property
    def memory(self) -> Memory:
        return Memory({"count": 0, "again": Field(np.int64, derived=True)})

    def one(self, row: int, value: float, state: State) -> float:
        state["count"][row] += 1
        state["again"][row] += 1
        return float(state["again"][row])


class LiveCodec:
    """Gives out the object itself instead of bytes."""

    version = "1"

    def dump(self, thing: Any) -> Any:
        return thing

    def load(self, data: Any, version: str) -> Any:
        return data

    def size(self, thing: Any) -> int:
        return 0


@dataclass(frozen=True)
class SharesItsSnapshot(Adds):
    @property
    def memory(self) -> Memory:
        return Memory(codec=LiveCodec())

    def one(self, row: int, value: float, state: State) -> float:
        state.objects.setdefault(row, []).append(float(value))
        return len(state.objects[row])


@dataclass(frozen=True)
class SavesASet(SharesItsSnapshot):
    def one(self, row: int, value: float, state: State) -> float:
        state.objects.setdefault(row, set()).add(value)
        return len(state.objects[row])


@dataclass(frozen=True)
class ComparesWithAnyDevice(Adds):
    """Remembers the last value of all devices together."""

    @property
    def memory(self) -> Memory:
        return Memory({"last": np.nan})

    def one(self, row: int, value: float, state: State) -> float:
        before, state["last"][0] = float(state["last"][0]), value
        return before


@dataclass(frozen=True)
class PacksDevicesTogether(Adds):
    """Remembers of each device whether it was seen, as a bit of one number."""

    @property
    def memory(self) -> Memory:
        return Memory({"bits": 0})

    def one(self, row: int, value: float, state: State) -> float:
        before = bool(state["bits"][0] >> row & 1)
        state["bits"][0] |= 1 << row
        return before


@pytest.fixture(autouse=True)
def _without_shrinking() -> Iterator[None]:
    before = settings.get_current_profile_name()
    settings.register_profile("found is enough", phases=[Phase.generate])
    settings.load_profile("found is enough")
    yield
    settings.load_profile(before)


@pytest.mark.parametrize(
    ("stage", "law"),
    [
        (SubtractsTheBatchMean(), "law 1, batching is invisible: rows of device 'a'"),
        (AsksTheTime(), "law 1, batching is invisible: rows of device 'a'"),
        (Chancy(), "law 1, batching is invisible: .* in another run of the same batches"),
        (HidesItsState(), "law 2, a restart is invisible: .* restarted after"),
        (ForgetsAField(), "law 2, a restart is invisible: .* restarted after"),
        (SharesItsSnapshot(), "law 2, a restart is invisible: .* restarted after"),
        (SavesASet(), "law 2, a restart is invisible: the snapshot.* is a set, not plain"),
        (ComparesWithAnyDevice(), "law 4, devices do not see each other: rows of device"),
        (PacksDevicesTogether(), "law 3, erased equals never seen: rows of device"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Stage) else "",
)
def test_a_stage_that_breaks_a_law_is_caught(stage: Stage, law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_laws(FLOW | stage, examples=20)


def test_the_stage_they_all_derive_from_breaks_none() -> None:
    check_laws(FLOW | Adds(), examples=20)
