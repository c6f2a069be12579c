"""Draws the scores of a device and its limit: ``python -m benchmarks.budgets.picture``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from benchmarks.budgets.data import EVERY, Size, noise
from streamflow import Alert, Flow
from streamflow.engine.shard import Shard

WIDTH, HEIGHT, EDGE = 960, 260, 34
READINGS = 8_064
FAULTS = (3_000, 4_700, 6_400, 6_900)


def main(path: str) -> None:
    """Write the picture, an SVG."""
    batch = noise("autocorrelated 0.9", Size(1, READINGS), seed=4)
    for at in FAULTS:
        batch["t"][at : at + 40] += 14
    shard = Shard(
        (Flow("picture", sensors=["t"]) | Alert(budget="3 per device per week", of="t")).plan()
    )
    limits, spans = [], []
    for i in range(0, READINGS, 4):
        outcome = shard.on_batch(batch.take(np.arange(i, i + 4)))
        limits.append(float(shard.states["alert"]["level"][0]))
        for event in outcome.events:
            if event.fields["status"] == "opened":
                spans.append([event.time // EVERY, READINGS])
            elif event.fields["status"] == "closed":
                spans[-1][1] = event.time // EVERY
    Path(path).write_text(_svg(batch["t"], limits, spans), encoding="utf-8")


def _svg(scores: np.ndarray, limits: list[float], spans: list[list[int]]) -> str:
    low, high = float(scores.min()), float(scores.max())

    def x(i: float) -> float:
        return round(EDGE + i / READINGS * (WIDTH - 2 * EDGE), 1)

    def y(value: float) -> float:
        return round(HEIGHT - EDGE - (value - low) / (high - low) * (HEIGHT - 2 * EDGE), 1)

    blocks = scores.reshape(-1, 12)
    ends = np.stack([blocks.min(axis=1), blocks.max(axis=1)], axis=1)
    line = " ".join(f"{x(12 * i)},{y(v)}" for i, pair in enumerate(ends) for v in pair)
    steps, drawing = [], False
    for i, level in enumerate(limits):
        if np.isfinite(level):
            steps.append(f"{'L' if drawing else 'M'}{x(4 * i)} {y(level)}")
        drawing = bool(np.isfinite(level))
    bars = "".join(
        f'<rect x="{x(a)}" y="{EDGE}" width="{max(x(b) - x(a), 2):.1f}" '
        f'height="{HEIGHT - 2 * EDGE}" fill="#d1495b" opacity="0.3"/>'
        for a, b in spans
    )
    weeks = "".join(
        f'<text x="{x(i * 2016)}" y="{HEIGHT - 12}">week {i + 1}</text>' for i in range(4)
    )
    marks = "".join(f'<text x="{x(i) - 3}" y="{EDGE - 8}">▼</text>' for i in FAULTS)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12" fill="#444">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{bars}'
        f'<polyline points="{line}" fill="none" stroke="#9aa5b1" stroke-width="0.7"/>'
        f'<path d="{"".join(steps)}" fill="none" stroke="#1f6f8b" stroke-width="1.8"/>'
        f"{weeks}{marks}</svg>\n"
    )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "docs/from-score-to-alert.svg")
