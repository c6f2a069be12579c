"""Trained River objects in and out: whoever goes on, the scores are the same to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from river import anomaly, compose, drift, preprocessing, stats
from streamflow_connectors import files

from streamflow import Detect, Flow, Impute, MonitorDrift
from streamflow.errors import FlowError, StateError
from streamflow.testing import check_laws

FLOW = Flow("trained", sensors=["t", "p"])
RNG = np.random.default_rng(7)
ROWS: list[dict[str, Any]] = [
    {"device": "ab"[i % 2], "time": i, "t": t, "p": p}
    for i, (t, p) in enumerate(RNG.random((240, 2)).round(3).tolist())
]
for row in ROWS[40:220:9]:
    del row["p"]


def trees() -> Any:
    return anomaly.HalfSpaceTrees(n_trees=3, height=4, window_size=20, seed=7)


MODELS = {
    "trees": trees(),
    "scaled": preprocessing.MinMaxScaler() | trees(),
    "twice": preprocessing.MaxAbsScaler() | preprocessing.StandardScaler() | trees(),
    "filled": preprocessing.StatImputer(("p", stats.Mean())) | trees(),
    "filter": preprocessing.MinMaxScaler() | anomaly.QuantileFilter(trees(), 0.9),
    "outer": anomaly.ThresholdFilter(preprocessing.MinMaxScaler() | trees(), 0.9),
    "chosen": compose.Select("t") | anomaly.LocalOutlierFactor(5),
    "slow": preprocessing.PreviousImputer() | anomaly.LocalOutlierFactor(5),
    "slow filter": anomaly.QuantileFilter(compose.Select("t") | anomaly.OneClassSVM(), 0.9),
}


def scores(detect: Detect, rows: Sequence[Any]) -> list[float]:
    return list((FLOW | detect).replay(rows).rows["score"])


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_trained_model_goes_out_and_in_and_on(model: Any) -> None:
    expected = scores(Detect(model), ROWS)[120:]
    half = (FLOW | Detect(model)).replay(ROWS[:120])
    start = {device: half.model(device) for device in "ab"}
    assert {type(one) for one in start.values()} == {type(model)}
    assert scores(Detect(model, start=start), ROWS[120:]) == expected


@pytest.mark.parametrize("name", ["scaled", "outer"])
def test_rivers_own_training_is_taken_in_and_its_object_is_left_alone(name: str) -> None:
    own = MODELS[name].clone()
    for row in ROWS[:80]:
        own.learn_one({"t": row["t"], "p": row.get("p", 0.5)})
    start, expected = own.clone(), []
    start = (FLOW | Detect(own, start=own)).replay(ROWS[:1]).plan.stages[0].start  # type: ignore[attr-defined]
    assert start is own
    rows = [row for row in ROWS[:60] if "p" in row]
    got = scores(Detect(own, start=own), [{**row, "device": "c"} for row in rows])
    for row in rows:
        x = {"t": row["t"], "p": row["p"]}
        expected.append(own.score_one(x))
        own.learn_one(x)
    assert got == expected


def test_a_trained_scaler_before_new_trees() -> None:
    scaler, new = preprocessing.MinMaxScaler(), trees()
    for x in (0.0, 2.0):
        scaler.learn_one({"t": x, "p": x})
    expected, rows = [], [row for row in ROWS if row["device"] == "a" and "p" in row]
    model = scaler | new
    got = scores(Detect(preprocessing.MinMaxScaler() | trees(), start=model), rows)
    for row in rows:
        x = {"t": row["t"], "p": row["p"]}
        expected.append(model.score_one(x))
        model.learn_one(x)
    assert got == expected


def test_devices_that_are_not_named_begin_untrained() -> None:
    half = (FLOW | Detect(trees())).replay(ROWS[:120])
    some = scores(Detect(trees(), start={"a": half.model("a")}), ROWS[:120])
    none = scores(Detect(trees()), ROWS[:120])
    assert some[1::2] == none[1::2]
    assert some[0::2] != none[0::2]


def test_with_a_start_the_laws_hold() -> None:
    for model in (trees(), anomaly.LocalOutlierFactor(3)):
        start = (Flow("x", sensors=["t"]) | Detect(model)).replay(ROWS[:60]).model("a")
        check_laws(Flow("x", sensors=["t"]) | Detect(model, start=start), examples=6)


def test_models_of_other_steps() -> None:
    flow = (
        FLOW
        | Impute(preprocessing.StatImputer(("p", stats.Mean())))
        | MonitorDrift("t", drift.ADWIN())
        | MonitorDrift("t", drift.KSWIN(seed=1), name="slow")
        | Impute("1h", name="hold")
    )
    result = flow.replay(ROWS)
    own = drift.ADWIN()
    for row in ROWS[0::2]:
        own.update(row["t"])
    adwin = result.model("a", "monitor_drift")
    assert (adwin.width, adwin.estimation) == (own.width, own.estimation)
    assert result.model("a", "slow").window[-1] == ROWS[-2]["t"]
    known = [row["p"] for row in ROWS[0::2] if "p" in row]
    assert result.model("a", "impute").stats["p"].n == len(known)
    with pytest.raises(FlowError, match="step 'hold' has no model"):
        result.model("a", "hold")
    with pytest.raises(FlowError, match="the flow has no Detect; name a step"):
        result.model("a")
    with pytest.raises(FlowError, match="no step 'slo'; did you mean 'slow'"):
        result.model("a", "slo")
    with pytest.raises(FlowError, match="no reading was of device 'c'; there is: a, b"):
        result.model("c", "slow")


@pytest.mark.parametrize("model", [trees(), anomaly.LocalOutlierFactor(3)])
def test_a_model_of_a_running_flow(model: Any, tmp_path: Path) -> None:
    lines = ["device,time,t,p", *(f"{r['device']},{r['time']},{r['t']},0.5" for r in ROWS)]
    (tmp_path / "in.csv").write_text("\n".join(lines))
    flow = (
        FLOW
        | files.csv(tmp_path / "in.csv")
        | Detect(model)
        | files.jsonl(tmp_path / "out", of="rows")
    )
    flow.run(state=tmp_path / "state")
    kept, replayed = flow.model("a", tmp_path / "state"), flow.replay().model("a")
    assert kept.score_one({"t": 9.0, "p": 1.0}) == replayed.score_one({"t": 9.0, "p": 1.0})
    with pytest.raises(FlowError, match="does not remember device 'aa'; did you mean 'a'"):
        flow.model("aa", tmp_path / "state")
    with pytest.raises(StateError, match="does not fit the flow"):
        (FLOW | Detect(model, name="other")).model("a", tmp_path / "state", step="other")


def test_a_start_that_was_made_otherwise() -> None:
    wrong = [
        (anomaly.HalfSpaceTrees(seed=8), r"start was made as HalfSpaceTrees .*seed=8"),
        ({"a": preprocessing.MinMaxScaler()}, "start of 'a' was made as MinMaxScaler"),
        (anomaly.HalfSpaceTrees, "HalfSpaceTrees is a class; give an object"),
        (3.5, r"start was made as 3.5"),
    ]
    for start, text in wrong:
        with pytest.raises(FlowError, match=text):
            (FLOW | Detect(trees(), start=start)).plan()


def test_trees_of_other_sensors_are_not_taken_in() -> None:
    other = trees()
    other.learn_one({"x": 0.5})
    with pytest.raises(StateError, match=r"step 'detect': the start of 'a': this forest's trees"):
        (FLOW | Detect(trees(), start=other)).replay(ROWS[:3])
