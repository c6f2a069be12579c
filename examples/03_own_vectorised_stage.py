"""The stage of 02_own_stage.py again, on whole columns: a class, for stages that many will use.

A batch holds readings of many devices in the order in which they arrived. `batch.groups` sorts
them by device; `state["last"]` is an array over all devices. Wherever a batch happens to end, the
outcome must be the same: `streamflow.testing.check_laws` checks that, and the other laws.

    streamflow run examples/03_own_vectorised_stage.py    # writes rises.jsonl, repeated.jsonl
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import streamflow
from streamflow import Alert, Flow, Memory, Stage
from streamflow_connectors import files

FLEET = Path(streamflow.__file__).parent / "cli" / "demo_data" / "fleet.csv.gz"
HOUR = 3600e9


@dataclass(frozen=True)
class Rise(Stage):
    """Add the change of a column per hour since the device's reading before."""

    of: str

    adds = ("rise",)
    memory = Memory({"last": float("nan"), "at": -1})

    @property
    def uses(self):
        """The columns that it reads, for `streamflow check`."""
        return (self.of,)

    def bind(self, schema):
        """Check the column."""
        schema.require(self.step, "of", [self.of])
        return self

    def on_batch(self, batch, state):
        """Put each reading beside the one before it: of the batch, or of the state."""
        order, start, device = batch.groups
        value, time = batch[self.of][order], batch.time[order]
        last, at = np.roll(value, 1), np.roll(time, 1)
        last[start[:-1]], at[start[:-1]] = state["last"][device], state["at"][device]
        end = start[1:] - 1
        state["last"][device], state["at"][device] = value[end], time[end]
        rise, repeated = np.empty(len(batch)), np.empty(len(batch), bool)
        repeated[order] = time == at
        with np.errstate(all="ignore"):
            rise[order] = (value - last) / ((time - at) / HOUR)
        return batch.with_columns({"rise": rise}).reject(repeated, "the time of the reading before")


flow = (
    Flow("rises", device="machine", time="timestamp", sensors=["value"])
    | files.csv(FLEET)
    | Rise("value")
    | Alert('device == "machine_temperature" and rise > 100', hold="1h")
    | files.jsonl("rises.jsonl", of="alerts")
    | files.jsonl("repeated.jsonl", of="rejected")
)
