"""Kafka: topics as sources and sinks.

`kafka.topic("telemetry", servers="127.0.0.1:9092", group="plant")` is a source,
`kafka.publish("alerts", servers="127.0.0.1:9092", of="alerts")` a sink. Everything about them, and
which settings of the servers matter, is in docs/kafka.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import ClassVar, Literal, TypedDict, Unpack

from streamflow_connectors._kafka_client import READER_OWNED, WRITER_OWNED, Servers, start_at

from streamflow import Format, Json, Outlet, Position, Reader, Schema, Sink, Source, Writer
from streamflow.errors import FlowError, suggest

__all__ = ["KafkaSink", "KafkaTopic", "Servers", "publish", "topic"]

COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")


class Reading(TypedDict, total=False):
    """The options of `KafkaTopic`."""

    group: str
    format: Format
    key: str
    headers: Sequence[str]
    start: str
    lost: Literal["stop", "earliest", "latest"]
    connections: int
    name: str


class Writing(TypedDict, total=False):
    """The options of `KafkaSink`."""

    compression: str
    where: str | None
    deliver: Literal["now", "durable"]
    name: str


def topic(topic: str, *, servers: str | Servers, **options: Unpack[Reading]) -> KafkaTopic:
    """A topic as a source. See `KafkaTopic`."""
    return KafkaTopic(topic, servers, **options)


def publish(
    topic: str, *, servers: str | Servers, of: Outlet, **options: Unpack[Writing]
) -> KafkaSink:
    """A topic as a sink. See `KafkaSink`."""
    return KafkaSink(topic, servers, of=of, **options)


@dataclass(frozen=True)
class KafkaTopic(Source):
    """Readings from a topic, each message exactly once in the state.

    The offset of the next message of each partition is part of the flow's state. Partitions that
    are added to the topic are read from their start, within seconds and without a restart.

    Parameters
    ----------
    topic
        Its name.
    servers
        host:port of one or more brokers, with commas between; or `Servers`, to log in.
    group
        A consumer group: offsets are committed for it once they are durable, so that tools which
        watch lag can see the flow. It decides nothing: not where the flow resumes, nor what it
        reads. Without one nothing is committed.
    format
        How messages are decoded.
    key
        The name of the device, the time or a tag that the key of a message holds.
    headers
        The names of those that headers of the same names hold.
    start
        Where to start when there is no state yet: "earliest", "latest", or a time in ISO 8601.
    lost
        What to do when the log no longer holds what comes next, since it was deleted by age or
        size, or with its topic: "stop", or go on with the "earliest" message that is there, or
        with the next that comes, "latest".
    connections
        How many readers share the partitions. More than one lets several workers read. It belongs
        to the state: keep it.

    Examples
    --------
    >>> KafkaTopic("telemetry", "127.0.0.1:9092", key="machine").partitions()
    ['0']
    """

    topic: str
    servers: str | Servers
    group: str = field(default="", kw_only=True)
    format: Format = field(default=Json(), kw_only=True)
    key: str = field(default="", kw_only=True)
    headers: Sequence[str] = field(default=(), kw_only=True)
    start: str = field(default="earliest", kw_only=True)
    lost: Literal["stop", "earliest", "latest"] = field(default="stop", kw_only=True)
    connections: int = field(default=1, kw_only=True)
    kind: ClassVar[str] = "kafka"

    @property
    def step(self) -> str:
        """The step's name."""
        return self.name or self.kind

    @property
    def cluster(self) -> Servers:
        """The servers, whichever way they were given."""
        return _cluster(self.servers)

    @property
    def subject(self) -> str:
        """As Kafka's own clients call it, unless they are told otherwise."""
        return f"{self.topic}-value"

    @property
    def place(self) -> str:
        """How an error names it."""
        return f"source {self.step!r}: topic {self.topic!r}"

    def check(self, schema: Schema) -> None:
        """Raise FlowError for what can be known without the servers."""
        _check(self.place, self.topic)
        self.cluster.check(self.place, READER_OWNED)
        start_at(self.place, self.start)
        if self.lost not in ("stop", "earliest", "latest"):
            raise FlowError(f'{self.place}: lost={self.lost!r}; "stop", "earliest" or "latest"')
        if self.connections < 1:
            raise FlowError(f"{self.place}: connections={self.connections}; at least 1")
        known = (schema.device, schema.time, *schema.tags)
        for option, names in (("key", [self.key] if self.key else []), ("headers", self.headers)):
            for name in names:
                if name not in known:
                    raise FlowError(
                        f"{self.place}: {option}= names {name!r}, which is not the flow's device, "
                        f"time or a tag; {suggest(name, known)}"
                    )

    @property
    def caveats(self) -> Sequence[str]:
        """What it takes to give the same after a crash, and what `start` passes over."""
        out = []
        if not self.key:
            out.append(
                "the readings of a device must be in one partition, which they are if the device "
                "is the key of its messages; else let Reorder follow."
            )
        if self.start != "earliest":
            out.append(
                f"without --state each run starts at {self.start!r}: what came before is not read."
            )
        return out

    def probe(self) -> str:
        """Ask the servers for the topic."""
        from streamflow_connectors._kafka_scout import Desk

        found = Desk(self.cluster, self.place, self.topic, reading=True).describe()
        return (
            f"{self.cluster.shown} has the topic {self.topic!r}, partitions: "
            f"{len(found.partitions)}"
        )

    def partitions(self) -> Sequence[str]:
        """Its connections: connection k of n reads the partitions p with p % n == k."""
        return [str(n) for n in range(self.connections)]

    def open(self, partition: str, position: Position) -> Reader:
        """Go on at the offsets in `position`; the servers need not be there yet."""
        from streamflow_connectors._kafka_reader import TopicReader

        return TopicReader(self, partition, position)


