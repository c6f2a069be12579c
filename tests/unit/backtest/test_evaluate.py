"""Evaluation: figures that can be counted by hand, and replays in which nothing can be judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamflow import Alert, Detect, Flow, Validate, ValueNovelty, stage
from streamflow.backtest.evaluate import Backtest, evaluate
from streamflow.backtest.labels import read_labels
from streamflow.errors import FlowError

HOUR = 3600
FLOW = Flow("doc", sensors=["t"]) | Alert("t > 30")
WEEK = [20.0] * (7 * 24)


def rows(device: str, values: list[float]) -> list[dict[str, Any]]:
    return [{"device": device, "time": i * HOUR, "t": t} for i, t in enumerate(values)]


def spiky(*hours: int) -> list[float]:
    return [40.0 if hour in hours else 20.0 for hour in range(len(WEEK) + 1)]


def window(device: str, start: int, end: int) -> tuple[str, int, int]:
    return device, start * HOUR, end * HOUR


def test_the_figures_are_those_that_one_would_count() -> None:
    data = rows("a", spiky(10, 50, 52, 100)) + rows("b", spiky(30)) + rows("c", spiky())
    labels = [window("a", 48, 60), window("a", 99, 100), window("b", 60, 70), window("c", 5, 6)]
    judged = FLOW.backtest(data, labels)
    overall = judged.overall
    assert (overall.alerts, overall.false, overall.labels, overall.found) == (5, 2, 4, 2)
    assert (overall.recall, overall.precision) == (0.5, 0.6)
    assert overall.delays == [2 * HOUR, 1 * HOUR]
    assert overall.days == 21
    assert overall.alerts_per_week == pytest.approx(5 / 3)  # of one device
    assert overall.false_per_day == pytest.approx(2 / 7)  # of all three together
    a, b, c = (judged.devices[name] for name in "abc")
    assert (a.recall, a.precision, a.false_per_day) == (1.0, 0.75, pytest.approx(1 / 7))
    assert (b.recall, b.precision, b.alerts_per_week) == (0.0, 0.0, 1.0)
    assert (c.recall, c.precision, c.delays) == (0.0, None, [])
    assert [(i.device, i.start) for i in judged.missed] == [
        ("b", 60 * HOUR * 10**9),
        ("c", 5 * HOUR * 10**9),
    ]
    assert [episode.device for episode in judged.false] == ["a", "b"]


def test_an_alert_that_is_always_open_finds_nothing() -> None:
    judged = FLOW.backtest(rows("a", [40.0] * 100), [window("a", 50, 60)])
    assert (judged.overall.recall, judged.overall.precision) == (0.0, 0.0)


def test_a_detector_that_knows_the_labels_has_the_best_nab_and_vus() -> None:
    judged = FLOW.backtest(rows("a", spiky(*range(100, 110))), [window("a", 100, 109)])
    assert judged.overall.nab == judged.overall.nab_alerts
    assert judged.overall.nab == dict.fromkeys(("standard", "low_fp", "low_fn"), 100.0)
    assert judged.overall.vus_pr is not None
    assert judged.overall.vus_pr > 0.9


def test_late_readings_are_judged_in_the_order_of_their_time() -> None:
    data = rows("a", spiky(*range(100, 110)))
    mixed = [data[i] for i in np.random.default_rng(3).permutation(len(data))]
    labels = [window("a", 100, 109)]
    one, other = FLOW.backtest(data, labels).overall, FLOW.backtest(mixed, labels).overall
    assert (other.vus_pr, other.nab, other.days) == (one.vus_pr, one.nab, one.days)


def test_an_alert_on_low_values_is_judged_by_how_low_they_are() -> None:
    low = Flow("low", sensors=["t"]) | Alert("t < 10")
    values = [-value for value in spiky(*range(100, 110))]
    judged = low.backtest(rows("a", values), [window("a", 100, 109)])
    assert judged.overall.vus_pr is not None
    assert judged.overall.vus_pr > 0.9
    assert judged.notes == ["flow 'low' has no Detect: NAB and VUS-PR judge -t"]


def test_the_score_of_a_detector_is_judged_rather_than_a_raw_column() -> None:
    flow = Flow("both", sensors=["t"]) | Detect(ValueNovelty()) | Alert("t > 30")
    judged = flow.backtest(rows("a", spiky(100)), [window("a", 100, 101)])
    assert (judged.score, judged.notes) == ("score", [])


def test_a_flow_without_an_alert_has_its_score_judged() -> None:
    flow = Flow("quiet", sensors=["t"]) | Detect(ValueNovelty())
    judged = flow.backtest(rows("a", spiky(100)), [window("a", 100, 101)])
    assert judged.notes == ["flow 'quiet' has no Alert: only its score is judged"]
    assert (judged.overall.recall, judged.overall.nab_alerts) == (None, None)
    assert judged.overall.nab is not None


def test_a_flow_with_neither_detector_nor_alert_cannot_be_judged() -> None:
    flow = Flow("bare", sensors=["t"]) | Validate()
    with pytest.raises(FlowError, match="flow 'bare' has neither Detect nor Alert: nothing can"):
        flow.backtest(rows("a", WEEK), [window("a", 1, 2)])


def test_an_alert_on_two_columns_without_a_detector_has_only_its_alerts_judged() -> None:
    flow = Flow("two", sensors=["t", "p"]) | Alert("t > 30 and p > 1")
    judged = flow.backtest(rows("a", WEEK), [window("a", 1, 2)])
    assert (judged.score, judged.overall.vus_pr) == (None, None)
    assert judged.notes == ["flow 'two' has no Detect: only its alerts are judged"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "in.csv is empty"),
        ("device,time,t\n", "flow 'doc' gave no reading to judge: the data is empty"),
        (
            "device,time,t\na,never,3\n",
            "reading to judge: dead letters: 1, the first, 2: time: 'never'",
        ),
    ],
)
def test_a_file_without_a_reading_cannot_be_judged(tmp_path: Path, text: str, told: str) -> None:
    data = tmp_path / "in.csv"
    data.write_text(text)
    with pytest.raises(FlowError, match=told):
        FLOW.backtest(data, [window("a", 1, 2)])


@stage()
def refuse(_reading: Any) -> Any:
    from streamflow import Reject

    return Reject("not today")


def test_a_flow_that_rejects_everything_cannot_be_judged() -> None:
    flow = Flow("no", sensors=["t"]) | refuse | Alert("t > 30")
    with pytest.raises(FlowError, match="readings rejected: 168, the first: not today"):
        flow.backtest(rows("a", WEEK), [window("a", 1, 2)])


def test_without_labels_every_alert_is_false_and_there_is_no_recall() -> None:
    judged = FLOW.backtest(rows("a", spiky(100)), [])
    assert (judged.overall.false, judged.overall.precision, judged.overall.recall) == (1, 0.0, None)


def test_wrong_labels_are_told_before_anything_is_replayed() -> None:
    told: list[int] = []
    with pytest.raises(FlowError, match="label 1: the window ends before it starts"):
        FLOW.backtest(rows("a", WEEK), [window("a", 9, 8)], progress=lambda _f, n: told.append(n))
    assert told == []


def test_a_single_reading_has_no_rates() -> None:
    judged = FLOW.backtest(rows("a", [40.0]), [window("a", 0, 1)])
    assert (judged.overall.recall, judged.overall.alerts_per_week) == (1.0, None)


def test_a_replay_that_there_is_can_be_judged_and_has_a_latency_for_each_batch() -> None:
    result = FLOW.replay(rows("a", WEEK * 60))
    assert len(result.latencies) in (2, 3)  # the first batch has 4,096, the next what suits
    judged = evaluate(result, read_labels([window("a", 1, 2)], FLOW.schema))
    assert judged.overall.p99_latency == max(result.latencies) > 0


def test_its_page_stands_alone(tmp_path: Path) -> None:
    judged: Backtest = FLOW.backtest(rows("<a>", spiky(100)), [window("<a>", 100, 101)])
    text = judged.plot(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Backtest of doc" in text
    assert '"recall"' in text
    assert "<a>" not in text
    assert "//" not in text.replace("/*", "").split("<script")[0].replace("<!doctype", "")


def test_goals_are_judged_by_the_figures_of_all_devices() -> None:
    judged = FLOW.backtest(rows("a", spiky(100)), [window("a", 100, 101)])
    assert [goal.met for goal in judged.goals("recall >= 0.8, precision < 1")] == [True, False]
