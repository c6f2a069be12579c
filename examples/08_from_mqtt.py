"""The flow of 01_quickstart.py on topics of MQTT: one line differs.

With Docker, `docker compose --file examples/servers/compose.yaml up`; without it,
`python examples/servers/both.py`. Then

    streamflow check examples/08_from_mqtt.py --connect
    streamflow run examples/08_from_mqtt.py --state state/mqtt     # Ctrl-C ends it

and, while it runs, in another shell,

    python examples/servers/fill.py mqtt telemetry                # sends the file of 01

It writes the same alerts.jsonl. From its first start on the broker keeps what comes while the flow
is down.
"""

from streamflow import Alert, AutoDetector, Detect, Flow, Impute, Sensor, Validate
from streamflow_connectors import files, mqtt

flow = (
    Flow(
        "quickstart",
        device="machine",
        time="timestamp",
        sensors={"value": Sensor(low=-1e6, high=1e6)},
    )
    | mqtt.topic("telemetry/{machine}", host="127.0.0.1", client="quickstart")
    | Validate()
    | Impute(hold="6h")
    | Detect("auto")
    | Alert(f"score > {AutoDetector.ALERT_LIMIT}", hold="6h")
    | files.jsonl("alerts.jsonl", of="alerts")
)