@dataclass(frozen=True)
class KafkaSink(Sink):
    """Results as JSON objects in a topic, each at least once.

    The state of the flow becomes durable only when the servers have confirmed all that came
    before. The key of a message is the id of its event, or the device of its row: in a compacted
    topic each event stands once.

    Parameters
    ----------
    topic
        Its name.
    servers
        host:port of one or more brokers, with commas between; or `Servers`, to log in.
    compression
        Of batches of messages: "none", "gzip", "snappy", "lz4" or "zstd".

    Examples
    --------
    >>> KafkaSink("alerts", "127.0.0.1:9092", of="alerts").promise
    'repeat'
    """

    topic: str
    servers: str | Servers
    compression: str = field(default="lz4", kw_only=True)
    kind: ClassVar[str] = "kafka"

    @property
    def step(self) -> str:
        """The step's name."""
        return self.name or f"{self.kind}_{self.of}"

    @property
    def cluster(self) -> Servers:
        """The servers, whichever way they were given."""
        return _cluster(self.servers)

    @property
    def place(self) -> str:
        """How an error names it."""
        return f"sink {self.step!r}: topic {self.topic!r}"

    def check(self, schema: Schema) -> None:
        """Raise FlowError for what can be known without the servers."""
        _check(self.place, self.topic)
        self.cluster.check(self.place, WRITER_OWNED)
        if self.compression not in COMPRESSIONS:
            raise FlowError(
                f"{self.place}: compression={self.compression!r}; "
                f"{suggest(self.compression, COMPRESSIONS)}"
            )

    def probe(self) -> str:
        """Ask the servers for the topic."""
        from streamflow_connectors._kafka_scout import Desk

        found = Desk(self.cluster, self.place, self.topic, reading=False).describe()
        return (
            f"{self.cluster.shown} has the topic {self.topic!r}, partitions: "
            f"{len(found.partitions)}"
        )

    def open(self, resume: Position) -> Writer:
        """Nothing is taken back: what came after the last snapshot comes again."""
        from streamflow_connectors._kafka_writer import TopicWriter

        return TopicWriter(self)


def _cluster(servers: str | Servers) -> Servers:
    return servers if isinstance(servers, Servers) else Servers(servers)


def _check(place: str, topic: str) -> None:
    if not find_spec("confluent_kafka"):
        raise FlowError(f"{place}: confluent-kafka is missing: pip install 'streamflow-iot[kafka]'")
    legal = 0 < len(topic) < 250 and topic not in (".", "..")
    if not legal or not all(c.isascii() and (c.isalnum() or c in "._-") for c in topic):
        raise FlowError(
            f"{place}: that is no name for a topic: up to 249 letters, digits, dots, underscores "
            f"and dashes"
        )
