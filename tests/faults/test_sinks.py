"""The file sinks keep the contract of sinks, and a sink that breaks a rule of it is caught."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from streamflow_connectors import files

from streamflow import Batch, DeadLetter, Event, Outlet, Position, Sink, Writer, buffered
from streamflow.core.connect import OUTLETS
from streamflow.engine.frozen import thaw
from streamflow.engine.queue import Queue
from streamflow.testing import check_sink, sinks
from streamflow.testing.sinks import _items as items_of
from streamflow.testing.sinks import _names as names_of


def tearing(path: Path) -> Callable[[], None]:
    def tear() -> None:
        with path.open("a") as file:
            file.write('{"device":"torn')

    return tear


@pytest.mark.parametrize("of", OUTLETS)
def test_jsonl(of: Outlet, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"

    def there() -> list[str]:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        return [row["payload" if of == "dead_letters" else "device"] for row in rows]

    check_sink(lambda: files.jsonl(path, of=of), there, tear=tearing(path))


@pytest.mark.parametrize("of", OUTLETS)
def test_csv(of: Outlet, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"

    def there() -> list[str]:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        return [row["payload" if of == "dead_letters" else "device"] for row in rows]

    check_sink(lambda: files.csv(path, of=of), there, tear=tearing(path))


def test_buffered(tmp_path: Path) -> None:
    path, queue = tmp_path / "out.jsonl", tmp_path / "queue"

    def there() -> list[str]:
        """What has arrived, and what is certain to."""
        out = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        waiting = Queue(queue)
        items = [item for held in waiting.oldest(10**6, 10**9) for item in thaw(held.data)]
        waiting.close()
        return [row["device"] for row in out] + [item.device for item in items]  # type: ignore[union-attr]

    check_sink(lambda: buffered(files.jsonl(path, of="alerts"), queue), there)


@pytest.mark.parametrize("make", [files.csv, files.jsonl])
def test_a_snapshot_of_a_file_waits_for_the_disk(
    make: Callable[..., Sink], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def watched(file: int) -> None:
        fsync(file)
        synced.append(os.fstat(file).st_size)

    monkeypatch.setattr(os, "fsync", watched)
    writer = make(tmp_path / "out", of="rows").open(None)
    writer.write(items_of("rows", ["item"]))
    assert writer.snapshot() == synced[-1] == (tmp_path / "out").stat().st_size > 0
    writer.close()


@dataclass(frozen=True)
class Lines(Sink):
    """One name a line: keeps every rule, unless `broken` says which not."""

    path: Path
    kind: str = "once"
    broken: str = ""

    @property
    def promise(self) -> str:
        return self.kind

    def open(self, resume: Position) -> Writer:
        return _Lines(self, resume)


class _Lines(Writer):
    def __init__(self, sink: Lines, resume: Position) -> None:
        self._sink, self._lost = sink, resume is not None and sink.broken == "lossy"
        self._waiting: list[str] = []
        before = sink.path.read_text() if sink.path.exists() else ""
        sink.path.write_text(self._kept(before, resume))
        self._file = sink.path.open("a")
        self._known = set(before.split()) if sink.kind == "upsert" else set()

    def _kept(self, before: str, resume: Position) -> str:
        """What stays of what was there before."""
        kind, broken = self._sink.kind, self._sink.broken
        if resume is None:
            return "" if kind == "once" and broken != "fresh" else before
        if broken == "resume" or (broken == "crash" and len(before) > resume):
            return ""
        if kind != "once" or broken == "roll back":
            return before
        torn = before.rpartition("\n")[2] if broken == "torn" else ""
        return before[:resume] + torn

    def write(self, items: Batch | Sequence[Event] | Sequence[DeadLetter]) -> None:
        names = names_of(items)
        if self._sink.broken == "empty":
            names[0]
        if self._sink.broken == "order":
            names = names[::-1]
        if self._sink.broken != "upsert":
            names = [name for name in names if name not in self._known]
        self._waiting += names[self._lost :]
        if self._sink.broken not in ("durable", "write"):
            self._flush()

    def snapshot(self) -> Position:
        size = self._sink.path.stat().st_size
        return Path(str(size)) if self._sink.broken == "plain" else size

    def close(self) -> None:
        if self._sink.broken != "write":
            self._flush()
        self._file.close()

    def _flush(self) -> None:
        self._file.write("".join(f"{name}\n" for name in self._waiting))
        self._file.flush()
        self._waiting = []


def check_lines(path: Path, kind: str, broken: str) -> None:
    def tear() -> None:
        if kind == "once":
            with path.open("a") as file:
                file.write("ite")

    check_sink(lambda: Lines(path, kind, broken), lambda: path.read_text().split(), tear=tear)


@pytest.mark.parametrize("kind", ["once", "upsert", "repeat"])
def test_each_promise_can_be_kept(kind: str, tmp_path: Path) -> None:
    check_lines(tmp_path / "lines", kind, "")


@pytest.mark.parametrize(
    ("kind", "broken", "rule"),
    [
        ("once", "write", sinks.KEPT),
        ("once", "order", sinks.KEPT),
        ("once", "durable", sinks.DURABLE),
        ("once", "plain", sinks.PLAIN),
        ("once", "resume", sinks.RESUMED),
        ("once", "roll back", sinks.ROLLED_BACK),
        ("once", "torn", sinks.ROLLED_BACK),
        ("upsert", "upsert", sinks.UPSERTED),
        ("repeat", "lossy", sinks.RESUMED),
        ("repeat", "crash", sinks.REPEATED),
        ("once", "fresh", sinks.FRESH),
        ("once", "empty", sinks.EMPTY),
    ],
)
def test_who_breaks_a_rule_is_caught(kind: str, broken: str, rule: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as error:
        check_lines(tmp_path / "lines", kind, broken)
    assert str(error.value).startswith(rule)


def test_a_sink_cannot_promise_what_is_no_promise(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="promise='twice'"):
        check_lines(tmp_path / "lines", "twice", "")
