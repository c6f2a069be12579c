"""Runs both sides by turns, and makes the report."""

from __future__ import annotations

from functools import partial

from benchmarks import process
from benchmarks.frame import Case, Report, interleave
from benchmarks.machine import describe

SIZES = {"small": {1_000: 100}, "full": {1: 500, 100: 500, 1_000: 500, 4_096: 200}}
"""Readings in a batch -> batches."""
FLOORS = {1_000: 2.0}
"""The least ratio by CPU, into the queue."""


def run(size: str, repeats: int) -> Report:
    """Compare the queue of `buffered` with a row for each reading."""
    cases: list[Case] = []
    for batch, batches in SIZES[size].items():
        ours, baseline = interleave(
            partial(process.call, "benchmarks.buffer.side:ours", batch, batches),
            partial(process.call, "benchmarks.buffer.side:baseline", batch, batches),
            repeats,
        )
        names = ("in, by wall", "in, by CPU", "out, by wall")
        for number, name in enumerate(names):
            cases.append(
                Case(
                    f"batches of {batch:,}: {name}",
                    "readings/s",
                    tuple(rates[number] for rates in ours),
                    tuple(rates[number] for rates in baseline),
                    floor=FLOORS.get(batch) if name == "in, by CPU" else None,
                )
            )
    about = (
        "readings into a durable queue, each batch synced before the next, and out again; ours is "
        "the queue of a buffered sink, baseline one SQLite row of JSON for each reading"
    )
    return Report("buffer", size, describe(), tuple(cases), about)
