from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from river import anomaly, base, preprocessing, time_series

from streamflow import Alert, Batch, Detect, Flow, Gate, Sensor, Validate, ValueNovelty, Words
from streamflow.engine.rows import Batches
from streamflow.errors import FlowError

SECOND = 10**9
SENSORS = ["t", "p", "v", "flow"]
DEVICES, READINGS = 24, 700


class SquaredDeviations(base.AnomalyDetector):
    """A detector that has no kernel: the sum of squared deviations from running moments."""

    def __init__(self) -> None:
        self.n = 0
        self.mean: dict[str, float] = {}
        self.square: dict[str, float] = {}

    def score_one(self, x: dict[str, float]) -> float:
        if self.n < 50:
            return 0.0
        return sum(
            (v - self.mean[k]) ** 2 / (self.square[k] / self.n + 1e-9)
            for k, v in x.items()
            if k in self.mean
        )

    def learn_one(self, x: dict[str, float]) -> None:
        self.n += 1
        for k, v in x.items():
            d = v - self.mean.setdefault(k, v)
            self.mean[k] += d / self.n
            self.square[k] = self.square.get(k, 0.0) + d * (v - self.mean[k])


def fleet(seed: int = 5) -> tuple[Batch, dict[tuple[str, int], str]]:
    """Sensors that swing together with noise of their own; each device has single-sensor faults."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((READINGS, DEVICES, 1)).cumsum(axis=0) * 0.02
    scale = np.array([1.0, 0.05, 12.0, 3.0])
    level = np.array([60.0, 3.0, 100.0, 20.0])
    values = level + scale * (common + rng.standard_normal((READINGS, DEVICES, len(SENSORS))))
    faults = {}
    for device in range(DEVICES):
        for start in (450, 560, 660):
            sensor = int(rng.integers(len(SENSORS)))
            sign = rng.choice([-1.0, 1.0])
            values[start : start + 3, device, sensor] += sign * scale[sensor] * rng.uniform(6, 14)
            faults[f"{device}", start] = SENSORS[sensor]
    time = np.repeat(np.arange(READINGS) * 60 * SECOND, DEVICES).astype(np.int64)
    device = np.tile(np.arange(DEVICES, dtype=np.int32), READINGS)
    columns = {s: values[:, :, j].ravel().copy() for j, s in enumerate(SENSORS)}
    batch = Batch([f"{i}" for i in range(DEVICES)], device, time, time, columns)
    at = [
        (name, minute // 60 // SECOND)
        for name, minute in zip(device.tolist(), time.tolist(), strict=True)
    ]
    words = Words.of(["yes" if (f"{d}", minute) in faults else None for d, minute in at])
    return batch.replace(tags={"fault": words}), faults


FLEET, _ = fleet()
TREES = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(
    n_trees=10, height=8, window_size=100, seed=7
)
DETECTORS = {"trees": TREES, "novelty": ValueNovelty(warm_up=100), "squares": SquaredDeviations()}
AT_FAULTS = Alert('score >= 0 and fault == "yes"', hold="5m", explain=True)


@pytest.mark.parametrize("seed", [5, 6, 7])
@pytest.mark.parametrize("name", list(DETECTORS))
def test_the_sensor_at_fault_comes_first(name: str, seed: int) -> None:
    batch, faults = fleet(seed)
    flow = Flow("faults", sensors=SENSORS, tags=["fault"]) | Detect(DETECTORS[name], explain=True)
    alerts = (flow | AT_FAULTS).replay(batch).alerts
    opened = [e for e in alerts if e.fields["status"] == "opened"]
    told = {(e.device, e.time // (60 * SECOND)): e.fields["explanation"] for e in opened}
    assert told.keys() == faults.keys()
    right = [told[at]["sensors"][0]["sensor"] == sensor for at, sensor in faults.items()]
    assert np.mean(right) >= 0.9
    assert np.mean([one["by"] == "score" for one in told.values()]) >= 0.9
    assert {one["cause"] for one in told.values()} == {"machine"}


def test_an_explanation_is_the_score_that_the_detector_itself_gives() -> None:
    """The shadow of each reading, against River reading by reading."""
    plain = Flow("faults", sensors=SENSORS) | Detect(SquaredDeviations())
    asked = Flow("faults", sensors=SENSORS) | Detect(SquaredDeviations(), explain=True)
    rows = asked.replay(FLEET).rows
    assert rows["score"].tolist() == plain.replay(FLEET).rows["score"].tolist()
    mine = rows.take(rows.device == 0)
    model, usual, checked = SquaredDeviations(), dict[str, list[float]](), 0
    for i in range(len(mine)):
        x = {s: mine[s][i].item() for s in SENSORS}
        for s in SENSORS:
            without = mine[f"score_without_{s}"][i]
            if not np.isnan(without):
                assert model.score_one(x | {s: usual[s][1]}) == without
                checked += 1
            n, mean = usual.get(s, [0.0, x[s]])
            usual[s] = [n + 1, mean + max(1 / (n + 1), 0.01) * (x[s] - mean) if n else x[s]]
        model.learn_one(x)
    assert checked > 12


@pytest.mark.parametrize(
    "detect",
    [
        Detect(TREES, explain=True),
        Detect(ValueNovelty(warm_up=100), explain=True, gate=Gate("score > 3", 5, 20)),
        Detect(anomaly.QuantileFilter(TREES, q=0.9), explain=True, learn="score < 0.99"),
        Detect(anomaly.GaussianScorer(), target="t", explain=True),
    ],
)
def test_asking_what_if_changes_no_score_however_batched(detect: Detect) -> None:
    few = FLEET.take(FLEET.device < 3)
    flow = Flow("faults", sensors=SENSORS)
    expected = (flow | replace(detect, explain=False)).replay(few).rows
    whole = (flow | detect).replay(few).rows
    cuts = [few.take(np.arange(i, min(i + 101, len(few)))) for i in range(0, len(few), 101)]
    chopped = (flow | detect).replay(Batches(tuple(cuts))).rows
    assert whole["score"].tobytes() == expected["score"].tobytes()
    for name in whole.columns:
        assert whole[name].tobytes() == chopped[name].tobytes()
    assert np.isfinite(whole["score_without_t"]).sum() > 5


def explained(flow: Flow, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The explanation of the first alert."""
    told: dict[str, Any] = flow.replay(rows).alerts[0].fields["explanation"]
    return told


