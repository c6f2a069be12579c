"""Sends the file of 01_quickstart.py to Kafka or to MQTT, a JSON object for each reading.

python examples/servers/fill.py kafka telemetry       # keyed by machine
python examples/servers/fill.py mqtt telemetry        # to telemetry/MACHINE, with QoS 1
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import streamflow

FLEET = Path(streamflow.__file__).parent / "cli" / "demo_data" / "fleet.csv.gz"
PATIENCE = 60
"""Seconds in which a server has to confirm what it was sent."""
MOST = 10_000
"""Messages that wait to be confirmed; the client takes 65,535."""

Row = dict[str, Any]


def readings() -> Iterator[Row]:
    """What the file holds."""
    with gzip.open(FLEET, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield {**row, "value": float(row["value"]) if row["value"] else None}


def to_kafka(topic: str, servers: str, rows: Iterable[Row]) -> int:
    """Send readings; the number of messages that the servers have confirmed."""
    from confluent_kafka import Producer

    sent = 0
    failed: list[object] = []

    def confirmed(error: object, _: object) -> None:
        nonlocal sent
        sent += error is None
        failed.extend([error] if error else [])

    producer = Producer({"bootstrap.servers": servers, "linger.ms": 50, "batch.size": 100_000})
    for row in rows:
        producer.produce(topic, json.dumps(row), row["machine"], on_delivery=confirmed)
        producer.poll(0)
    producer.flush(PATIENCE)
    if failed:
        raise SystemExit(f"{servers} did not take all: {failed[0]}")
    return sent


def to_mqtt(topic: str, server: str, rows: Iterable[Row]) -> int:
    """Send readings; the number of messages that the broker has confirmed."""
    from paho.mqtt.client import CallbackAPIVersion, Client

    host, _, port = server.partition(":")
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect(host, int(port or 1883))
    client.loop_start()
    told: list[Any] = []
    for row in rows:
        told.append(client.publish(f"{topic}/{row['machine']}", json.dumps(row), 1))
        if len(told) > MOST:
            told[-MOST].wait_for_publish(PATIENCE)
    for one in told:
        one.wait_for_publish(PATIENCE)
    client.disconnect()
    client.loop_stop()
    return sum(one.is_published() for one in told)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Send real readings to a server.")
    parser.add_argument("kind", choices=("kafka", "mqtt"))
    parser.add_argument("topic")
    parser.add_argument("--servers", help="HOST:PORT; default: this machine")
    options = parser.parse_args()
    send = to_kafka if options.kind == "kafka" else to_mqtt
    where = options.servers or f"127.0.0.1:{9092 if options.kind == 'kafka' else 1883}"
    print(f"{send(options.topic, where, readings()):,} messages were taken by {where}")
