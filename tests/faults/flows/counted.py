"""Two partitions that count, and a sink that waits: each says what was durable when it was told.

COUNT readings come from each partition. With FAIL_AT the flow's own code fails at that number.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamflow import (
    Batch,
    DeadLetter,
    Event,
    Flow,
    Json,
    Messages,
    Position,
    Reader,
    Sink,
    Source,
    Stage,
    Writer,
)
from streamflow.core.state import State
from streamflow.errors import EndOfStream

COUNT = int(os.environ["COUNT"])
FAIL_AT = int(os.environ.get("FAIL_AT", COUNT))


class Observer:
    """Asks observer.py, and writes down what it says."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def ask(self) -> dict[str, Any]:
        with self._lock:
            if self._process is None:
                command = [sys.executable, str(Path(__file__).parents[1] / "observer.py"), "state"]
                pipe = subprocess.PIPE
                self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write("\n")
            self._process.stdin.flush()
            return dict(json.loads(self._process.stdout.readline()))

    def note(self, name: str, *entries: dict[str, Any]) -> None:
        with self._lock, open(name, "ab", buffering=0) as file:
            file.write("".join(json.dumps(entry) + "\n" for entry in entries).encode())


OBSERVER = Observer()


@dataclass(frozen=True)
class Numbers(Source):
    """0, 1, 2, ... in each partition."""

    @property
    def format(self) -> Json:
        return Json()

    def partitions(self) -> Sequence[str]:
        return ["a", "b"]

    def open(self, partition: str, position: Position) -> Reader:
        return _Counting(partition, position or 0)


class _Counting(Reader):
    """One number, then nothing for now: so that an epoch holds few, and there are many."""

    def __init__(self, partition: str, position: int) -> None:
        self._partition, self._next = partition, position
        self._given = False
        OBSERVER.note("hook.jsonl", {"partition": partition, "opened": position})

    def poll(self, limit: int) -> Messages | None:
        if self._next == COUNT:
            raise EndOfStream("counted")
        self._given = not self._given
        if not self._given:
            return None
        n, self._next = self._next, self._next + 1
        payload = json.dumps({"device": self._partition, "time": n, "n": n}).encode()
        return Messages([payload], [n], arrived=n)

    def position(self) -> int:
        return self._next

    def committed(self, position: Position) -> None:
        told = {"partition": self._partition, "committed": position}
        OBSERVER.note("hook.jsonl", told | OBSERVER.ask())


@dataclass(frozen=True)
class Fails(Stage):
    def on_batch(self, batch: Batch, state: State) -> Batch:
        if batch["n"].max() >= FAIL_AT:
            raise ArithmeticError("as it was told to")
        return batch


@dataclass(frozen=True)
class Shown(Sink):
    """What it is given can be seen at once, and cannot be taken back."""

    def open(self, resume: Position) -> Writer:
        return _Showing()


class _Showing(Writer):
    def write(self, items: Batch | Sequence[Event] | Sequence[DeadLetter]) -> None:
        assert isinstance(items, Batch)
        seen = OBSERVER.ask()
        shown = [{"partition": row["device"], "n": int(row["n"])} | seen for row in items.rows()]
        OBSERVER.note("shown.jsonl", *shown)


flow = Flow("counted", sensors=["n"], shards=2) | Numbers() | Fails() | Shown(deliver="durable")
