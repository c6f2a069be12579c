"""The flow that is killed, stopped and starved: every kind of state and every kind of output.

Beside what stages remember it holds readings back, sets some aside, loses messages to bad lines,
and learns; what it gives depends on all that came before.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from streamflow_connectors import files

from streamflow import (
    Alert,
    Batch,
    Flow,
    Impute,
    Map,
    Memory,
    Reject,
    Stage,
    Validate,
    stage,
)
from streamflow.core.state import State


@dataclass(frozen=True)
class Latest(Stage):
    """Holds each device's latest reading until its next one comes."""

    @property
    def memory(self) -> Memory:
        return Memory(holds=True)

    def on_batch(self, batch: Batch, state: State) -> Batch:
        state.hold(batch)
        assert state.held is not None
        device = state.held.device
        last = dict(zip(device.tolist(), range(len(device)), strict=True))
        older = np.ones(len(device), bool)
        older[list(last.values())] = False
        out = state.release(older)
        return batch.take(np.arange(0)) if out is None else out

    def on_end(self, state: State) -> Batch | None:
        return state.release(np.ones(state.held_count, bool))


@stage(adds=["total", "count"], total=0.0, count=0)
def running(r: Any, memory: Any) -> dict[str, float]:
    memory.total += r["t"] if r["t"] == r["t"] else 0.0
    memory.count += 1
    return {"total": memory.total, "count": memory.count}


def placed(r: Any) -> Reject | None:
    return Reject("no site") if r.get("site") is None else None


@stage(adds="score", mean=20.0, spread=1.0)
def unusual(r: Any, memory: Any) -> dict[str, float]:
    if r["t"] != r["t"]:
        return {"score": float("nan")}
    off = r["t"] - memory.mean
    score = abs(off) / memory.spread
    memory.mean += 0.1 * off
    memory.spread = max(0.9 * memory.spread + 0.1 * abs(off), 0.1)
    return {"score": score}


detector: Stage = unusual
if "MODEL" in os.environ:  # River takes seconds to be imported: only for long tortures
    from streamflow import Detect, ValueNovelty

    detector = Detect(ValueNovelty(warm_up=10))

flow = (
    Flow("plant", device="machine", time="at", sensors=["t", "p"], tags=["site"])
    | files.csv("in.csv", speed=os.environ.get("SPEED", "max"))
    | Validate({"t": (-50, 150)})
    | Map(placed)
    | Impute(hold="1m")
    | Latest()
    | running
    | detector
    | Alert("score > 4", hold="20s")
    | files.jsonl("rows.jsonl", of="rows")
    | files.jsonl("alerts.jsonl", of="alerts")
    | files.JsonlSink(Path("late.jsonl"), of="alerts", deliver="durable", name="late")
    | files.csv("rejected.csv", of="rejected")
    | files.jsonl("dead.jsonl", of="dead_letters")
)
