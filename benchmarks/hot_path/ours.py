"""Our side: the same job as a flow, on Bytewax, all times parsed, recovery and metrics on.

The program comes first; what runs and measures it comes after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from time import perf_counter
from types import MappingProxyType
from typing import Any

import numpy as np
from river import anomaly, preprocessing

from benchmarks.hot_path.data import SENSORS, Workload
from benchmarks.hot_path.outcome import Meter, Outcome, Results
from streamflow import (
    Alert,
    Batch,
    Detect,
    Flow,
    Json,
    Messages,
    Reader,
    Sink,
    Source,
    Writer,
)
from streamflow.engine.job import Job
from streamflow.engine.supervisor import open_state, supervise
from streamflow.errors import EndOfStream

MODEL = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(
    n_trees=10, height=8, window_size=250, seed=7
)


def program(source: Source, scores: Sink, detect: Detect, alert: Alert) -> Flow:
    """The whole program; the stages come in metered."""
    fleet = Flow("hot_path", device="machine", time="timestamp", sensors=SENSORS)
    return fleet | source | detect | alert | scores


def run(
    work: Workload,
    steady: float = 0.0,
    workers: int = 1,
    alert: Mapping[str, Any] = MappingProxyType({"when": "score > 0.95"}),
) -> Outcome:
    """Run the program once, as `streamflow run --state DIR --metrics HOST:PORT` does."""
    meter = Meter(work, steady)
    scores: list[Batch] = []
    flow = program(
        Payloads(work, meter),
        Scores(scores, meter),
        MeteredDetect(MODEL, meter=meter),
        MeteredAlert(**alert, meter=meter),
    )
    with TemporaryDirectory() as state:
        job = Job(flow.checked())
        job.state = open_state(job.plan, state)
        supervise(job, workers=workers, metrics=("127.0.0.1", 0))
        job.state.release()
    return meter.outcome(_results(scores))


def _results(batches: list[Batch]) -> Results:
    scores: dict[str, list[float]] = {}
    alerts = set()
    for batch in batches:
        names = [batch.devices[code] for code in batch.device.tolist()]
        for name, score in zip(names, batch["score"].tolist(), strict=True):
            scores.setdefault(name, []).append(score)
        for i in np.flatnonzero(batch["alert"]).tolist():
            alerts.add((names[i], int(batch.time[i])))
    return Results(scores, alerts)


@dataclass(frozen=True)
class MeteredDetect(Detect):
    """`Detect`, with its cost counted."""

    meter: Any = field(default=None, compare=False, kw_only=True)

    def on_batch(self, batch: Batch, state: Any) -> Batch:
        """As in `Detect`."""
        counted: Batch = self.meter.timed("detect", super().on_batch)(batch, state)
        return counted


@dataclass(frozen=True)
class MeteredAlert(Alert):
    """`Alert`, with its cost counted."""

    meter: Any = field(default=None, compare=False, kw_only=True)

    def on_batch(self, batch: Batch, state: Any) -> Any:
        """As in `Alert`."""
        return self.meter.timed("alert", super().on_batch)(batch, state)


@dataclass(frozen=True)
class Payloads(Source):
    """Hands out the payloads from memory, a batch at a time, as often as the meter wants."""

    work: Workload = field(compare=False)
    meter: Meter = field(compare=False)

    @property
    def format(self) -> Any:
        """JSON, with its cost counted."""
        return _MeteredJson(self.meter)

    def open(self, partition: str, position: Any) -> Reader:
        """From the start."""
        return _PayloadReader(self.work, self.meter)


@dataclass(frozen=True)
class _MeteredJson:
    meter: Meter

    def decoder(self, schema: Any) -> Any:
        decoder: Any = Json().decoder(schema)
        decoder.decode = self.meter.timed("decode", decoder.decode)
        return decoder


class _PayloadReader(Reader):
    def __init__(self, work: Workload, meter: Meter) -> None:
        self._work, self._meter, self._at = work, meter, 0
        self._due = perf_counter()

    def poll(self, limit: int) -> Messages | None:
        if perf_counter() < self._due:
            return None
        if not self._meter.more():
            raise EndOfStream("all payloads have been handed out")
        if self._at == len(self._work.messages) and self._meter.first:
            return None  # what comes again must not be taken for what comes first
        self._due += self._work.pause
        at = self._at % len(self._work.messages)
        payloads = self._work.messages[at : at + min(limit, self._work.batch)]
        self._at += len(payloads)
        self._meter.taken(len(payloads))
        return Messages(payloads, range(self._at - len(payloads), self._at))

    def next_poll(self) -> float:
        return max(self._due - perf_counter(), 0.0)

    def position(self) -> int:
        return self._at


@dataclass(frozen=True)
class Scores(Sink):
    """Keeps the scored readings, for the comparison of the two sides."""

    batches: list[Batch] = field(compare=False)
    meter: Meter = field(compare=False)

    def open(self, resume: Any) -> Writer:
        """Start keeping."""
        return _ScoreWriter(self.batches, self.meter)


class _ScoreWriter(Writer):
    def __init__(self, batches: list[Batch], meter: Meter) -> None:
        self._batches, self._meter = batches, meter

    def write(self, items: Batch | Sequence[Any]) -> None:
        assert isinstance(items, Batch)
        if self._meter.first:
            self._batches.append(items)
        self._meter.arrived(len(items))
