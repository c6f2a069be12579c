from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from river import anomaly, preprocessing
from streamflow_connectors import files

from streamflow import (
    Alert,
    Batch,
    Detect,
    Field,
    Flow,
    Gate,
    Impute,
    Map,
    Memory,
    MonitorDrift,
    Sensor,
    Stage,
    Validate,
    ValueNovelty,
)
from streamflow.engine.rows import Rows
from streamflow.errors import ConnectorError
from streamflow.flow.check import NOT_REDELIVERED, REDELIVERED, Report, check
from streamflow.testing import Collect

FLOW = Flow("test", sensors=["t", "p"], tags=["site"]) | Rows()
TREES = anomaly.HalfSpaceTrees(seed=1)


def texts(report: Report, level: str) -> list[str]:
    return [finding.text for finding in report.findings if finding.level == level]


def complete(*parts: Any) -> Flow:
    flow = FLOW
    for part in parts:
        flow = flow | part
    for of in ("alerts", "rejected", "dead_letters"):
        flow = flow | Collect(of=of)  # type: ignore[arg-type]
    return flow


def test_a_complete_flow_has_nothing_to_find() -> None:
    report = check(complete(Detect(TREES), Alert("score > 1")))
    assert report.findings == []
    assert report.ok


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ([Alert("scor > 1")], "'scor', which does not exist here"),
        ([Detect(TREES), Alert("scor > 1")], "did you mean 'score'?"),
        ([Alert("score > 1"), Detect(TREES)], "'score', which does not exist here"),
        ([MonitorDrift("score", TREES)], "'score', which does not exist here"),
        ([Detect(TREES), Detect(TREES)], "two steps are called 'detect'"),
        ([Detect(TREES, sensors=["tt"])], "did you mean 't'?"),
        ([Alert("site > 3")], "'site' is a tag, not a number"),
        ([Detect(TREES, learn="site > 3")], "'site' is a tag, not a number"),
        ([Detect(TREES, gate=Gate("scor > 3"))], "did you mean 'score'?"),
        ([Impute(hold="soon")], "'soon' is not a duration"),
        ([Detect(preprocessing.MinMaxScaler())], "is not an anomaly detector"),
    ],
)
def test_an_error_says_which_name_is_wrong_and_which_was_meant(
    parts: list[Any], sentence: str
) -> None:
    report = check(complete(*parts))
    (text,) = texts(report, "error")
    assert sentence in text
    assert not report.ok


def test_a_flow_without_a_source_can_be_replayed_but_not_run() -> None:
    report = check(Flow("test", sensors=["t"]) | Alert("t > 1"))
    assert texts(report, "error") == ["the flow has no source: it can be replayed, not run"]
    assert not report.ok


def test_what_cannot_be_opened_is_an_error_each(tmp_path: Path) -> None:
    flow = (
        Flow("test", sensors=["t"])
        | files.csv(tmp_path / "none.csv")
        | Alert("t > 1")
        | files.jsonl(tmp_path / "nowhere" / "alerts.jsonl", of="alerts")
        | files.csv(tmp_path, of="rows")
    )
    first, second, third = texts(check(flow), "error")
    assert "no such file" in first
    assert "no folder" in second
    assert "is a folder" in third


def test_checking_opens_and_writes_nothing(tmp_path: Path) -> None:
    check(FLOW | Alert("t > 1") | files.jsonl(tmp_path / "alerts.jsonl", of="alerts"))
    assert list(tmp_path.iterdir()) == []


NEVER = "sensor 'p' is never used by any stage"


@pytest.mark.parametrize(
    ("parts", "used"),
    [
        ([Alert("t > 1")], False),
        ([Alert("t > 1 and good(p)")], True),
        ([Alert("t > 1", until="p > 3")], True),
        ([Detect(TREES), Alert("score > 1")], True),
        ([Detect(TREES, sensors=["t"]), Alert("score > 1")], False),
        ([Detect(TREES, sensors=["t"], learn="score < 1 and p > 0"), Alert("score > 1")], True),
        (
            [Detect(TREES, sensors=["t"], gate=Gate("score > 1 and p > 0")), Alert("score > 1")],
            True,
        ),
        ([Detect(anomaly.GaussianScorer(), sensors=["t"], target="p"), Alert("score > 1")], True),
        ([Map(lambda r: {"x": r["p"]}, adds=["x"]), Alert("t > 1")], True),
        ([Validate(), Impute("1h"), Alert("t > 1")], False),
    ],
)
def test_a_sensor_that_no_stage_looks_at_is_told(parts: list[Any], used: bool) -> None:
    assert (NEVER in texts(check(complete(*parts)), "warning")) is not used


class Looks(Stage):
    uses = ("p",)

    def on_batch(self, batch: Batch, state: Any) -> Batch:
        return batch


def test_a_stage_of_ones_own_is_believed_about_what_it_uses() -> None:
    assert NEVER not in texts(check(complete(Looks(), Alert("t > 1"))), "warning")


