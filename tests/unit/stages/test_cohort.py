from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from river import anomaly, preprocessing

from streamflow import Batch, Detect, Flow, Gate, ValueNovelty
from streamflow.errors import FlowError
from streamflow.flow.check import check

EVIDENCE = 300


def trees() -> Any:
    return preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(
        n_trees=5, height=4, window_size=50, seed=7
    )


def fleet(*sizes: tuple[str, str | None, int], seed: int = 1) -> list[dict[str, Any]]:
    """Device after device, each with its model and its number of readings."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for device, model, count in sizes:
        for t in rng.normal(20, 1, count).tolist():
            row = {"device": device, "time": len(rows), "t": t}
            rows.append(row if model is None else {**row, "model": model})
    return rows


def run(estimator: Any, rows: list[dict[str, Any]], **options: Any) -> Batch:
    flow = Flow("test", sensors=["t"], tags=["model"])
    return (flow | Detect(estimator, **options)).replay(rows).rows


def scores(batch: Batch, device: str) -> list[float]:
    own = batch.device == batch.devices.index(device)
    got: list[float] = batch["score"][own].tolist()
    return got


@pytest.mark.parametrize("estimator", [trees(), ValueNovelty(warm_up=20)], ids=["kernel", "river"])
def test_a_new_device_scores_as_the_one_it_takes_over_from_would(estimator: Any) -> None:
    rows = fleet(("old", "x", 400), ("new", "x", 50))
    as_one = [{**row, "device": "old"} for row in rows]
    got = run(estimator, rows, cold_start="model", evidence=EVIDENCE)
    assert scores(got, "new") == scores(run(estimator, as_one), "old")[400:]
    assert scores(got, "old") == scores(run(estimator, as_one), "old")[:400]


def test_a_device_of_another_kind_or_of_none_begins_alone() -> None:
    rows = fleet(("old", "x", 400), ("other", "y", 50), ("none", None, 50))
    got = run(trees(), rows, cold_start="model", evidence=EVIDENCE)
    alone = run(trees(), rows)
    for device in ("other", "none"):
        assert scores(got, device) == scores(alone, device)


def test_what_one_has_learned_too_little_of_is_not_lent() -> None:
    rows = fleet(("old", "x", EVIDENCE - 1), ("new", "x", 50))
    got = run(trees(), rows, cold_start="model", evidence=EVIDENCE)
    assert scores(got, "new") == scores(run(trees(), rows), "new")


def test_the_most_experienced_lends_its_model() -> None:
    rows = fleet(("most", "x", 500), ("some", "x", 400), ("new", "x", 50))
    as_one = [{**row, "device": row["device"].replace("new", "most")} for row in rows]
    got = run(trees(), rows, cold_start="model", evidence=EVIDENCE)
    assert scores(got, "new") == scores(run(trees(), as_one), "most")[500:]


def test_a_device_is_learning_until_its_own_readings_suffice() -> None:
    rows = fleet(("old", "x", 320), ("new", "x", 310))
    got = run(trees(), rows, cold_start="model", evidence=EVIDENCE)
    for device, count in (("old", 320), ("new", 310)):
        own = got["learning"][got.device == got.devices.index(device)]
        assert own.tolist() == [1.0] * EVIDENCE + [0.0] * (count - EVIDENCE)


def test_a_reading_without_a_score_is_no_evidence() -> None:
    rows = fleet(("a", "x", 10))
    rows[3]["t"] = None
    got = run(trees(), rows, cold_start="model", evidence=5)
    assert got["learning"].tolist() == [1.0] * 6 + [0.0] * 4


def test_the_gate_stays_the_devices_own() -> None:
    rows = fleet(("old", "x", 400), ("new", "x", 5))
    for row in rows[390:400]:
        row["t"] = 90.0
    detect = Detect(trees(), cold_start="model", evidence=EVIDENCE, gate=Gate("t > 50", resume=50))
    result = (Flow("test", sensors=["t"], tags=["model"]) | detect).replay(rows)
    assert result.shards[0].states["detect"]["calm"][:2].tolist() == [0, 50]


def test_thousands_that_join_cost_one_piece_where_nobody_can_lend() -> None:
    rows = [{"device": f"d{i}", "time": i, "t": 20.0, "model": "x"} for i in range(3000)]
    got = run(trees(), rows, cold_start="model", evidence=EVIDENCE)
    assert len(got) == 3000
    assert got["learning"].all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cold_start": "modle"}, "is no tag of the flow; did you mean 'model'?"),
        ({"cold_start": "model", "start": trees()}, "give start or cold_start, not both"),
        ({"cold_start": "model", "evidence": 0}, "evidence=0; at least 1 reading"),
    ],
)
def test_what_cannot_be_is_said(options: dict[str, Any], said: str) -> None:
    with pytest.raises(FlowError, match="step 'detect'") as caught:
        run(trees(), fleet(("a", "x", 1)), **options)
    assert said in str(caught.value)


def test_check_says_that_devices_see_each_other() -> None:
    flow = Flow("test", sensors=["t"], tags=["model"]) | Detect(trees(), cold_start="model")
    texts = [finding.text for finding in check(flow).findings]
    assert any(text.startswith("detect: looks across the devices of a shard") for text in texts)
