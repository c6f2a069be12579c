"""The examples with servers differ from the one with a file in one line, and give the same."""

from __future__ import annotations

import ast
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from fill import readings, to_kafka, to_mqtt
from kafka_lab import Kafka, wait
from mosquitto import Mosquitto, free_port

from streamflow.cli.main import main
from streamflow.flow.load import load_flow

EXAMPLES = Path(__file__).parents[2] / "examples"
FILE, KAFKA, MQTT = (
    EXAMPLES / f"{name}.py" for name in ("01_quickstart", "07_from_kafka", "08_from_mqtt")
)
COUNT = 20_000


def flow_lines(path: Path) -> list[str]:
    """The lines of its flow."""
    text = path.read_text()
    flow = next(
        part
        for part in ast.parse(text).body
        if isinstance(part, ast.Assign) and getattr(part.targets[0], "id", "") == "flow"
    )
    return text.splitlines()[flow.lineno - 1 : flow.end_lineno]


@pytest.mark.parametrize(("path", "source"), [(KAFKA, "kafka.topic"), (MQTT, "mqtt.topic")])
def test_one_line_differs(path: Path, source: str) -> None:
    pairs = list(zip(flow_lines(FILE), flow_lines(path), strict=True))
    assert [(a.split("(")[0], b.split("(")[0]) for a, b in pairs if a != b] == [
        ("    | files.csv", f"    | {source}")
    ]


@contextmanager
def running(path: Path) -> Iterator[tuple[subprocess.Popen[str], Callable[[], str]]]:
    """The flow in a process of its own, and what it has said."""
    command = [sys.executable, "-m", "streamflow", "run", str(path), "--state", "state", "--json"]
    log = path.parent / "log"
    with (
        log.open("w") as said,
        subprocess.Popen(
            [*command, "--metrics", "0"],
            cwd=path.parent,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        ) as run,
    ):
        try:
            yield run, log.read_text
        finally:
            run.kill()


def compare(run: subprocess.Popen[str], folder: Path) -> None:
    """Stop it; what it has written is what a replay of the same readings gives."""
    run.send_signal(signal.SIGTERM)
    told = json.loads(run.communicate(timeout=60)[0])
    assert told["received"] == told["decoded"] == COUNT
    assert told["adds_up"]
    lines = [json.loads(line) for line in (folder / "alerts.jsonl").read_text().splitlines()]
    expected = load_flow(str(FILE)).replay(list(islice(readings(), COUNT))).alerts
    assert len(lines) == len(expected) > 20
    assert {(a["id"], a["status"]) for a in lines} == {
        (event.id, event.fields["status"]) for event in expected
    }


def test_kafka_gives_the_same_alerts(kafka: Kafka, tmp_path: Path, capsys: Any) -> None:
    topic = kafka.topic(2)
    to_kafka(topic, kafka.address, islice(readings(), COUNT))
    here = tmp_path / "flow.py"
    text = KAFKA.read_text().replace('"telemetry"', f'"{topic}"')
    here.write_text(text.replace('"127.0.0.1:9092"', f'"{kafka.address}"'))
    assert main(["check", str(here), "--connect"]) == 0
    assert f"{kafka.address} has the topic '{topic}', partitions: 2" in capsys.readouterr().out
    with running(here) as (run, _):
        wait(lambda: sum(kafka.committed(topic, "quickstart").values()) == COUNT)
        compare(run, tmp_path)


def test_mqtt_gives_the_same_alerts(broker: Mosquitto, tmp_path: Path, capsys: Any) -> None:
    here = tmp_path / "flow.py"
    local = f'host="127.0.0.1", port={broker.port}'
    here.write_text(MQTT.read_text().replace('host="127.0.0.1"', local))
    assert main(["check", str(here), "--connect"]) == 0
    assert "speaks MQTT 5 and grants 1 topic with QoS 1" in capsys.readouterr().out
    with running(here) as (run, said):
        wait(lambda: counted(said(), 'what="connected"} 1.0'))
        to_mqtt("telemetry", f"127.0.0.1:{broker.port}", islice(readings(), COUNT))
        out = f'readings_out_total{{flow="quickstart",worker="0.0"}} {float(COUNT)}'
        wait(lambda: counted(said(), out))
        compare(run, tmp_path)


def counted(said: str, line: str) -> bool:
    """Whether a flow's metrics say so."""
    from urllib.request import urlopen

    if "metrics at " not in said:
        return False
    url = said.split("metrics at ")[1].split()[0]
    return line in urlopen(url).read().decode()


def test_both_servers_start_and_end(tmp_path: Path, kafka: Kafka, broker: Mosquitto) -> None:
    mqtt, other = free_port(), free_port()
    command = [sys.executable, str(EXAMPLES / "servers" / "both.py"), f"--folder={tmp_path}"]
    command += [f"--mqtt={mqtt}", f"--kafka={other}"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as both:
        assert both.stdout is not None
        assert [both.stdout.readline().split(";")[0].strip() for _ in range(2)] == [
            f"MQTT is at 127.0.0.1:{mqtt}",
            f"Kafka is at 127.0.0.1:{other}",
        ]
        both.send_signal(signal.SIGINT)
        assert both.wait(60) == 0
    for port in (mqtt, other):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
