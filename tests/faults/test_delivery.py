"""deliver="durable": nothing is shown that a crash could take back, and nothing is left out."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from lab import Lab

COUNT = 60
"""Readings of each of two partitions."""


def shown(lab: Lab) -> list[dict[str, Any]]:
    """What the sink was given, and what was durable then; a kill may have torn a line."""
    return [json.loads(line) for line in lab.lines("shown.jsonl") if line.endswith("}")]


def check_shown(lab: Lab) -> None:
    """All that was shown was durable."""
    for entry in shown(lab):
        assert entry["n"] < entry["durable"].get(entry["partition"], 0), f"too early: {entry}"


def test_kill(
    make_lab: Callable[..., Lab],
    rng: random.Random,
    torture: int,
    observe: Callable[[str, str, str], None],
) -> None:
    count = max(COUNT, torture)
    lab = make_lab("counted", COUNT=str(count))
    kills = 0
    size = 100 * count
    while True:
        process = lab.start(f"--workers={rng.choice([1, 2])}", "--epoch=10ms")
        more = lab.size("shown.jsonl") + rng.randint(0, size)
        if not lab.wait_for(process, lambda more=more: lab.size("shown.jsonl") >= more):
            break
        lab.kill(process)
        kills += 1
    assert lab.end(process).code == 0, lab.log(process)
    check_shown(lab)
    every = {(partition, n) for partition in "ab" for n in range(count)}
    items = [(entry["partition"], entry["n"]) for entry in shown(lab)]
    assert set(items) == every
    observe(
        'kill -9, sink that cannot roll back, deliver="durable"',
        "each item at least once, and only when the state it comes from is durable",
        f"{len(every)} of {len(every)} items, {len(items) - len(every)} of them again, none too "
        f"early, over {kills} kills",
    )


def test_the_end_of_the_input(make_lab: Callable[..., Lab]) -> None:
    # All in one epoch: the sink is closed in the epoch in which it was given everything.
    lab = make_lab("counted", COUNT="5")
    assert lab.run("--epoch=1h").code == 0
    check_shown(lab)
    assert len(shown(lab)) == 10


@pytest.mark.parametrize("workers", [1, 2])
def test_a_flow_that_fails(workers: int, make_lab: Callable[..., Lab]) -> None:
    lab = make_lab("counted", COUNT="20", FAIL_AT="10")
    ended = lab.run("--epoch=1h", f"--workers={workers}")
    assert ended.code == 1
    assert "as it was told to" in ended.err
    assert shown(lab) == []
    lab.environment = {"COUNT": "20"}
    assert lab.run("--epoch=1h").code == 0
    check_shown(lab)
    assert len(shown(lab)) == 40
