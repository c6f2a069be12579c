from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from river import anomaly, drift

from streamflow import Alert, Detect, Flow, MonitorDrift, Validate
from streamflow.errors import FlowError

FLOW = Flow("test", sensors=["t", "p"])
RNG = random.Random(5)
ROWS = [
    {"device": RNG.choice("ab"), "time": i, "t": RNG.gauss(0, 1), "p": RNG.random()}
    for i in range(400)
]


@pytest.mark.parametrize(
    "alert",
    [
        Alert("t > 2"),
        Alert("t >= 2"),
        Alert("t>2.0"),
        Alert("t > 1", hold="5s"),
        Alert("t > 0", after="2s"),
        Alert("t > 1", until="t < -1"),
        Alert("t > 1", until="t < 0", after="1s", hold="2s", name="named"),
    ],
    ids=lambda alert: f"{alert.when} {alert.until} {alert.after} {alert.hold}",
)
def test_firings_are_what_really_running_with_that_threshold_gives(alert: Alert) -> None:
    firings = (FLOW | alert).replay(ROWS).firings()
    assert len(set(firings.values())) >= 3
    sign = ">=" if ">=" in alert.when else ">"
    for threshold, count in firings.items():
        varied = replace(alert, when=f"t {sign} {threshold!r}")
        events = (FLOW | varied).replay(ROWS).alerts
        assert count == sum(event.fields["status"] == "opened" for event in events)


def test_firings_of_thresholds_that_are_asked_for() -> None:
    firings = (FLOW | Alert("t > 2")).replay(ROWS).firings([99, -99.5])
    assert firings == {99: 0, -99.5: 2}


def test_firings_vary_the_last_alert() -> None:
    result = (FLOW | Alert("t > 0") | Alert("p > 0.9", name="last")).replay(ROWS)
    assert 0.9 in result.firings()
    assert max(result.firings()) <= 1


def test_firings_on_another_engine_are_the_same() -> None:
    flow = FLOW | Alert("t > 2", hold="3s")
    assert flow.replay(ROWS, workers=2).firings() == flow.replay(ROWS).firings()


def test_firings_without_values() -> None:
    assert (FLOW | Alert("t > 2")).replay([]).firings() == {2.0: 0}


@pytest.mark.parametrize("when", ["t > p", "t > 1 and p > 0", "abs(t) > 1", "t < 1", "missing(t)"])
def test_a_condition_without_a_threshold_to_vary_is_said(when: str) -> None:
    with pytest.raises(FlowError, match=r"cannot vary the threshold of .* not column > number"):
        (FLOW | Alert(when)).replay(ROWS).firings()


def test_a_flow_without_an_alert_is_said() -> None:
    with pytest.raises(FlowError, match="the flow has no Alert"):
        FLOW.replay(ROWS).firings()


def test_no_readings_still_have_all_columns() -> None:
    flow = FLOW | Detect(anomaly.HalfSpaceTrees(seed=1)) | Alert("score > 1")
    assert list(flow.replay([]).rows.columns) == ["t", "p", "score", "alert"]


def page(flow: Flow, path: Path, **labels: object) -> str:
    made = flow.replay(ROWS).plot(path / "page.html", **labels)  # type: ignore[arg-type]
    return made.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "flow",
    [
        FLOW,
        FLOW | Alert("t > p"),
        FLOW | Alert("t>2"),
        FLOW | Alert("missing(t)"),
        FLOW | Validate({"t": (-1, 1)}) | MonitorDrift("p", drift.ADWIN()),
        FLOW | Detect(anomaly.HalfSpaceTrees(seed=1)),
    ],
    ids=["bare", "two columns", "plain", "no threshold", "flags", "score"],
)
def test_any_flow_has_a_page(flow: Flow, tmp_path: Path) -> None:
    text = page(flow, tmp_path)
    assert text.lower().startswith("<!doctype html>")
    assert not re.search(r"""(src|href)\s*=\s*["']?https?:""", text)


def test_without_labels_no_alert_is_called_false(tmp_path: Path) -> None:
    text = page(FLOW | Alert("t > 2"), tmp_path)
    assert "false alerts" not in text
    assert "incidents found" not in text


def test_with_labels_alerts_are_judged(tmp_path: Path) -> None:
    text = page(FLOW | Alert("t > 2"), tmp_path, labels=[("a", 0, 400 * 10**9)])
    assert '["incidents found","1 of 1"]' in text
    assert '["false alerts",' in text


def test_no_labels_at_all_make_every_alert_false(tmp_path: Path) -> None:
    assert '["incidents found","0 of 0"]' in page(FLOW | Alert("t > 2"), tmp_path, labels=[])


def test_a_page_of_nothing(tmp_path: Path) -> None:
    assert (FLOW | Alert("t > 2")).replay([]).plot(tmp_path / "none.html").exists()
