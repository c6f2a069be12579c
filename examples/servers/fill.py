"""Sends the file of 01_quickstart.py to a topic of Kafka: a JSON object a line, keyed by machine.

python examples/servers/fill.py telemetry --servers 127.0.0.1:9092
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
from pathlib import Path

import streamflow
from confluent_kafka import Producer

FLEET = Path(streamflow.__file__).parent / "cli" / "demo_data" / "fleet.csv.gz"


def fill(topic: str, servers: str) -> int:
    """Send it; the number of messages that the servers have confirmed."""
    sent = 0
    failed: list[object] = []

    def confirmed(error: object, _: object) -> None:
        nonlocal sent
        sent += error is None
        failed.extend([error] if error else [])

    producer = Producer({"bootstrap.servers": servers, "linger.ms": 50, "batch.size": 100_000})
    with gzip.open(FLEET, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            message = {**row, "value": float(row["value"]) if row["value"] else None}
            producer.produce(topic, json.dumps(message), row["machine"], on_delivery=confirmed)
            producer.poll(0)
    producer.flush(60)
    if failed:
        raise SystemExit(f"{servers} did not take all: {failed[0]}")
    return sent


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Send real readings to a topic of Kafka.")
    parser.add_argument("topic")
    parser.add_argument("--servers", default="127.0.0.1:9092")
    options = parser.parse_args()
    print(f"{fill(options.topic, options.servers):,} messages are in {options.topic}")
