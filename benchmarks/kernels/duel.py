"""One estimator on one number of devices: three sides by turns in one process, equal results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import process_time
from typing import Any

import numpy as np
from river import anomaly, drift, preprocessing, stats

from benchmarks.kernels import loops
from benchmarks.kernels.data import SENSORS, SIZES, stream, take
from benchmarks.kernels.ours import Bare, InStage, stage_of
from streamflow import AutoDetector, LevelShift, Mahalanobis, SeasonalNovelty, ValueNovelty

WINDOW = 250
"""Rounds until every forest scores: its first window is full. All other detectors score, too."""


@dataclass(frozen=True)
class Duel:
    """An estimator, River's loop for it, and whether its models are so large that few are made."""

    make: Callable[[], Any]
    loop: loops.Loop
    heavy: bool = False

    @property
    def target(self) -> str | None:
        """The value that a supervised detector scores."""
        return SENSORS[0] if self.loop is loops.score_target else None


def _trees() -> Any:
    return anomaly.HalfSpaceTrees(seed=7)


DUELS = {
    "HalfSpaceTrees": Duel(_trees, loops.score, heavy=True),
    "MinMaxScaler | HalfSpaceTrees": Duel(
        lambda: preprocessing.MinMaxScaler() | _trees(), loops.score, heavy=True
    ),
    "ThresholdFilter(HalfSpaceTrees)": Duel(
        lambda: anomaly.ThresholdFilter(_trees(), 0.95), loops.score, heavy=True
    ),
    "QuantileFilter(HalfSpaceTrees)": Duel(
        lambda: anomaly.QuantileFilter(_trees(), 0.95), loops.score, heavy=True
    ),
    "GaussianScorer": Duel(lambda: anomaly.GaussianScorer(), loops.score_target),
    "GaussianScorer, window 100": Duel(lambda: anomaly.GaussianScorer(100), loops.score_target),
    "StandardAbsoluteDeviation": Duel(
        lambda: anomaly.StandardAbsoluteDeviation(), loops.score_target
    ),
    "StandardScaler": Duel(lambda: preprocessing.StandardScaler(), loops.transform),
    "MinMaxScaler": Duel(lambda: preprocessing.MinMaxScaler(), loops.transform),
    "MaxAbsScaler": Duel(lambda: preprocessing.MaxAbsScaler(), loops.transform),
    "AutoDetector": Duel(AutoDetector, loops.score, heavy=True),
    "LevelShift": Duel(LevelShift, loops.score, heavy=True),
    "Mahalanobis": Duel(Mahalanobis, loops.score),
    "SeasonalNovelty": Duel(SeasonalNovelty, loops.score, heavy=True),
    "ValueNovelty": Duel(ValueNovelty, loops.score, heavy=True),
    "PreviousImputer": Duel(lambda: preprocessing.PreviousImputer(), loops.fill),
    "StatImputer": Duel(
        lambda: preprocessing.StatImputer(*((name, stats.Mean()) for name in SENSORS)), loops.fill
    ),
    "ADWIN": Duel(lambda: drift.ADWIN(), loops.watch),
    "PageHinkley": Duel(lambda: drift.PageHinkley(), loops.watch),
}


def run(name: str, size: str, devices: int, repeats: int) -> dict[str, list[float]]:
    """Readings per second of CPU, run by run, of each side.

    Raises RuntimeError where an output differs from River's.
    """
    duel, chosen = DUELS[name], SIZES[size]
    own = chosen.forests[devices] if duel.heavy else devices
    rounds = max(1, (chosen.heavy if duel.heavy else chosen.light) // own)
    kind = {"gaps": duel.loop is loops.fill, "steps": duel.loop is loops.watch}
    source = stream(devices, devices, **kind)
    models = {f"machine-{number:05d}": duel.make() for number in range(own)}
    stage = stage_of(duel.make(), duel.target)
    staged = InStage(stage, devices) if stage else None
    filters = "Filter" in name  # it is no kernel: it decides between kernels
    bare = None if filters else Bare(duel.make(), duel.target, devices)
    rates: dict[str, list[float]] = {"kernel": [], "stage": [], "river": []}
    for number in range(1 + repeats):
        batches = take(source, rounds if number else WINDOW + 1)
        readings = sum(map(len, batches))
        names, xs = loops.given(duel.loop, batches, own)
        spent: dict[str, tuple[float, int]] = {}
        mine = np.concatenate([batch.device for batch in batches]) < own
        results = {}
        if bare is not None:
            given = bare.prepare(batches)
            results["kernel"], cpu = _timed(bare.run, given)
            spent["kernel"] = cpu, readings
        if staged is not None:
            results["stage"], cpu = _timed(staged.run, batches)
            spent["stage"] = cpu, readings
        expected, cpu = _timed(duel.loop, models, names, xs)
        spent["river"] = cpu, len(names)
        for side, got in results.items():
            _same(f"{name}, {devices:,} devices, {side}", got, mine, loops.flat(expected))
        if number:
            for side, (cpu, count) in spent.items():
                rates[side].append(count / cpu)
    return {side: found for side, found in rates.items() if found}


def _timed(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    begun = process_time()
    result = function(*arguments)
    return result, process_time() - begun


def _same(what: str, got: Sequence[Any], mine: Any, expected: Sequence[float]) -> None:
    values = np.concatenate(got)[mine].ravel()
    wanted = np.array(expected)
    if values.tobytes() != wanted.tobytes():
        differ = np.flatnonzero(values.view(np.int64) != wanted.view(np.int64))
        # Any NaN equals any NaN.
        differ = differ[~(np.isnan(values[differ]) & np.isnan(wanted[differ]))]
        if len(differ):
            i = int(differ[0])
            raise RuntimeError(f"{what}: output {i} is {values[i]!r}, River's is {wanted[i]!r}")


def duels(size: str, repeats: int) -> list[dict[str, Any]]:
    """All of them."""
    return [
        {"name": name, "devices": devices, "rates": run(name, size, devices, repeats)}
        for name in DUELS
        for devices in SIZES[size].devices
    ]
