"""The flow of 01_quickstart.py on a topic of Kafka: one line differs.

With Docker, `docker compose --file examples/servers/compose.yaml up`; without it,
`python examples/servers/both.py`. Then

    python examples/servers/fill.py kafka telemetry       # sends the file of 01 to the topic
    streamflow check examples/07_from_kafka.py --connect
    streamflow run examples/07_from_kafka.py --state state/kafka     # Ctrl-C ends it

It writes the same alerts.jsonl.
"""

from streamflow import Alert, AutoDetector, Detect, Flow, Impute, Sensor, Validate
from streamflow_connectors import files, kafka

flow = (
    Flow(
        "quickstart",
        device="machine",
        time="timestamp",
        sensors={"value": Sensor(low=-1e6, high=1e6)},
    )
    | kafka.topic("telemetry", servers="127.0.0.1:9092", group="quickstart", key="machine")
    | Validate()
    | Impute(hold="6h")
    | Detect("auto")
    | Alert(f"score > {AutoDetector.ALERT_LIMIT}", hold="6h")
    | files.jsonl("alerts.jsonl", of="alerts")
)
