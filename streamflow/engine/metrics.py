"""Metrics: every name, and where its value comes from. Read when scraped; nothing is pushed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.engine.aside import LettersWriter
from streamflow.engine.buffer import BufferedWriter
from streamflow.engine.job import Job
from streamflow.engine.shard import Shard

Sample = tuple[tuple[str, ...], float]


@dataclass(frozen=True)
class Name:
    """A metric: its name, what it counts, and its labels beside flow and worker or process."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...] = ()
    whole: bool = False
    """True for what belongs to a process as a whole and not to one of its workers."""

    @property
    def exposed(self) -> str:
        """The name as Prometheus shows it."""
        return f"{self.name}_total" if self.kind == "counter" else self.name

    @property
    def all_labels(self) -> tuple[str, ...]:
        """Its labels: `worker` is process.thread."""
        return ("flow", "process" if self.whole else "worker", *self.labels)


def _balance(field: str) -> Callable[[Shard], list[Sample]]:
    return lambda shard: [((), getattr(shard.balance, field))]


@cache
def _object_bytes(stage: Stage) -> int:
    """One device's object, as the stage estimates it: the live one belongs to its worker."""
    return stage.bytes_per_device - stage.memory.bytes_per_device


def _bytes(stage: Stage, state: State) -> int:
    return state.bytes() + (len(state.objects) * _object_bytes(stage) if state.objects else 0)


COUNTED: dict[Name, Callable[[Shard], list[Sample]]] = {
    Name("streamflow_messages_received", "counter", "Messages received"): _balance("received"),
    Name("streamflow_messages_decoded", "counter", "Messages decoded"): _balance("decoded"),
    Name("streamflow_messages_dead", "counter", "Messages that became dead letters"): _balance(
        "dead"
    ),
    Name("streamflow_readings_in", "counter", "Readings decoded"): _balance("readings"),
    Name("streamflow_readings_created", "counter", "Readings made by stages"): _balance("created"),
    Name("streamflow_readings_merged", "counter", "Readings merged by stages"): _balance("merged"),
    Name(
        "streamflow_readings_redelivered",
        "counter",
        "Readings that came again",
    ): _balance("redelivered"),
    Name("streamflow_readings_out", "counter", "Readings past the last stage"): _balance("out"),
    Name("streamflow_readings_held", "gauge", "Readings held back by stages"): _balance("held"),
    Name(
        "streamflow_readings_rejected", "counter", "Readings set aside", ("step", "reason")
    ): lambda shard: [(key, n) for key, n in list(shard.balance.rejected.items())],
    Name(
        "streamflow_values_flagged", "counter", "Values with a quality flag", ("sensor", "flag")
    ): lambda shard: [(key, n) for key, n in list(shard.balance.flagged.items())],
    Name("streamflow_stage_seconds", "counter", "Seconds spent in a stage", ("step",)): (
        lambda shard: [((step,), ns / 1e9) for step, ns in shard.spent.items()]
    ),
    Name("streamflow_devices", "gauge", "Devices with state"): (
        lambda shard: [((), len(shard.index))]
    ),
    Name("streamflow_state_bytes", "gauge", "Bytes of state, models by estimate", ("step",)): (
        lambda shard: [
            ((stage.step,), _bytes(stage, shard.states[stage.step])) for stage in shard.plan.stages
        ]
    ),
}
"""Summed over the shards of each worker."""

EPOCHS = Name(
    "streamflow_epochs",
    "counter",
    "Snapshots known to be durable, of all source partitions",
    whole=True,
)
CONNECTOR = Name(
    "streamflow_connector",
    "gauge",
    "What a source's partition or a sink counts; its page says what",
    ("step", "partition", "what"),
    whole=True,
)
COMMIT_AGE = Name(
    "streamflow_commit_age_seconds",
    "gauge",
    "Seconds since an epoch was last known to be durable",
    whole=True,
)
LAG = Name(
    "streamflow_watermark_lag_seconds",
    "gauge",
    "Seconds from the newest event time to the clock",
    whole=True,
)
ARRIVAL = Name(
    "streamflow_arrival_to_output_seconds",
    "histogram",
    "Seconds from poll to output, each batch",
    whole=True,
)
COMMIT = Name(
    "streamflow_epoch_commit_seconds",
    "histogram",
    "Seconds from a snapshot until it is durable",
    whole=True,
)
ALERT = Name(
    "streamflow_arrival_to_alert_seconds",
    "histogram",
    "Seconds from the poll that brought its reading to an alert, each alert",
    whole=True,
)
RETRIES = Name(
    "streamflow_sink_retries",
    "counter",
    "Times a sink could not take something and was asked again",
    ("sink",),
    whole=True,
)
BUFFERED: dict[Name, Callable[[BufferedWriter], float]] = {
    Name(
        "streamflow_buffer_items", "gauge", "Rows and events that wait in a queue", ("sink",), True
    ): lambda writer: writer.queue.count,
    Name(
        "streamflow_buffer_bytes", "gauge", "Bytes that wait in a queue", ("sink",), True
    ): lambda writer: writer.queue.size,
    Name(
        "streamflow_buffer_dropped",
        "counter",
        "Rows and events that a full queue dropped",
        ("sink",),
        True,
    ): lambda writer: writer.queue.dropped,
}
"""Of each buffered sink of the process."""
KEPT: dict[Name, Callable[[LettersWriter], float]] = {
    Name(
        "streamflow_letters_bytes", "gauge", "Bytes of letters kept beside the state", whole=True
    ): lambda writer: writer.letters.size,
    Name(
        "streamflow_letters_purged",
        "counter",
        "Letters that went because there were too many",
        whole=True,
    ): lambda writer: writer.letters.purged,
}
"""In the process that keeps the letters."""
NAMES: tuple[Name, ...] = (
    *COUNTED,
    *(CONNECTOR, EPOCHS, COMMIT_AGE, LAG, ARRIVAL, ALERT, COMMIT, RETRIES),
    *BUFFERED,
    *KEPT,
)


