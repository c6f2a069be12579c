"""A stage that takes a minute for each batch."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from streamflow import Batch, Flow, Stage
from streamflow.core.state import State
from streamflow.engine.rows import Rows


@dataclass(frozen=True)
class Sleep(Stage):
    def on_batch(self, batch: Batch, state: State) -> Batch:
        print("asleep", file=sys.stderr)
        time.sleep(60)
        return batch


flow = Flow("slow", sensors=["t"]) | Rows([{"device": "a", "time": 0, "t": 1.0}]) | Sleep()
