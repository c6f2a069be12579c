"""The flow on a broker: what it gives depends on all that came before."""

from __future__ import annotations

import os
import signal
from typing import Any

from streamflow_connectors import _mqtt_inbox, files, mqtt

from streamflow import Alert, Flow, Sink, buffered, stage


@stage(adds=["total", "count"], total=0.0, count=0)
def running(r: Any, memory: Any) -> dict[str, float]:
    memory.total += r["t"]
    memory.count += 1
    return {"total": memory.total, "count": memory.count}


if os.environ.get("UNACKNOWLEDGED"):
    # It dies where the state that holds its messages is durable, and they are not acknowledged.
    class Dying(_mqtt_inbox.TopicReader):
        def committed(self, position: Any) -> None:
            if position and position["received"]:
                os.kill(os.getpid(), signal.SIGKILL)
            super().committed(position)

    _mqtt_inbox.TopicReader = Dying  # type: ignore[misc]

port = int(os.environ.get("PORT", "1883"))
out = int(os.environ.get("OUT_PORT", port))
alerts: Sink = mqtt.publish("alerts/{device}", of="alerts", port=out, keepalive="2s")
if "QUEUE" in os.environ:
    alerts = buffered(alerts, os.environ["QUEUE"])
flow = (
    Flow("broker", sensors=["t"], tags=["site"])
    | mqtt.topic(
        "plant/{site}/{device}/telemetry",
        port=port,
        client="flow",
        ca=os.environ.get("CA"),
        certificate=os.environ.get("CERTIFICATE"),
        key=os.environ.get("KEY"),
        keepalive=os.environ.get("KEEPALIVE", "30s"),
        receive_maximum=int(os.environ.get("RECEIVE_MAXIMUM", "2000")),
    )
    | running
    | Alert("t > 95")
    | files.jsonl("rows.jsonl", of="rows")
    | files.jsonl("alerts.jsonl", of="alerts")
    | files.jsonl("dead.jsonl", of="dead_letters")
    | alerts
)
