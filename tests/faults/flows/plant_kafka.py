"""The flow that is killed while it reads from Kafka and writes to it. Where is in the environment.

Each device's messages have its name as their key, so they are in one partition, in order.
"""

from __future__ import annotations

import os
import time
from typing import Any

from streamflow_connectors import files, kafka

from streamflow import Alert, Flow, Map, Reject, Validate, stage

PAUSE = float(os.environ.get("PAUSE", "0"))
"""Seconds that each reading takes longer."""


@stage(adds=["total", "count"], total=0.0, count=0)
def running(r: Any, memory: Any) -> dict[str, float]:
    memory.total += r["t"]
    memory.count += 1
    return {"total": memory.total, "count": memory.count}


@stage(adds="score", mean=20.0, spread=1.0)
def unusual(r: Any, memory: Any) -> dict[str, float]:
    off = r["t"] - memory.mean
    score = abs(off) / memory.spread
    memory.mean += 0.1 * off
    memory.spread = max(0.9 * memory.spread + 0.1 * abs(off), 0.1)
    return {"score": score}


def placed(r: Any) -> Reject | None:
    if PAUSE:
        time.sleep(PAUSE)
    return Reject("no site") if r.get("site") is None else None


servers = os.environ.get("SERVERS", "127.0.0.1:9092")
sink_servers = kafka.Servers(servers, config={"topic.metadata.propagation.max.ms": 500})
flow = (
    Flow("plant", device="machine", time="at", sensors=["t"], tags=["site"])
    | kafka.topic(
        os.environ.get("TOPIC", "telemetry"),
        servers=servers,
        group="plant",
        start=os.environ.get("START", "earliest"),
        lost=os.environ.get("LOST", "stop"),
        connections=int(os.environ.get("CONNECTIONS", "1")),
    )
    | Validate({"t": (-50, 150)})
    | Map(placed)
    | running
    | unusual
    | Alert("score > 4", hold="20s")
    | kafka.publish(os.environ.get("ALERTS", "alerts"), servers=sink_servers, of="alerts")
    | files.jsonl("dead.jsonl", of="dead_letters")
)
