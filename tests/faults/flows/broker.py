"""The flow on a broker: what it gives depends on all that came before."""

from __future__ import annotations

import os
from typing import Any

from streamflow_connectors import files, mqtt

from streamflow import Alert, Flow, stage


@stage(adds=["total", "count"], total=0.0, count=0)
def running(r: Any, memory: Any) -> dict[str, float]:
    memory.total += r["t"]
    memory.count += 1
    return {"total": memory.total, "count": memory.count}


port = int(os.environ.get("PORT", "1883"))
flow = (
    Flow("broker", sensors=["t"], tags=["site"])
    | mqtt.topic(
        "plant/{site}/{device}/telemetry",
        port=port,
        client="flow",
        keepalive=os.environ.get("KEEPALIVE", "30s"),
        receive_maximum=int(os.environ.get("RECEIVE_MAXIMUM", "2000")),
    )
    | running
    | Alert("t > 95")
    | files.jsonl("rows.jsonl", of="rows")
    | files.jsonl("alerts.jsonl", of="alerts")
    | files.jsonl("dead.jsonl", of="dead_letters")
    | mqtt.publish(
        "alerts/{device}", of="alerts", port=int(os.environ.get("OUT_PORT", port)), keepalive="2s"
    )
)