class Metrics(Collector):
    """The metrics of one process."""

    def __init__(self, job: Job, process: int = 0) -> None:
        self._job = job
        self._process = process
        self.registry = CollectorRegistry()
        self._arrival = self._histogram(ARRIVAL)
        self._alert = self._histogram(ALERT)
        self._commit = self._histogram(COMMIT)
        self.registry.register(self)

    def _histogram(self, name: Name) -> Histogram:
        whole = Histogram(
            name.name,
            name.text,
            name.all_labels,
            registry=self.registry,
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
        )
        return whole.labels(self._job.plan.name, str(self._process))

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        for waits, histogram in (
            (self._job.arrival_waits, self._arrival),
            (self._job.alert_waits, self._alert),
            (self._job.commit_waits, self._commit),
        ):
            while waits:
                histogram.observe(waits.popleft() / 1e9)
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """What a scrape sees now."""
        job, flow = self._job, self._job.plan.name
        shards = list(job.shards)
        for name, read in COUNTED.items():
            totals: dict[tuple[str, ...], float] = {}
            for shard in shards:
                worker = f"{self._process}.{job.worker_of(shard)}"
                for labels, value in read(shard):
                    key = (flow, worker, *labels)
                    totals[key] = totals.get(key, 0.0) + value
            yield _family(name, name.all_labels, totals)
        own = (flow, str(self._process))
        told: dict[tuple[str, ...], float] = {
            (*own, *place, what): float(count)
            for place, part in list(job.connectors.items())
            for what, count in part.counts().items()
        }
        if told:
            yield _family(CONNECTOR, CONNECTOR.all_labels, told)
        yield _family(EPOCHS, EPOCHS.all_labels, {own: job.epochs})
        if job.last_commit is not None:
            age = (job.clock.monotonic() - job.last_commit) / 1e9
            yield _family(COMMIT_AGE, COMMIT_AGE.all_labels, {own: age})
        newest = [shard.newest for shard in shards if shard.newest is not None]
        if newest:
            lag = (job.clock.now() - max(newest)) / 1e9
            yield _family(LAG, LAG.all_labels, {own: lag})
        yield from self._sinks(own)

    def _sinks(self, own: tuple[str, str]) -> Iterator[Metric]:
        retries: dict[tuple[str, ...], float] = {
            (*own, s): float(asked.failures) for s, asked in self._job.patience.items()
        }
        buffers: dict[tuple[str, ...], BufferedWriter] = {
            (*own, step): delivery.writer
            for step, delivery in self._job.sinks.items()
            if isinstance(delivery.writer, BufferedWriter)
        }
        for key, writer in buffers.items():
            retries[key] += writer.drain.failures
        yield _family(RETRIES, RETRIES.all_labels, retries)
        for name, read in BUFFERED.items():
            values = {key: read(writer) for key, writer in buffers.items()}
            yield _family(name, name.all_labels, values)
        for delivery in self._job.sinks.values():
            if isinstance(delivery.writer, LettersWriter):
                for kept, told in KEPT.items():
                    yield _family(kept, kept.all_labels, {own: told(delivery.writer)})


def _family(name: Name, labels: tuple[str, ...], totals: dict[tuple[str, ...], float]) -> Metric:
    kind = CounterMetricFamily if name.kind == "counter" else GaugeMetricFamily
    family = kind(name.name, name.text, labels=labels)
    for key, value in totals.items():
        family.add_metric(key, value)
    return family