def steady(n: int = 40, **last: Any) -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    rows = [
        {"device": "a", "time": 60 * i, "t": 20 + rng.normal(), "p": 3 + rng.normal() / 10}
        for i in range(n)
    ]
    return [*rows, {"device": "a", "time": 60 * n, "t": 20.0, "p": 3.0} | last]


WATCHED = Flow("watched", sensors={"t": Sensor(low=-50, high=90), "p": Sensor()}) | Validate()


def test_without_a_detector_deviations_explain() -> None:
    told = explained(WATCHED | Alert("t > 80", explain=True), steady(t=85.0))
    first = told["sensors"][0]
    assert (first["sensor"], first["value"], told["by"]) == ("t", 85.0, "deviation")
    assert 19 < first["expected"] < 21
    assert first["share"] > 0.95
    assert told["words"].startswith("t is 85 where ")
    assert "of the deviation)" in told["words"]
    assert told["words"].endswith("; it looks like the machine: its values are good")


def test_a_single_sensor_that_is_flagged_is_the_cause() -> None:
    told = explained(WATCHED | Alert("out_of_range(t)", explain=True), steady(t=400.0))
    assert told["cause"] == "sensor"


def test_values_that_are_missing_point_to_the_network() -> None:
    rows = steady(t=None, p=None)
    assert explained(WATCHED | Alert("missing(t)", explain=True), rows)["cause"] == "network"


def test_a_gap_points_to_the_network() -> None:
    told = explained(WATCHED | Alert("t > 80", explain=True), steady(t=85.0, time=60 * 400))
    assert told["cause"] == "network"


def test_times_that_go_back_point_to_the_clock() -> None:
    told = explained(WATCHED | Alert("t > 80", explain=True), steady(t=85.0, time=60 * 4))
    assert told["cause"] == "clock"


def test_an_explanation_is_plain_json() -> None:
    told = explained(WATCHED | Alert("t > 80", explain=True), steady(t=85.0))
    assert json.loads(json.dumps(told)) == told


def test_a_detector_that_changes_when_it_scores_cannot_be_asked() -> None:
    model = time_series.SNARIMAX(p=1, d=0, q=0)
    detector = anomaly.PredictiveAnomalyDetection(model)
    flow = Flow("test", sensors=["t"]) | Detect(detector, target="t", explain=True)
    with pytest.raises(FlowError, match="it changes with each score; leave explain out"):
        flow.plan()
