"""Supervisor: what a process of its own need not do again and again."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from streamflow import Flow, Message, Position, Source
from streamflow.engine.job import Job
from streamflow.engine.supervisor import supervise


@dataclass(frozen=True)
class Slow(Source):
    """Two readings, far enough apart for the supervisor to look."""

    def open(self, partition: str, position: Position) -> Iterator[Message | None]:
        yield Message(b'{"device": "a", "time": 1, "t": 1}')
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            yield None
        yield Message(b'{"device": "a", "time": 2, "t": 2}')


@pytest.mark.parametrize("alone", [True, False])
def test_what_is_loaded_is_left_to_no_later_collection_where_the_flow_is_alone(alone: bool) -> None:
    job = Job((Flow("test", sensors=["t"]) | Slow()).plan(), epoch=50_000_000)
    before = gc.get_freeze_count()
    try:
        assert supervise(job, alone=alone).out == 2
        assert (gc.get_freeze_count() > before) == alone
    finally:
        gc.unfreeze()
