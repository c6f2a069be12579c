from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from river import anomaly, drift

from streamflow import Flow, Impute, Maintenance, MonitorDrift
from streamflow.errors import FlowError

FLOW = Flow("test", sensors=["t", "p"])
DETECTOR = drift.PageHinkley(threshold=5)


def steps(at: int, device: str = "a", n: int = 200) -> list[dict[str, Any]]:
    return [{"device": device, "time": i, "t": float(i >= at)} for i in range(n)]


def test_a_change_is_an_event_and_a_mark_in_the_column_where_river_sees_it() -> None:
    own, expected = DETECTOR.clone(), []
    for row in steps(100):
        own.update(row["t"])
        expected.append(float(own.drift_detected))
    assert sum(expected) == 1
    result = (FLOW | MonitorDrift("t", DETECTOR)).replay(steps(100))
    assert result.rows["drift"].tolist() == expected
    (event,) = result.events
    assert (event.kind, event.device, event.time // 10**9) == ("drift", "a", expected.index(1.0))
    assert event.fields == {"on": "t", "value": 1.0}
    assert result.alerts == []


def test_each_device_has_a_detector_of_its_own_and_the_one_given_is_never_changed() -> None:
    mixed = [row for pair in zip(steps(100, "a"), steps(999, "b"), strict=True) for row in pair]
    result = (FLOW | MonitorDrift("t", DETECTOR)).replay(mixed)
    assert [event.device for event in result.events] == ["a"]
    assert not DETECTOR.drift_detected


def test_work_in_a_maintenance_window_is_no_drift_and_teaches_nothing(tmp_path: Path) -> None:
    windows = tmp_path / "windows.csv"
    windows.write_text("device,start,end\na,1970-01-01T00:01:40Z,1970-01-01T00:02:30Z\n")
    rows = [row for row in steps(100) if not 100 <= row["time"] < 150]
    work = [{"device": "a", "time": i, "t": 1e6} for i in range(100, 150)]
    watch = MonitorDrift("t", DETECTOR)
    without = (FLOW | watch).replay(rows)
    paused = (FLOW | Maintenance(windows) | watch).replay([*rows[:100], *work, *rows[100:]])
    assert paused.events == without.events
    assert paused.rows["drift"][100:150].tolist() == [0.0] * 50
    assert paused.rows["drift"][150:].tolist() == without.rows["drift"][100:].tolist()
    assert len((FLOW | watch).replay([*rows[:100], *work, *rows[100:]]).events) > 1


def test_missing_imputed_and_infinite_values_are_passed_over() -> None:
    holes = [
        {"device": "a", "time": i + 0.5, "t": v} for i in range(200) for v in (None, float("inf"))
    ]
    rows = sorted([*steps(100), *holes], key=lambda row: row["time"])
    plain = (FLOW | MonitorDrift("t", DETECTOR)).replay(steps(100))
    for flow in (FLOW, FLOW | Impute(hold="1h")):
        holed = (flow | MonitorDrift("t", DETECTOR)).replay(rows)
        assert [event.id for event in holed.events] == [event.id for event in plain.events]


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        (MonitorDrift("tt", DETECTOR), "step 'monitor_drift': on names the column 'tt'"),
        (MonitorDrift("score", DETECTOR), "on names the column 'score', which does not exist here"),
        (MonitorDrift("t", drift.ADWIN), "ADWIN is a class; give an object: ADWIN()"),
        (MonitorDrift("t", anomaly.HalfSpaceTrees()), "is not a drift detector of River"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(stage: MonitorDrift, sentence: str) -> None:
    with pytest.raises(FlowError) as error:
        (FLOW | stage).plan()
    assert sentence in str(error.value)


def test_two_monitors_want_names() -> None:
    flow = FLOW | MonitorDrift("t", DETECTOR) | MonitorDrift("p", DETECTOR, name="pressure")
    assert list(flow.replay(steps(1)).rows.columns)[2:] == ["drift", "pressure_drift"]


def test_two_are_equal_when_their_detectors_are_written_alike() -> None:
    assert MonitorDrift("t", drift.ADWIN()) == MonitorDrift("t", drift.ADWIN())
    assert MonitorDrift("t", drift.ADWIN()) != MonitorDrift("t", drift.ADWIN(delta=0.1))
