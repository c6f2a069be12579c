"""Whole flows obey laws 1 to 4, and law 6: local equals Bytewax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import Phase, given, settings

from streamflow import Batch, Flow, Memory, Stage
from streamflow.core.state import State
from streamflow.testing import Stream, check_laws, engines_agree, streams_for

PHASES = [Phase.generate, Phase.shrink]


def test_whole_flows_obey_the_laws(whole_flow: Flow) -> None:
    check_laws(whole_flow, examples=12)


@pytest.mark.parametrize("workers", [1, 2])
def test_local_equals_bytewax(whole_flow: Flow, workers: int) -> None:
    @settings(phases=PHASES, max_examples=12, deadline=None, derandomize=True)
    @given(stream=streams_for(whole_flow))
    def law_6(stream: Stream) -> None:
        engines_agree(whole_flow, stream, workers)

    law_6()


@dataclass(frozen=True)
class NumbersAll(Stage):
    """Numbers the readings of all devices of a shard."""

    @property
    def adds(self) -> Sequence[str]:
        return ("number",)

    @property
    def memory(self) -> Memory:
        return Memory({"count": 0})

    def on_batch(self, batch: Batch, state: State) -> Batch:
        first = state["count"][0]
        state["count"][0] += len(batch)
        return batch.with_columns({"number": first + np.arange(float(len(batch)))})


def test_what_depends_on_the_shard_is_caught() -> None:
    rows = [{"device": device, "time": i, "t": 0.0} for i, device in enumerate("abcabc")]
    flow = Flow("numbered", sensors=["t"]) | NumbersAll()
    with pytest.raises(AssertionError, match="law 6, local equals Bytewax: rows of device"):
        engines_agree(flow, Stream((Batch.of(rows, ["t"]),)), workers=1)
