"""A stage of your own: a plain function of one reading.

Shows memory per device, a column of your own, and how a reading is set aside with a reason. The
function is called reading by reading, and the engine keeps what it remembers: it is saved,
restored and forgotten with everything else.

    streamflow run examples/02_own_stage.py               # writes rises.jsonl, repeated.jsonl
"""

from pathlib import Path

import streamflow
from streamflow import Alert, Flow, Reject, stage
from streamflow_connectors import files

FLEET = Path(streamflow.__file__).parent / "cli" / "demo_data" / "fleet.csv.gz"
HOUR = 3600e9


@stage(adds="rise", last=float("nan"), at=-1)
def rise(r, memory):
    """The change of the value per hour since the device's reading before."""
    last, at = memory.last, memory.at
    memory.last, memory.at = r["value"], r.time
    if r.time == at:
        return Reject("the time of the reading before")
    return {"rise": (r["value"] - last) / ((r.time - at) / HOUR)}


flow = (
    Flow("rises", device="machine", time="timestamp", sensors=["value"])
    | files.csv(FLEET)
    | rise
    | Alert('device == "machine_temperature" and rise > 100', hold="1h")
    | files.jsonl("rises.jsonl", of="alerts")
    | files.jsonl("repeated.jsonl", of="rejected")
)
