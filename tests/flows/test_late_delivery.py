"""Late delivery: what is durable is handed out once by runs that end in good order."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from streamflow_connectors import files

from streamflow import Alert, Flow, Sink, Writer, records


@dataclass(frozen=True)
class Pager(Sink):
    """A sink that cannot take anything back."""

    path: Path = field(default=Path("calls"))

    def open(self, resume: Any) -> Writer:
        return _Calls(self.path)


class _Calls(Writer):
    def __init__(self, path: Path) -> None:
        self._file = path.open("a")

    def write(self, items: Any) -> None:
        for record in records(items):
            self._file.write(json.dumps(dict(record)) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


@pytest.mark.parametrize("deliver", ["now", "durable"])
def test_an_alert_is_called_once_over_several_clean_runs(tmp_path: Path, deliver: Any) -> None:
    data, calls = tmp_path / "in.csv", tmp_path / "calls"
    data.write_text("device,time,t\na,1,0\na,2,9\na,3,9\n")
    flow = (
        Flow("late", sensors=["t"])
        | files.csv(data)
        | Alert("t > 5")
        | Pager(of="alerts", deliver=deliver, path=calls)
    )
    for _ in range(3):
        flow.run(state=tmp_path / "state", epoch="20ms")
        assert len(calls.read_text().splitlines()) == 1
    with data.open("a") as more:
        more.write("a,4,0\n")
    flow.run(state=tmp_path / "state", epoch="20ms")
    opened, closed = map(json.loads, calls.read_text().splitlines())
    assert (opened["status"], closed["status"]) == ("opened", "closed")
    assert opened["id"] == closed["id"]


def test_a_fresh_run_replaces_the_file_of_a_sink_that_gets_nothing(tmp_path: Path) -> None:
    data, alerts = tmp_path / "in.csv", tmp_path / "alerts.jsonl"
    data.write_text("device,time,t\na,1,0\n")
    alerts.write_text("of an old run\n")
    flow = Flow("calm", sensors=["t"]) | files.csv(data) | Alert("t > 5")
    (flow | files.jsonl(alerts, of="alerts")).run()
    assert alerts.read_text() == ""
