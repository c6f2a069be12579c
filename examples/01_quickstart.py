"""Seven real machines, one detector each, alerts in a file.

Shows a whole flow: read a file, clean it, score each reading with a model that learns as it
goes, and write down when a score stays high. The data is the one that `streamflow demo` replays.

    streamflow check examples/01_quickstart.py
    streamflow replay examples/01_quickstart.py --page quickstart.html
    streamflow run examples/01_quickstart.py              # writes alerts.jsonl
"""

from pathlib import Path

import streamflow
from streamflow import Alert, AutoDetector, Detect, Flow, Impute, Sensor, Validate
from streamflow_connectors import files

FLEET = Path(streamflow.__file__).parent / "cli" / "demo_data" / "fleet.csv.gz"

flow = (
    Flow(
        "quickstart",
        device="machine",
        time="timestamp",
        sensors={"value": Sensor(low=-1e6, high=1e6)},
    )
    | files.csv(FLEET)
    | Validate()
    | Impute(hold="6h")
    | Detect("auto")
    | Alert(f"score > {AutoDetector.ALERT_LIMIT}", hold="6h")
    | files.jsonl("alerts.jsonl", of="alerts")
)
