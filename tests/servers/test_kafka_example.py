"""The example with Kafka differs from the one with a file in one line, and gives the same."""

from __future__ import annotations

import ast
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from fill import fill
from kafka_lab import Kafka, wait

from streamflow.cli.main import main
from streamflow.flow.load import load_flow

EXAMPLES = Path(__file__).parents[2] / "examples"
FILE, KAFKA = EXAMPLES / "01_quickstart.py", EXAMPLES / "07_from_kafka.py"


def flow_lines(path: Path) -> list[str]:
    """The lines of its flow."""
    text = path.read_text()
    flow = next(
        part
        for part in ast.parse(text).body
        if isinstance(part, ast.Assign) and getattr(part.targets[0], "id", "") == "flow"
    )
    return text.splitlines()[flow.lineno - 1 : flow.end_lineno]


def test_one_line_differs() -> None:
    pairs = list(zip(flow_lines(FILE), flow_lines(KAFKA), strict=True))
    assert [(a.split("(")[0], b.split("(")[0]) for a, b in pairs if a != b] == [
        ("    | files.csv", "    | kafka.topic")
    ]


def test_it_writes_the_same_alerts(kafka: Kafka, tmp_path: Path, capsys: Any) -> None:
    topic = kafka.topic(2)
    count = fill(topic, kafka.address)
    here = tmp_path / "flow.py"
    text = KAFKA.read_text().replace('"telemetry"', f'"{topic}"')
    here.write_text(text.replace('"127.0.0.1:9092"', f'"{kafka.address}"'))
    assert main(["check", str(here), "--connect"]) == 0
    assert f"{kafka.address} has the topic '{topic}', partitions: 2" in capsys.readouterr().out
    command = [sys.executable, "-m", "streamflow", "run", str(here), "--state", "state", "--json"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:
        wait(lambda: sum(kafka.committed(topic, "quickstart").values()) == count)
        run.send_signal(signal.SIGTERM)
        told = json.loads(run.communicate(timeout=30)[0])
    assert told["received"] == told["decoded"] == count
    assert told["adds_up"]
    lines = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
    expected = load_flow(str(FILE)).replay().alerts
    assert len(lines) == len(expected) > 100
    assert {(a["id"], a["status"]) for a in lines} == {
        (event.id, event.fields["status"]) for event in expected
    }
