"""kill -9 at any moment, then the same command: as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from lab import PACE, READINGS, Ended, Lab, Whole, children

LAYOUTS: dict[str, list[tuple[int, int]]] = {
    "1 worker": [(1, 1)],
    "2 workers": [(2, 1)],
    "2 processes": [(1, 2)],
    "workers and processes changing": [(1, 1), (2, 1), (1, 2)],
}
"""(workers in each process, processes) of a start."""
KILLS = 3
"""Of one flow, on its way from the first reading to the last."""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_kill(
    layout: str,
    whole: Whole,
    make_lab: Callable[..., Lab],
    rng: random.Random,
    torture: int,
    observe: Callable[[str, str, str], None],
) -> None:
    kills = Counter[str]()
    flows = 0
    while kills.total() < max(KILLS, torture // len(LAYOUTS)):
        lab = make_lab(name=f"flow-{flows}", **PACE)
        (lab.folder / "in.csv").symlink_to(whole.input)
        ended = run_with_kills(lab, LAYOUTS[layout], rng, kills, whole.rows)
        whole.compare(lab, ended)
        flows += 1
    some = ", ".join(f"{count} {when}" for when, count in kills.most_common())
    observe(
        f"kill -9, {layout}",
        "rows, alerts, rejected readings, dead letters, the balance and what each step remembers "
        "of each device equal those of a run that nobody disturbed",
        f"equal, after {kills.total()} kills ({some}) of {flows} "
        f"flow{'s' * (flows > 1)} with {READINGS:,} messages",
    )


def run_with_kills(
    lab: Lab, layouts: Sequence[tuple[int, int]], rng: random.Random, kills: Counter[str], rows: int
) -> Ended:
    """Start, kill, start again ... and let the last one end."""
    for left in range(KILLS, -1, -1):
        workers, processes = rng.choice(layouts)
        process = lab.start(f"--workers={workers}", f"--processes={processes}", "--epoch=20ms")
        if not left:
            break
        if rng.random() < 0.3:
            when, delay = "while it starts", rng.uniform(0, 1.5)
        else:
            when, delay = "while it runs", rng.uniform(0, 0.1)
            more = lab.size("rows.jsonl") + rng.uniform(0, 1.5) * rows / KILLS
            lab.wait_for(process, lambda more=more: lab.size("rows.jsonl") >= more)
        if not lab.runs_for(process, delay):
            break
        victim = rng.choice([process.pid, *children(process)])
        if victim == process.pid:
            lab.kill(process)
        else:
            when = "of one process of two"
            os.kill(victim, signal.SIGKILL)
            assert lab.end(process).code == 1, lab.log(process)
            lab.wait_unlocked()
        kills[when] += 1
    return lab.end(process)
