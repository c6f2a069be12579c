"""Rows through a sink that is down while the file DOWN exists; with QUEUE, behind a queue.

KIND: "once" is a file that rolls back and is given what is durable; "repeat" one that only grows.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from streamflow_connectors import files

from streamflow import Batch, DeadLetter, Event, Flow, Position, Sink, Writer, buffered, records
from streamflow.testing import Flaky


@dataclass(frozen=True)
class Growing(Sink):
    """A line for each row that came, durable at once, and never taken back."""

    def open(self, resume: Position) -> Writer:
        return _Growing()


class _Growing(Writer):
    def __init__(self) -> None:
        self._file = Path("out.jsonl").open("ab", buffering=0)  # noqa: SIM115 - for the run

    def write(self, items: Batch | Sequence[Event] | Sequence[DeadLetter]) -> None:
        self._file.write(b"".join(b'{"n": %d}\n' % row["n"] for row in records(items)))


target: Sink = Growing()
if os.environ["KIND"] == "once":
    target = replace(files.jsonl("out.jsonl", of="rows"), deliver="durable")
sink: Sink = Flaky(target, Path("down"), slow=float(os.environ.get("SLOW", "0")))
options: Any = {"max_bytes": int(os.environ.get("MAX_BYTES", 1 << 30))}
if "QUEUE" in os.environ:
    sink = buffered(sink, os.environ["QUEUE"], **options)

flow = (
    Flow("forward", sensors=["n"])
    | files.csv("in.csv", speed=os.environ.get("SPEED", "max"))
    | sink
)
