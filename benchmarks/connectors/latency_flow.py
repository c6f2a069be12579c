"""The flow that is timed: every tenth reading of a machine opens an alert. Where is in SYSTEM."""

from __future__ import annotations

import os

from streamflow_connectors import kafka, mqtt

from streamflow import Alert, Detect, Flow, Sink, Source, Validate, ValueNovelty

system, _, at = os.environ.get("SYSTEM", "mqtt:1883").partition(":")
source: Source
sink: Sink
if system == "mqtt":
    source = mqtt.topic("telemetry/{machine}", port=int(at), client="latency")
    sink = mqtt.publish("alerts", port=int(at), of="alerts")
else:
    source = kafka.topic("telemetry", servers=at, key="machine", start="latest")
    sink = kafka.publish("alerts", servers=at, of="alerts")

flow = (
    Flow("latency", device="machine", time="at", sensors=["value"])
    | source
    | Validate()
    | Detect(ValueNovelty())
    | Alert("value > 90")
    | sink
)
