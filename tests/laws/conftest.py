"""Flows of several stages, for laws 1 to 4 and 6; and quiet logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from river import anomaly, drift, preprocessing, stats

from streamflow import (
    Alert,
    Deduplicate,
    Despike,
    Detect,
    Flow,
    Gate,
    GuardClock,
    Impute,
    Maintenance,
    Map,
    MonitorDrift,
    Reject,
    Reorder,
    Resample,
    Sensor,
    Silent,
    Stuck,
    Validate,
    stage,
)


@stage(adds="rise", last=float("nan"))
def rise(r: Any, memory: Any) -> dict[str, float]:
    out = r["t"] - memory.last
    memory.last = r["t"]
    return {"rise": out}


def placed(r: Any) -> Reject | None:
    return Reject("no site") if r.get("site") is None else None


def ratio(r: Any) -> dict[str, float]:
    return {"ratio": r["t"] / int(r["p"] > 0)}


WINDOWS = Path(__file__).parent / "windows.csv"
FLOW = Flow("whole", sensors={"t": Sensor(low=-10, high=90), "p": Sensor("bar")}, tags=["site"])
TREES = anomaly.HalfSpaceTrees(n_trees=2, height=3, window_size=3, seed=7)

WHOLE = {
    "the usual": FLOW
    | Validate()
    | Impute(hold="1h")
    | Detect(preprocessing.MinMaxScaler() | TREES, learn="score < 0.99")
    | Alert("score > 0.5", hold="10s"),
    "rejecting and expiring": replace(FLOW, ttl="30m")
    | Map(placed)
    | Validate(overrides={"a": {"t": (0, 40)}})
    | rise
    | Map(ratio, adds=["ratio"])
    | Alert('rise > 10 and site == "north"', until="rise < 0", after="1s"),
    "two models": FLOW
    | Impute(hold="10s", sensors=["p"])
    | Detect(anomaly.GaussianScorer(window_size=None, grace_period=2), target="t", name="usual")
    | Detect(TREES, sensors=["p"], gate=Gate("score > 0.5 and usual_score < 1", 2))
    | MonitorDrift("score", drift.ADWIN(clock=1, grace_period=1, min_window_length=1, delta=0.9))
    | Alert("usual_score > 0.9 or drift > 0")
    | Alert("missing(t)", name="gone", hold="1m"),
    "out of order": FLOW
    | GuardClock(ahead="4s", behind="1d")
    | Deduplicate(window=3)
    | Reorder(lateness="30s")
    | Silent(after="45s")
    | Resample(every="10s", gap="30s")
    | Silent(name="gone", factor=2)
    | Alert("t > 30 and skew == 0"),
    "faulty values": FLOW
    | Validate(rates={"t": 5}, units={"p": ("site", {"north": "mbar"})}, required=[("t", "p")])
    | Stuck(after=2, pinned=2, coarse=1.5)
    | Despike(window=3, sigmas=1, wait="30s")
    | Impute(hold="20s", by="linear", sensors=["p"])
    | Impute(hold="1h", by="median", name="middle")
    | Impute(hold="2d", by="regression", name="sibling")
    | Maintenance(WINDOWS)
    | MonitorDrift("p", drift.PageHinkley(min_instances=3, threshold=5))
    | Detect(TREES, learn="not spike(t)")
    | Alert("score > 0.5 or saturated(p)", hold="10s"),
    "one grid": FLOW
    | Stuck(after="20s", siblings={"t": "p"})
    | Despike(window=5, confirm=2, wait="1m", sensors=["p"])
    | Resample(every="10s", how="last", gap="20s")
    | Impute(hold="2d", by="seasonal")
    | Impute(preprocessing.StatImputer(("t", stats.Mean())), name="river")
    | Alert("t > 30 and imputed(p)"),
}


@pytest.fixture(params=list(WHOLE))
def whole_flow(request: pytest.FixtureRequest) -> Flow:
    return WHOLE[request.param]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    # What functions and models raise is logged with its traceback: thousands of them here.
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)
