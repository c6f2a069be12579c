"""A flow whose steps are renamed, removed and changed, as NAME, ALERT and WARM_UP say.

Without WARM_UP it has no estimator: River takes seconds to be imported.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from streamflow_connectors import files

from streamflow import Alert, Flow, Impute, stage


@stage(adds=["total", "count"], total=0.0, count=0)
def running(r: Any, memory: Any) -> dict[str, float]:
    memory.total += r["t"] if r["t"] == r["t"] else 0.0
    memory.count += 1
    return {"total": memory.total, "count": memory.count}


flow = (
    Flow("steps", device="machine", time="at", sensors=["t", "p"], tags=["site"])
    | files.csv("in.csv", speed=os.environ.get("SPEED", "max"))
    | Impute(hold="1m")
    | replace(running, name=os.environ.get("NAME", "running"))
)
if "WARM_UP" in os.environ:
    from streamflow import Detect, ValueNovelty

    flow |= Detect(ValueNovelty(warm_up=int(os.environ["WARM_UP"])))
if os.environ.get("ALERT") != "none":
    flow |= Alert("t > 30", hold="20s")
