"""Every registered stage obeys laws 1 to 4, in each of its ways of working."""

from __future__ import annotations

from typing import Any

import pytest
from river import anomaly, compose, drift, preprocessing, stats

from streamflow import (
    Alert,
    AutoDetector,
    Detect,
    Flow,
    Gate,
    Impute,
    Mahalanobis,
    Map,
    MonitorDrift,
    Reject,
    Sensor,
    Stage,
    Validate,
    ValueNovelty,
    stage,
)
from streamflow.flow.registry import names
from streamflow.testing import check_laws

EXAMPLES = 8


@stage(adds=["rise", "count"], last=float("nan"), count=0)
def rise(r: Any, memory: Any) -> dict[str, float]:
    out = r["t"] - memory.last
    memory.last = r["t"]
    memory.count += 1
    return {"rise": out, "count": memory.count}


@stage(seen=0)
def some(r: Any, memory: Any) -> Reject | None:
    memory.seen += 1
    return Reject("every third") if memory.seen % 3 == 0 else None


@stage(adds="inverse", calls=0)
def inverse(r: Any, memory: Any) -> dict[str, float]:
    memory.calls += 1
    return {"inverse": 1 / (int(r["t"]) % 3), "p": memory.calls}


def negative(r: Any) -> dict[str, float]:
    return {"t": -r["t"]}


def north(r: Any) -> Reject | dict[str, Any]:
    return {"p": None} if r.get("site") == "north" else Reject(f"{r.device} is not in the north")


def on(*stages: Stage) -> Flow:
    flow = Flow("laws", sensors={"t": Sensor(low=-10, high=90), "p": Sensor()}, tags=["site"])
    for part in stages:
        flow |= part
    return flow


def trees() -> Any:
    return anomaly.HalfSpaceTrees(n_trees=2, height=3, window_size=3, seed=7)


def gaussian() -> Any:
    return anomaly.GaussianScorer(window_size=None, grace_period=2)


EAGER = drift.ADWIN(clock=1, grace_period=1, min_window_length=1, delta=0.9)

SCENARIOS: dict[str, list[Flow]] = {
    "validate": [
        on(Validate()),
        on(Validate({"t": (0, 40), "p": (-1e300, 95)})),
        on(Validate(overrides={"a": {"p": (0, 30)}, "c": {"t": (20, 21), "p": (0, 1)}})),
    ],
    "impute": [
        on(Impute(hold="1m")),
        on(Impute(hold="0s", sensors=["p"])),
        on(Impute(hold="60000d", sensors=["p", "t"])),
        on(Impute(preprocessing.PreviousImputer())),
        on(Impute(preprocessing.StatImputer(("t", stats.Mean()), ("p", 4)), sensors=["p", "t"])),
        on(Impute(preprocessing.StatImputer(("t", stats.Sum())))),
    ],
    "map": [
        on(rise),
        on(some),
        on(inverse),
        on(Map(negative)),
        on(Map(north)),
    ],
    "detect": [
        on(Detect(preprocessing.MinMaxScaler() | trees())),
        on(Detect(trees(), sensors=["t"], learn='score < 0.9 and site != "north"')),
        on(Detect(preprocessing.StandardScaler() | trees(), gate=Gate("score > 0.5", 2, 3))),
        on(Detect(trees(), learn=False), Detect(trees(), name="second", gate=Gate("t > 30", 1))),
        on(Detect(gaussian(), target="t")),
        on(Detect(compose.Select("p") | gaussian(), target="t", learn="good(t) and score < 1")),
        on(Detect(anomaly.QuantileFilter(preprocessing.PreviousImputer() | trees(), q=0.5))),
        on(Detect(preprocessing.StatImputer(("t", stats.Mean())) | ValueNovelty(warm_up=3))),
        on(Detect(ValueNovelty(warm_up=3))),
        on(Detect(AutoDetector(warm_up=3))),
        on(Detect(Mahalanobis(grace=1, warm_up=3), learn="score < 9")),
    ],
    "monitor_drift": [
        on(MonitorDrift("t", EAGER)),
        on(MonitorDrift("p", drift.PageHinkley(min_instances=3, threshold=5))),
        on(MonitorDrift("t", drift.KSWIN(window_size=6, stat_size=2, alpha=0.1))),
    ],
    "alert": [
        on(Alert("t > 30")),
        on(Alert("t > 30", until="t < 10", after="10s", hold="30s")),
        on(Alert('site == "north" and not missing(p)', hold="1m")),
        on(Alert("abs(p) > 50 or out_of_range(t)", after="1s"), Alert("t > 0", name="warm")),
    ],
}


def test_every_registered_stage_is_here() -> None:
    assert sorted(names("stages")) == sorted(SCENARIOS)


@pytest.mark.parametrize(
    "flow",
    [
        pytest.param(flow, id=f"{name}-{number}")
        for name, flows in SCENARIOS.items()
        for number, flow in enumerate(flows)
    ],
)
def test_stages_obey_the_laws(flow: Flow) -> None:
    check_laws(flow, examples=EXAMPLES)
