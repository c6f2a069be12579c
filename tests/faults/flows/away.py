"""Two partitions: one counts for ever, the other is away and asks to be left alone for a minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from streamflow_connectors import files

from streamflow import Flow, Json, Messages, Position, Reader, Source
from streamflow.errors import Backoff


@dataclass(frozen=True)
class Half(Source):
    @property
    def format(self) -> Json:
        return Json()

    def partitions(self) -> Sequence[str]:
        return ["there", "away"]

    def open(self, partition: str, position: Position) -> Reader:
        return _There(position or 0) if partition == "there" else _Away()


class _There(Reader):
    def __init__(self, position: int) -> None:
        self._next = position

    def poll(self, limit: int) -> Messages:
        n, self._next = self._next, self._next + 1
        return Messages([b'{"device": "a", "time": %d, "t": 1.0}' % n], [n], arrived=n)

    def position(self) -> int:
        return self._next


class _Away(Reader):
    def poll(self, limit: int) -> None:
        with Path("asked").open("a") as file:
            file.write("x")
        raise Backoff(60)

    def position(self) -> None:
        return None


flow = Flow("away", sensors=["t"]) | Half() | files.jsonl("rows.jsonl", of="rows")
