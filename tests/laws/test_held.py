"""Stages that hold readings back, by number and until a deadline, can obey laws 1 to 4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from streamflow import Alert, Batch, Flow, Impute, Memory, Stage
from streamflow.core.state import State
from streamflow.testing import check_laws

FLOW = Flow("held", sensors=["t"], tags=["site"])


def joined(parts: Sequence[Batch | None]) -> Batch | None:
    some = [part for part in parts if part is not None]
    return Batch.concat(some) if some else None


def nothing(batch: Batch) -> Batch:
    return batch.take(np.arange(0))


@dataclass(frozen=True)
class Sort(Stage):
    """Release each device's readings by event time, as soon as it has more than `k` of them."""

    k: int = 2

    @property
    def memory(self) -> Memory:
        return Memory(holds=True)

    def on_batch(self, batch: Batch, state: State) -> Batch:
        parts = []
        for i in range(len(batch)):
            state.hold(batch.take(np.array([i])))
            assert state.held is not None
            mine = np.flatnonzero(state.held.device == batch.device[i])
            if len(mine) > self.k:
                parts.append(state.release(mine[np.argsort(state.held.time[mine])[:1]]))
        return joined(parts) or nothing(batch)

    def on_end(self, state: State) -> Batch | None:
        if state.held is None:
            return None
        return state.release(np.argsort(state.held.time, kind="stable"))


@dataclass(frozen=True)
class Gap(Stage):
    """Add how far the device's next reading is in event time, if it arrives within `wait` ns."""

    wait: int = 30 * 10**9

    @property
    def adds(self) -> Sequence[str]:
        return ("gap",)

    @property
    def memory(self) -> Memory:
        return Memory(holds=True)

    def on_batch(self, batch: Batch, state: State) -> Batch:
        parts = []
        for i in range(len(batch)):
            if state.held is not None:
                before = state.release(np.flatnonzero(state.held.device == batch.device[i]))
                if before is not None:
                    late = batch.arrived[i] >= before.arrived[0] + self.wait
                    gap = np.nan if late else float(batch.time[i] - before.time[0])
                    parts.append(self._with(before, gap))
            state.hold(batch.take(np.array([i])))
        return joined(parts) or self._with(nothing(batch), 0.0)

    def on_tick(self, now: int, state: State) -> Batch | None:
        if state.held is None:
            return None
        late = state.release(now >= state.held.arrived + self.wait)
        return late and self._with(late, np.nan)

    def on_end(self, state: State) -> Batch | None:
        rest = state.held and state.release(np.arange(len(state.held)))
        return rest and self._with(rest, np.nan)

    def _with(self, batch: Batch, gap: float) -> Batch:
        return batch.with_columns({"gap": np.full(len(batch), gap)})


@pytest.mark.parametrize(
    "flow",
    [
        pytest.param(FLOW | Sort(), id="by number"),
        pytest.param(FLOW | Gap(), id="until a deadline"),
        pytest.param(replace(FLOW, ttl="30m") | Gap(), id="until a deadline or expiry"),
        pytest.param(FLOW | Gap() | Sort() | Impute(hold="1m") | Alert("gap > 0"), id="both"),
        pytest.param(FLOW | Sort() | Gap() | Alert("gap > 0"), id="a deadline behind held ones"),
    ],
)
def test_stages_that_hold_obey_the_laws(flow: Flow) -> None:
    check_laws(flow, examples=12)
