"""committed(position) comes exactly when its epoch is durable: asked of the store itself."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from lab import Lab

EPOCHS = 100
"""Epochs in which the hook is watched, for each number of workers."""
LINE = 90
"""Bytes that the hook writes down, about; it is called for each of two partitions."""


@pytest.mark.parametrize("workers", [1, 2])
def test_hook(
    workers: int,
    make_lab: Callable[..., Lab],
    rng: random.Random,
    torture: int,
    observe: Callable[[str, str, str], None],
) -> None:
    wanted = max(EPOCHS, 10 * torture)
    lab = make_lab("counted", COUNT=str(10**9))
    kills = 0
    while len(told(lab)) < 2 * wanted:
        process = lab.start(f"--workers={workers}", "--epoch=10ms")
        more = lab.size("hook.jsonl") + rng.randint(1, LINE * wanted)
        assert lab.wait_for(process, lambda more=more: lab.size("hook.jsonl") >= more)
        lab.kill(process)
        kills += 1
    calls = told(lab)
    for entry in calls:
        known = entry["durable"].get(entry["partition"], 0)
        assert entry["committed"] <= known, f"told before it was durable: {entry}"
    skipped = sum(check_order(lab, partition) for partition in ("a", "b"))
    assert skipped <= len(calls) / 50
    observe(
        f"durability hook, {workers} worker{'s' * (workers > 1)}",
        "what a source is told to be durable is in the recovery store, and a restart goes on at "
        "it or behind it; it is told of every epoch, in order",
        f"{len(calls):,} of {len(calls):,} calls true, {skipped} epochs told with the next one, "
        f"over {kills} kills",
    )


def entries(lab: Lab) -> list[dict[str, Any]]:
    """What the sources wrote down; a kill may have torn a line."""
    return [json.loads(line) for line in lab.lines("hook.jsonl") if line.endswith("}")]


def told(lab: Lab) -> list[dict[str, Any]]:
    """The calls of the hook."""
    return [entry for entry in entries(lab) if "committed" in entry]


def check_order(lab: Lab, partition: str) -> int:
    """Within a run, and from run to run, nothing goes back; how many epochs had no call."""
    committed = epoch = None
    skipped = 0
    for entry in entries(lab):
        if entry["partition"] != partition:
            continue
        if "opened" in entry:
            assert committed is None or entry["opened"] >= committed, f"opened too early: {entry}"
            epoch = None
            continue
        assert committed is None or entry["committed"] >= committed, f"out of order: {entry}"
        committed = entry["committed"]
        if epoch is not None:
            skipped += entry["epoch"] - epoch - 1
        epoch = entry["epoch"]
    return skipped
