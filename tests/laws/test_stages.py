"""Every registered stage obeys laws 1 to 4, in each of its ways of working."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from river import anomaly, compose, drift, preprocessing, stats

from streamflow import (
    Alert,
    AutoDetector,
    Deduplicate,
    Despike,
    Detect,
    Flow,
    Gate,
    GuardClock,
    Impute,
    Mahalanobis,
    Maintenance,
    Map,
    MonitorDrift,
    Reject,
    Reorder,
    Resample,
    Sensor,
    Silent,
    Stage,
    Stuck,
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


@stage(adds=["maintenance", "score", "learning"], seen=0)
def marks(r: Any, memory: Any) -> dict[str, float]:
    memory.seen += 1
    young = float(memory.seen < 4)
    return {"maintenance": float(r["p"] == 1), "score": 1 + abs(r["t"]), "learning": young}


def negative(r: Any) -> dict[str, float]:
    return {"t": -r["t"]}


def north(r: Any) -> Reject | dict[str, Any]:
    return {"p": None} if r.get("site") == "north" else Reject(f"{r.device} is not in the north")


def on(*stages: Stage) -> Flow:
    sensors = {"t": Sensor("degC", low=-10, high=90), "p": Sensor("bar")}
    flow = Flow("laws", sensors=sensors, tags=["site"])
    for part in stages:
        flow |= part
    return flow


def trees() -> Any:
    return anomaly.HalfSpaceTrees(n_trees=2, height=3, window_size=3, seed=7)


def gaussian() -> Any:
    return anomaly.GaussianScorer(window_size=None, grace_period=2)


EAGER = drift.ADWIN(clock=1, grace_period=1, min_window_length=1, delta=0.9)

WINDOWS = Path(__file__).parent / "windows.csv"

SCENARIOS: dict[str, list[Flow]] = {
    "validate": [
        on(Validate()),
        on(Validate({"t": (0, 40), "p": (-1e300, 95)})),
        on(Validate(rates={"t": 0.5, "p": 10}, required=["t", ("t", "p")])),
        on(Validate(units={"t": "degF", "p": ("site", {"north": "mbar", "x": "psi"})})),
        on(Validate(overrides={"a": {"p": (0, 30)}, "c": {"t": (20, 21), "p": (0, 1)}})),
    ],
    "impute": [
        on(Impute(hold="1m")),
        on(Impute(hold="0s", sensors=["p"])),
        on(Impute(hold="60000d", sensors=["p", "t"])),
        on(Impute(hold="1m", by="linear")),
        on(Impute(hold="60000d", by="linear", sensors=["p"])),
        on(Impute(hold="1h", by="mean")),
        on(Impute(hold="1h", by="median", sensors=["t"])),
        on(Impute(hold="2d", by="seasonal")),
        on(Impute(hold="2d", by="regression")),
        on(Impute(preprocessing.PreviousImputer())),
        on(Impute(preprocessing.StatImputer(("t", stats.Mean()), ("p", 4)), sensors=["p", "t"])),
        on(Impute(preprocessing.StatImputer(("t", stats.Sum())))),
    ],
    "stuck": [
        on(Stuck(after="10s", pinned=2)),
        on(Stuck(after=2, coarse=1.5, unless='site == "north" or p < 0', sensors=["t"])),
        on(Stuck(after=3, siblings={"t": "p"}, resolution={"t": 0.5})),
        on(Stuck(after="1m", siblings={"p": "t"}, pinned=None)),
    ],
    "despike": [
        on(Despike(window=3)),
        on(Despike(window=3, sigmas=0.5, wait="30s")),
        on(Despike(window=5, sigmas=2, confirm=2, wait="2m", sensors=["t"]), Impute(hold="1m")),
    ],
    "maintenance": [
        on(Maintenance(WINDOWS)),
        on(Maintenance(WINDOWS), Detect(trees()), Detect(gaussian(), target="t", name="usual")),
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
        on(Detect(trees(), cold_start="site", evidence=2)),
        on(Detect(ValueNovelty(warm_up=3), cold_start="site", evidence=3, name="young")),
        on(Detect(preprocessing.MinMaxScaler() | trees(), explain=True)),
        on(Detect(ValueNovelty(warm_up=3), explain=True, gate=Gate("score > 0.5", 2, 3))),
        on(Detect(AutoDetector(warm_up=3))),
        on(Detect(Mahalanobis(grace=1, warm_up=3), learn="score < 9")),
    ],
    "monitor_drift": [
        on(MonitorDrift("t", EAGER)),
        on(MonitorDrift("p", drift.PageHinkley(min_instances=3, threshold=5))),
        on(MonitorDrift("t", drift.KSWIN(window_size=6, stat_size=2, alpha=0.1))),
        on(Maintenance(WINDOWS), MonitorDrift("t", drift.PageHinkley(min_instances=3))),
    ],
    "alert": [
        on(Alert("t > 30")),
        on(Alert("t > 30", until="t < 10", after="10s", hold="30s")),
        on(Alert('site == "north" and not missing(p)', hold="1m")),
        on(Alert("abs(p) > 50 or out_of_range(t)", after="1s"), Alert("t > 0", name="warm")),
        on(Alert("t > 10", quiet="2m", update="1s", severe="t > 60", silent="20s")),
        on(Alert("t < 30", after="1s", new_normal="10s", silent=None)),
        on(marks, Alert("score > 20", hold="10s")),
        on(Alert(budget="900 per device per hour", of="t")),
        on(marks, Alert(budget="36000 per device per hour", silent="10s", quiet="2s")),
        on(Alert("t > 30", explain=True)),
        on(Detect(trees(), explain=True), Alert("score > 0.3", explain=True)),
        on(marks, Alert(budget="1800 per device per hour", until="score < 3", new_normal="10s")),
    ],
    "deduplicate": [
        on(Deduplicate()),
        on(Deduplicate(window=1)),
        on(Deduplicate(window=2, by="site")),
        on(Deduplicate(window=3, by="t"), Deduplicate(name="again")),
    ],
    "guard_clock": [
        on(GuardClock()),
        on(GuardClock(ahead="1s", behind="30s")),
        on(GuardClock(ahead="4s", correct=False), Reorder()),
        on(GuardClock(ahead="1s", behind="3h"), Reorder(), GuardClock(name="again")),
    ],
    "silent": [
        on(Silent()),
        on(Silent(factor=1.5, at_least="0s")),
        on(Silent(after="15s")),
        on(Reorder(lateness="30s"), Silent(after="20s"), Silent(name="again", factor=1.2)),
        replace(on(Silent(after="15s")), ttl="30m"),
    ],
    "resample": [
        on(Resample(every="10s")),
        on(Resample(every="1s", how="last", gap="3s")),
        on(Resample(every="1m", gap="0s")),
        on(Resample(every="10s", how={"p": "last"}, gap="1m", fill="linear")),
        on(Reorder(lateness="5s"), Resample(every="7s", gap="0s"), rise),
        replace(on(Resample(every="10s"), Impute(hold="1m")), ttl="30m"),
    ],
    "reorder": [
        on(Reorder(lateness="1s", idle="5s")),
        on(Reorder(lateness="1h", idle="1h")),
        on(Reorder(), Reorder(lateness="2h", name="again"), Alert("t > 30")),
        replace(on(Reorder(lateness="10s", idle="30s"), Impute(hold="1m")), ttl="30m"),
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
