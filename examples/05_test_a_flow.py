"""A flow and its unit tests, in one file.

`readings` is a pytest fixture that comes with streamflow: it makes rows, one for each value in a
list. `flow.test` replays them and asserts which alerts come, in order; of each, the fields given.

    pytest examples/05_test_a_flow.py
    streamflow run examples/05_test_a_flow.py             # writes overheated.jsonl
"""

from pathlib import Path

import streamflow
from streamflow import Alert, Flow, Sensor, Validate
from streamflow_connectors import files

FLEET = Path(streamflow.__file__).parent / "cli" / "demo_data" / "fleet.csv.gz"

flow = (
    Flow(
        "overheating",
        device="machine",
        time="timestamp",
        sensors={"value": Sensor("degF", low=-50, high=250)},
    )
    | files.csv(FLEET)
    | Validate()
    | Alert('device == "machine_temperature" and value > 105', after="10m", hold="1h")
    | files.jsonl("overheated.jsonl", of="alerts")
)
MACHINE = {"machine": "machine_temperature", "time": "timestamp", "every": "5m"}


def test_ten_minutes_of_heat_raise_an_alert(readings):
    rows = readings(value=[90, 107, 108, 107, 90], **MACHINE)
    flow.test(rows, expect=[{"status": "opened", "time": "2026-01-01T00:15:00Z"}])


def test_a_short_peak_raises_none(readings):
    flow.test(readings(value=[90, 107, 90, 107, 90], **MACHINE), expect=[])


def test_a_broken_sensor_is_no_heat(readings):
    result = flow.test(readings(value=[90, 9999, 9999, 9999, 90], **MACHINE), expect=[])
    assert result.balance.flagged["value", "out_of_range"] == 3