def test_alerts_that_go_nowhere_are_told() -> None:
    assert texts(check(FLOW | Alert("t > p")), "warning") == [
        "no sink: what the flow finds goes nowhere"
    ]
    assert texts(check(FLOW | Alert("t > p") | Collect()), "warning") == [
        'no sink takes the alerts; add one with of="alerts"'
    ]
    assert texts(check(FLOW | Alert("t > p") | Collect(of="events")), "warning") == []
    assert texts(check(FLOW | Looks() | Map(len, name="x") | Collect()), "warning") == [
        "sensor 't' is never used by any stage"
    ]


def test_what_is_set_aside_and_not_kept_is_told() -> None:
    told = texts(check(FLOW | Alert("t > p") | Collect(of="alerts")), "info")
    assert [text.partition(" are counted, not kept")[0] for text in told] == [
        "rejected",
        "dead letters",
    ]


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        (Detect(anomaly.HalfSpaceTrees()), "HalfSpaceTrees has no seed"),
        (Detect(anomaly.OneClassSVM()), "score is signed"),
        (Map(lambda r: {"x": r["t"] + r["p"]}, adds=["x"]), "is not at module level"),
    ],
)
def test_what_a_stage_warns_of_is_told_with_its_step(part: Stage, sentence: str) -> None:
    findings = [f for f in check(complete(part, Alert("t > p"))).findings if f.level == "warning"]
    assert any(finding.step == part.step and sentence in finding.text for finding in findings)


class Ring(Looks):
    @property
    def memory(self) -> Memory:
        return Memory({"ring": Field("float32", shape=(100,)), "n": 0})


def test_memory_of_a_device_is_told_by_step() -> None:
    flow = complete(Impute("1h"), Ring(), Detect(ValueNovelty()), Alert("t > p"))
    sizes = check(flow).bytes_per_device
    assert list(sizes) == ["impute", "ring", "detect", "alert"]
    assert sizes["impute"] == 2 * 16
    assert sizes["ring"] == 408
    assert sizes["detect"] > 100
    assert sizes["alert"] > 0


@dataclass(frozen=True)
class Fleeting(Rows):
    promise: str = "none"  # type: ignore[misc]


@dataclass(frozen=True)
class Upsert(Collect):
    promise: str = "upsert"  # type: ignore[misc]


def test_the_promise_is_that_of_this_very_combination(tmp_path: Path) -> None:
    flow = (
        FLOW
        | Fleeting(name="radio")
        | Alert("t > p")
        | Collect(name="repeats")
        | Upsert(name="upserts", deliver="durable")
        | files.jsonl(tmp_path / "alerts.jsonl", of="alerts", name="file")
    )
    told = dict(line.split(": ", 1) for line in check(flow).promise if ": " in line)
    assert told["rows"] == "a restart reads it again from the start; nothing is skipped."
    assert told["radio"] == "what arrives while the flow is down is lost."
    assert told["repeats"] == "repeated from the start."
    assert told["upserts"] == "repeated from the start under the same id, so it shows once."
    assert told["file"] == "written anew, each item once."
    assert "every model learns anew" in told["State is kept in memory only"]
    kept = list(check(flow, tmp_path / "state").promise)
    assert "rows: a restart goes on where the last durable epoch ended." in kept
    assert "radio: what arrives while the flow is down is lost." in kept
    assert "State is durable once an epoch, and reflects each message once." in kept
    (late,) = [line for line in kept if "only when it is durable" in line]
    assert late.startswith("upserts: ")


def test_state_of_another_flow_is_an_error(tmp_path: Path) -> None:
    flow = FLOW | Alert("t > p") | Collect(of="alerts")
    flow.run(state=tmp_path / "state")
    assert check(flow, tmp_path / "state").ok
    (text,) = texts(check(replace(flow, name="other"), tmp_path / "state"), "error")
    assert "holds the state of flow 'test', not of 'other'" in text


def test_ranges_of_a_sensor_do_not_count_as_use() -> None:
    flow = Flow("test", sensors={"t": Sensor(), "p": Sensor(low=0)}) | Rows() | Alert("t > 1")
    assert NEVER in texts(check(flow), "warning")


class Broker(Rows):
    """A source that can be asked whether its broker is there."""

    promise = "redeliver"  # type: ignore[assignment]
    caveats = ("its caveat.",)  # type: ignore[assignment]

    def probe(self) -> str:
        if self.name == "gone":
            raise ConnectorError("nothing listens there")
        return "it is there"


def test_connections_are_tried_only_when_asked_for() -> None:
    flow = Flow("test", sensors=["t"]) | Broker(name="mqtt") | Collect(of="rows")
    assert "mqtt: it is there" not in texts(check(flow), "info")
    tried = texts(check(flow, connect=True), "info")
    assert "mqtt: it is there" in tried
    assert "collect_rows: there is no connection to try" in tried
    gone = check(Flow("test", sensors=["t"]) | Broker(name="gone"), connect=True)
    assert texts(gone, "error") == ["nothing listens there"]


@pytest.mark.parametrize(("state", "sentence"), [(None, NOT_REDELIVERED), ("s", REDELIVERED)])
def test_what_a_broker_gives_again_is_promised_with_state_only(
    state: str | None, sentence: str, tmp_path: Path
) -> None:
    flow = Flow("test", sensors=["t"]) | Broker(name="mqtt")
    report = check(flow, tmp_path / state if state else None)
    assert f"mqtt: {sentence}" in report.promise
    assert "mqtt: its caveat." in report.promise
