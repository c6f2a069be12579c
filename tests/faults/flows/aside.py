"""A flow that sets readings and messages aside; with MENDED it takes all of them."""

from __future__ import annotations

import os
from typing import Any

from streamflow_connectors import files

from streamflow import Flow, Reject, Validate, stage


@stage(adds="total", total=0.0)
def only_even(r: Any, memory: Any) -> Any:
    if "MENDED" not in os.environ and r["n"] % 2:
        return Reject("it is odd")
    memory.total += r["n"]
    return {"total": memory.total}


flow = (
    Flow("aside", sensors=["n"], time_format=os.environ.get("FORM"))
    | files.csv("in.csv", speed=os.environ.get("SPEED", "max"))
    | Validate()
    | only_even
    | files.jsonl("rows.jsonl", of="rows")
)
