"""Kernels are plain Python, too: so they can be stepped through, and so their lines are counted."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import os

import numpy as np
from river import anomaly, drift, preprocessing, stats
from streamflow import AutoDetector, Mahalanobis
from streamflow.core.batch import Batch
from streamflow.testing import Stream, compiled_equals_river

rng = np.random.default_rng(7)
n = 120
level = 20 * (np.arange(n) > 60)
x, y = (np.where(rng.random(n) < 0.1, np.nan, rng.normal(level, 1)) for _ in "xy")
device, time = rng.integers(0, 2, n).astype(np.int32), np.arange(n)
whole = Batch(["a", "b"], device, time, time, {"x": x, "y": y})
stream = Stream(tuple(whole.take(np.arange(i, i + 20)) for i in range(0, n, 20)))


def trees(window=9):
    return anomaly.HalfSpaceTrees(2, 3, window, seed=7)


def river():
    for model in [
        preprocessing.MinMaxScaler() | anomaly.ThresholdFilter(trees(), 0.9),
        preprocessing.MaxAbsScaler() | preprocessing.StandardScaler() | trees(300),
        preprocessing.PreviousImputer() | anomaly.QuantileFilter(trees(), 0.8),
        preprocessing.StatImputer(("x", stats.Mean()), ("y", stats.Min())) | trees(),
    ]:
        compiled_equals_river(model, ["x", "y"], stream)
    compiled_equals_river(anomaly.GaussianScorer(20, 5), [], stream, target="x")
    deviation = anomaly.StandardAbsoluteDeviation()
    compiled_equals_river(deviation, [], stream, target="x", learn="score < 9")
    for model in [AutoDetector(warm_up=5), Mahalanobis(grace=5, warm_up=20)]:
        compiled_equals_river(model, ["x", "y"], stream)
    compiled_equals_river(drift.PageHinkley(5, threshold=3), ["x"], stream)
    compiled_equals_river(drift.ADWIN(clock=1), ["x"], stream)


def cleaned():
    from streamflow import Despike, Flow, Impute, Stuck, Validate

    sensors = ["x", "y"]
    ways = ["last", "linear", "mean", "median", "seasonal", "regression"]
    flow = Flow("plain", sensors=sensors) | Validate(rates={"x": 1e9}) | Stuck(4) | Despike(3)
    for way in ways:
        flow |= Impute("1h", by=way, name=way, sensors=sensors)
    frozen = whole.with_columns({"x": np.where(np.arange(n) % 40 > 30, 7.0, x).round(1)})
    return repr(list(flow.replay(frozen).rows.rows()))


if os.environ["NUMBA_DISABLE_JIT"] == "1":  # tests/laws/test_compiled.py does it with Numba
    river()
print("equal", hash(cleaned()))
"""


def test_without_numba_kernels_give_the_same() -> None:
    said = []
    for plain in ("1", "0"):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PROGRAM],
            env={**os.environ, "NUMBA_DISABLE_JIT": plain, "PYTHONHASHSEED": "1"},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said[0].startswith("equal ")
    assert said[0] == said[1]
