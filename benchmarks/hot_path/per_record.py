"""The baseline: the Bytewax and River program that a user would write today.

The program comes first; what runs and measures it comes after. Choices that favour it: orjson;
`stateful_batch`, which unlike `stateful_map` does not deep-copy a touched model at every epoch; no
recovery, and a snapshot that costs nothing; payloads decoded and keyed in one call per source
batch; the time of a reading is parsed only if it raises an alert.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.run import cli_main
from river import anomaly, preprocessing

from benchmarks.hot_path.data import SENSORS, Workload
from benchmarks.hot_path.outcome import Meter, Outcome, Results

Scored = tuple[str, float]
"""Timestamp as sent, score."""


def decode(payloads: list[bytes]) -> list[tuple[str, dict[str, Any]]]:
    """Payloads -> (device, message)."""
    messages = map(orjson.loads, payloads)
    return [(message["machine"], message) for message in messages]


class Detect(StatefulBatchLogic[dict[str, Any], Scored, None]):
    """The model of one device: scores a reading, then learns it."""

    def __init__(self) -> None:
        self.model = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(
            n_trees=10, height=8, window_size=250, seed=7
        )

    def on_batch(self, values: list[dict[str, Any]]) -> tuple[list[Scored], bool]:
        """Score and learn each message of a batch."""
        scored = []
        for message in values:
            x = {sensor: message[sensor] for sensor in SENSORS}
            score = self.model.score_one(x)
            self.model.learn_one(x)
            scored.append((message["timestamp"], score))
        return scored, StatefulBatchLogic.RETAIN

    def snapshot(self) -> None:
        """Nothing: the program runs without recovery."""


def alert(scored: list[tuple[str, Scored]]) -> list[tuple[str, datetime]]:
    """Scored readings -> (device, time) of those above the threshold."""
    return [
        (device, datetime.fromisoformat(timestamp))
        for device, (timestamp, score) in scored
        if score > 0.95
    ]


def dataflow(source: Source, scores: ScoreSink, alerts: AlertSink, meter: Meter) -> Dataflow:
    """The whole program; the meter counts what each step costs."""
    flow = Dataflow("hot_path")
    payloads = op.input("payloads", flow, source)
    messages = op.flat_map_batch("decode", payloads, meter.timed("decode", decode))
    scored = op.stateful_batch("detect", messages, lambda _: MeteredDetect(meter))
    alerting = op.flat_map_batch("alert", scored, meter.timed("alert", alert))
    op.output("alerts", alerting, alerts)
    op.output("scores", scored, scores)
    return flow


class MeteredDetect(Detect):
    """`Detect`, with its cost counted."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._on_batch = meter.timed("detect", super().on_batch)

    def on_batch(self, values: list[dict[str, Any]]) -> tuple[list[Scored], bool]:
        """As in `Detect`."""
        return self._on_batch(values)


class Source(DynamicSource[bytes], StatelessSourcePartition[bytes]):
    """Hands out the payloads from memory, a batch at a time."""

    def __init__(self, work: Workload, meter: Meter) -> None:
        self._work = work
        self._meter = meter
        self._at = 0
        self._due = datetime.now(UTC)

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Source:
        """The one partition of the one worker."""
        return self

    def next_awake(self) -> datetime | None:
        """When the next payloads are there."""
        return self._due if self._work.pause else None

    def next_batch(self) -> list[bytes]:
        """The next payloads."""
        self._due += timedelta(seconds=self._work.pause)
        batch = self._work.messages[self._at : self._at + self._work.batch]
        if not batch:
            raise StopIteration
        self._at += len(batch)
        self._meter.taken(len(batch))
        return batch


class ScoreSink(DynamicSink[tuple[str, Scored]], StatelessSinkPartition[tuple[str, Scored]]):
    """Keeps the scores of each device, for the comparison of the two sides."""

    def __init__(self, meter: Meter) -> None:
        self.scores: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))
        self._meter = meter

    def build(self, step_id: str, worker_index: int, worker_count: int) -> ScoreSink:
        """The one partition of the one worker."""
        return self

    def write_batch(self, items: list[tuple[str, Scored]]) -> None:
        """Keep the scores."""
        for device, (_, score) in items:
            self.scores[device].append(score)
        self._meter.arrived(len(items))


class AlertSink(DynamicSink[tuple[str, datetime]], StatelessSinkPartition[tuple[str, datetime]]):
    """Keeps the alerts."""

    def __init__(self) -> None:
        self.alerts: list[tuple[str, datetime]] = []

    def build(self, step_id: str, worker_index: int, worker_count: int) -> AlertSink:
        """The one partition of the one worker."""
        return self

    def write_batch(self, items: list[tuple[str, datetime]]) -> None:
        """Keep the alerts."""
        self.alerts.extend(items)


def run(work: Workload) -> Outcome:
    """Run the program once, on one worker, as ``python -m bytewax.run`` would."""
    meter = Meter(work)
    scores, alerts = ScoreSink(meter), AlertSink()
    cli_main(dataflow(Source(work, meter), scores, alerts, meter))
    return meter.outcome(
        Results(
            scores={device: list(values) for device, values in scores.scores.items()},
            alerts={(device, _nanoseconds(time)) for device, time in alerts.alerts},
        )
    )


def _nanoseconds(time: datetime) -> int:
    since = time - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(microseconds=1) * 1000
