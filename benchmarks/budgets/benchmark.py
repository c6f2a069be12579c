"""Replays quiet series through an `Alert` with a budget, and counts the episodes it opens."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import process
from benchmarks.budgets.data import DATA, NOISE_KINDS, Size, noise, quiet
from benchmarks.frame import Case, Report
from benchmarks.hot_path.data import Size as Fleet
from benchmarks.hot_path.data import workload
from benchmarks.machine import describe
from streamflow import Alert, Batch, Detect, Flow, ValueNovelty

SIZES = {"small": Size(24, 8_064), "full": Size(200, 24_192)}
"""Four weeks of 24 devices; twelve weeks of 200."""
HOT = {"small": (Fleet(16, 500, 1024), 2.0), "full": (Fleet(1000, 400, 4096), 7.0)}
"""The fleet of the hot path, and seconds of steady time."""
ALERTS: dict[str, dict[str, str]] = {
    "episodes": {"when": "score > 0.95"},
    "episodes and budget": {"budget": "1 per device per hour", "quiet": "1m", "new_normal": "1d"},
}
BUDGETS = {"3 per device per week": 3.0, "1 per device per day": 7.0}
"""Budget -> episodes of a device in a week."""
WITHIN = 0.5
"""A factor of two, either way."""
SHARE = {"small": 4.0, "full": 10.0}
"""How many times dearer the whole hot path is; 128 readings of a shard are few for one call."""


def run(size: str, repeats: int) -> Report:
    """Count episodes where nothing is wrong, and time what counts them.

    Parameters
    ----------
    size
        A key of `SIZES`.
    repeats
        Seeds of noise, and runs of the hot path.
    """
    much = SIZES[size]
    cases = [case for kind in NOISE_KINDS for case in _noise(kind, much, repeats)]
    cases += [_detected(much), *_quiet(), *_cost(size, repeats)]
    about = (
        f"{much.devices} devices for {much.readings / 2016:.0f} weeks, a reading every 5 min, "
        f"{repeats} seeds; ours is episodes per device and week, the baseline the budget; "
        f"in brackets the 95 % interval of a Poisson rate with so many episodes."
    )
    return Report("budgets", size, describe(), tuple(cases), about)


def interval(count: int) -> tuple[float, float]:
    """Between which means a Poisson count is not unusual, 95 %, by Byar's approximation.

    >>> [round(edge, 1) for edge in interval(10)]
    [4.8, 18.4]
    """

    def edge(n: int, z: float) -> float:
        return float(n * (1 - 1 / (9 * n) + z / (3 * n**0.5)) ** 3) if n else 0.0

    return edge(count, -1.96), edge(count + 1, 1.96)


def _noise(kind: str, size: Size, repeats: int) -> list[Case]:
    cases = []
    for budget, allowed in BUDGETS.items():
        flow = Flow("noise", sensors=["t"]) | Alert(budget=budget, of="t")
        counts = [_opened(flow, noise(kind, size, seed)).total() for seed in range(repeats)]
        low, high = (edge / size.weeks / repeats for edge in interval(sum(counts)))
        rates = tuple(count / size.weeks for count in counts)
        name = f"{kind}, {budget} [{low:.2f}, {high:.2f}]"
        cases += _both(name, rates, (allowed,) * repeats)
    return cases


def _both(name: str, rates: tuple[float, ...], budget: tuple[float, ...]) -> list[Case]:
    """Too few, and too many."""
    enough = Case(name, "per week", rates, budget, floor=WITHIN)
    return [enough, Case(f"{name}: no more", "per week", rates, budget, True, WITHIN)]


def _detected(size: Size) -> Case:
    """The scores of a detector, young and saturating as they are."""
    few = Size(max(size.devices // 8, 3), size.readings)
    flow = Flow("noise", sensors=["t"]) | Detect(ValueNovelty()) | Alert(budget=next(iter(BUDGETS)))
    count = _opened(flow, noise("gaussian", few, 0)).total()
    low, high = (edge / few.weeks for edge in interval(count))
    name = f"ValueNovelty on gaussian [{low:.2f}, {high:.2f}]: no more"
    return Case(
        name, "per week", (count / few.weeks,), (BUDGETS["3 per device per week"],), True, 0.5
    )


def _quiet() -> list[Case]:
    """Real series between their incidents: the device furthest above its budget, and all."""
    cases = []
    stretches = dict(quiet())
    weeks = {n: max((r[-1]["time"] - r[0]["time"]) / 604_800e9, 1e-9) for n, r in stretches.items()}
    rows = [row for stretch in stretches.values() for row in stretch]
    for budget, allowed in BUDGETS.items():
        flow = Flow("quiet", sensors=["t"]) | Detect(ValueNovelty()) | Alert(budget=budget)
        counts = _opened(flow, rows)
        shares = {name: counts[name] / (allowed * weeks[name]) for name in stretches}
        worst = max(shares, key=lambda name: shares[name])
        total, time = counts.total(), sum(weeks.values())
        low, high = (edge / time for edge in interval(total))
        which = "NAB" if DATA in os.environ else "demo"
        name = f"{len(stretches)} quiet series of {which}, {budget}"
        rate = (counts[worst] / weeks[worst],)
        cases += [
            Case(f"{name} [{low:.2f}, {high:.2f}]", "per week", (total / time,), (allowed,)),
            Case(f"{name}, worst: {worst}", "per week", rate, (allowed,), True, WITHIN),
        ]
    return cases


def _opened(flow: Flow, data: Batch | Sequence[Mapping[str, Any]]) -> Counter[str]:
    events = flow.replay(data).alerts
    return Counter(event.device for event in events if event.fields["status"] == "opened")


def _cost(size: str, repeats: int) -> list[Case]:
    """Nanoseconds of a reading in `Alert`, and on the whole hot path, once every forest scores."""
    fleet, steady = HOT[size]
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "messages"
        workload(fleet).write(path)
        for name, alert in ALERTS.items():
            ours, whole = [], []
            for _ in range(repeats):
                told = process.call(
                    "benchmarks.hot_path.side:measure",
                    *("benchmarks.hot_path.ours", str(path), steady, 1, alert),
                )
                figures = told["figures"]
                each = 1e9 / figures["steady_readings"]
                ours.append(figures["stages"]["alert"] * each)
                whole.append(figures["steady_cpu"] * each)
            costs = (tuple(ours), tuple(whole))
            floor = SHARE[size] if "budget" in alert else None
            cases.append(Case(f"{name}, of the hot path", "ns/reading", *costs, True, floor))
    return cases
