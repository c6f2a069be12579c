"""Parity: a backtest, and live runs on files, MQTT and Kafka, give the same scores and alerts."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from kafka_lab import Kafka, wait
from mosquitto import Mosquitto, until
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from streamflow.backtest.evaluate import Backtest
from streamflow.flow.load import load_flow

DEVICES, COUNT = 12, 6_000
FLOW = """\
from river import anomaly, preprocessing
from streamflow import Alert, Detect, Flow, Impute, Sensor, Validate, ValueNovelty
from streamflow_connectors import files, kafka, mqtt

flow = (
    Flow("parity", device="machine", time="at", sensors={"bar": Sensor(low=0, high=100)})
    | SOURCE
    | Validate()
    | Impute(hold="1m")
    | Detect(ValueNovelty())
    | Detect(preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=7), name="trees")
    | Alert("score > 4.5", hold="2m")
    | Alert("trees_score > 0.9", hold="2m", name="trees_alert")
    | files.jsonl("rows.jsonl", of="rows")
    | files.jsonl("alerts.jsonl", of="alerts")
)
"""
Alerts = set[tuple[str, str, str, str]]
Scores = dict[tuple[str, str], list[tuple[Any, ...]]]


def readings() -> list[dict[str, Any]]:
    """Gaps, spikes, missing and impossible values, late and repeated readings."""
    random = np.random.default_rng(5)
    out = []
    for i in range(COUNT):
        value: float | str | None = round(float(random.normal(20, 1)), 3)
        fate = random.random()
        if fate < 0.01:
            value = 60.0 + i % 7
        elif fate < 0.02:
            value = None if fate < 0.015 else 900.0
        at = 1_767_225_600 + 10 * i - (300 if 0.02 < fate < 0.03 else 0)
        out.append({"machine": f"m{random.integers(DEVICES)}", "at": at, "bar": value})
        if fate > 0.99:
            out.append(out[-1])
    # A message with the bytes of another counts as that one, given twice: so they are numbered.
    return [{**reading, "n": n} for n, reading in enumerate(out)]


def start(folder: Path, source: str, *options: str) -> subprocess.Popen[str]:
    """Run the flow on a source, in a process of its own."""
    folder.mkdir()
    (folder / "parity.py").write_text(FLOW.replace("SOURCE", source))
    command = [sys.executable, "-m", "streamflow", "run", "parity.py", "--json", *options]
    with (folder / "log").open("w") as log:
        return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True)


def end(run: subprocess.Popen[str], folder: Path, count: int) -> tuple[Scores, Alerts]:
    """Once so many rows are there, stop it in good order; what it gave."""

    def enough() -> bool:
        path = folder / "rows.jsonl"
        assert run.poll() in (None, 0), (folder / "log").read_text()
        return path.exists() and path.read_bytes().count(b"\n") >= count

    wait(enough, 120)
    run.send_signal(signal.SIGTERM)
    told = json.loads(run.communicate(timeout=60)[0])
    assert told["adds_up"]
    assert told["out"] == count
    return scores(lines(folder / "rows.jsonl")), alerts(lines(folder / "alerts.jsonl"))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def scores(rows: Sequence[Any]) -> Scores:
    """Each device's readings with their scores, to the last bit, in order."""
    out: Scores = {}
    for row in rows:
        told = (row["time"], row["bar"], row["score"], row["trees_score"], row["alert"])
        out.setdefault((row["device"], "rows"), []).append(told)
    return out


def alerts(rows: Sequence[Any]) -> Alerts:
    return {(row["id"], row["status"], row["step"], row["time"]) for row in rows}


def of_backtest(judged: Backtest, folder: Path) -> tuple[Scores, Alerts]:
    """What a backtest gave, written down as a sink would."""
    from streamflow_connectors import files

    for name, items, of in (
        ("rows", judged.result.rows, "rows"),
        ("alerts", judged.result.alerts, "alerts"),
    ):
        writer = files.jsonl(folder / f"{name}.jsonl", of=of).open(None)  # type: ignore[arg-type]
        writer.write(items)
        writer.close()
    return scores(lines(folder / "rows.jsonl")), alerts(lines(folder / "alerts.jsonl"))


def remember(broker: Mosquitto, topic: str) -> None:
    """Begin the flow's session, so that the broker keeps what comes until the flow does."""
    client = Client(CallbackAPIVersion.VERSION2, "parity", protocol=MQTTv5)
    subscribed: list[int] = []
    client.on_subscribe = lambda *_: subscribed.append(1)
    kept = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    kept.SessionExpiryInterval = 3600
    client.connect("127.0.0.1", broker.port, clean_start=False, properties=kept)
    client.loop_start()
    until(client.is_connected)
    client.subscribe(topic, 1)
    until(lambda: bool(subscribed))
    client.disconnect()
    client.loop_stop()


def test_a_backtest_and_every_live_run_give_the_same_scores_and_alerts(
    kafka: Kafka, broker: Mosquitto, tmp_path: Path
) -> None:
    rows = readings()
    payloads = [json.dumps(row).encode() for row in rows]
    history = tmp_path / "history.jsonl"
    history.write_bytes(b"\n".join(payloads))
    topic = kafka.topic(3)
    kafka.send(topic, [(row["machine"].encode(), p) for row, p in zip(rows, payloads, strict=True)])
    remember(broker, "plant/+/telemetry")
    with broker.client() as person:
        person.say(
            (f"plant/{row['machine']}/telemetry", p) for row, p in zip(rows, payloads, strict=True)
        )
    sources = {
        "files": (f"files.jsonl({str(history)!r})", "--workers=2"),
        "mqtt": (f'mqtt.topic("plant/+/telemetry", port={broker.port}, client="parity")',),
        "kafka": (
            f'kafka.topic("{topic}", servers="{kafka.address}", key="machine")',
            "--workers=2",
        ),
    }
    runs = {name: start(tmp_path / name, *how) for name, how in sources.items()}
    try:
        flow = load_flow(str(tmp_path / "files" / "parity.py"))
        judged = flow.backtest(history, [("m1", rows[0]["at"], rows[-1]["at"])])
        expected = of_backtest(judged, tmp_path)
        assert len(expected[1]) > 50
        assert {step for _, _, step, _ in expected[1]} == {"alert", "trees_alert"}
        for name, run in runs.items():
            assert end(run, tmp_path / name, len(rows)) == expected, name
    finally:
        for run in runs.values():
            run.kill()
            run.wait()
