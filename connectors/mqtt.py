"""MQTT: topics of a broker as a source, and as a sink.

`mqtt.topic("plant/{site}/{device}/telemetry", client="gateway")` is a source,
`mqtt.publish("alerts/{device}", of="alerts")` a sink. docs/mqtt.md says what they promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from streamflow_connectors._mqtt_broker import SECOND, Broker
from streamflow_connectors._mqtt_topics import Address, Topics

from streamflow import (
    Format,
    Json,
    Outlet,
    Position,
    Reader,
    Schema,
    Sink,
    Source,
    Writer,
    duration,
)
from streamflow.errors import FlowError, suggest

RECEIVE_MAXIMUM = 16_384


class Connecting(TypedDict, total=False):
    """The options of `Broker`."""

    host: str
    port: int | None
    client: str | None
    version: Literal[3, 5]
    user: str | None
    password_env: str
    password_file: str | Path | None
    ca: str | Path | None
    certificate: str | Path | None
    key: str | Path | None
    tls: bool
    keepalive: str
    will: str | None


class Receiving(Connecting, total=False):
    """The options of `Topic`."""

    qos: Literal[0, 1, 2]
    format: Format
    id: str | None
    connections: int
    receive_maximum: int
    session: str
    name: str


class Sending(Connecting, total=False):
    """The options of `Publish`."""

    where: str | None
    retain: bool
    deliver: Literal["now", "durable"]
    name: str


def topic(*topics: str, **options: Unpack[Receiving]) -> Topic:
    """Topics as a source. See `Topic`."""
    return Topic(topics, **options)


def publish(topic: str, *, of: Outlet, **options: Unpack[Sending]) -> Publish:
    """A topic as a sink. See `Publish`."""
    return Publish(topic, of=of, **options)


@dataclass(frozen=True)
class Topic(Source, Broker):
    """Readings from the topics of a broker, acknowledged when what they changed is durable.

    Parameters
    ----------
    topics
        Filters, with + and #. `{name}` stands for +, and the word there is the device, the time
        or a tag of that name. `$share/GROUP/...` shares a topic with other flows or connections.
    qos
        1 or 2: no message that the broker still holds is lost, and each counts once. 0: what comes
        while the flow is down or too slow is lost.
    format
        How messages are decoded.
    id
        Where a message has its id: a user property of MQTT 5, or a field of its JSON. By it, and
        by its device, a message is known when it comes again; without it, by its content.
    connections
        How many connections to use; each takes its share of the topics, or all of `$share` ones.
    receive_maximum
        How many messages of a connection may be unacknowledged: at least those of two epochs.
    session
        For how long the broker keeps what comes while the flow is down; MQTT 5.

    Examples
    --------
    >>> source = Topic(("plant/{site}/{device}/telemetry",), client="plant-gateway")
    >>> source.url, source.filters
    ('mqtt://127.0.0.1:1883', ['plant/+/+/telemetry'])
    """

    topics: Sequence[str]
    qos: Literal[0, 1, 2] = field(default=1, kw_only=True)
    format: Format = field(default=Json(), kw_only=True)
    id: str | None = field(default=None, kw_only=True)
    connections: int = field(default=1, kw_only=True)
    receive_maximum: int = field(default=RECEIVE_MAXIMUM, kw_only=True)
    session: str = field(default="7d", kw_only=True)

    @property
    def step(self) -> str:
        """The step's name."""
        return self.name or "mqtt"

    @property
    def place(self) -> str:
        """How an error names it."""
        return f"source {self.step!r}"

    @property
    def promise(self) -> str:
        """The broker gives again what was not acknowledged; with QoS 0 it keeps nothing."""
        return "redeliver" if self.qos else "none"

    @property
    def caveats(self) -> Sequence[str]:
        """What a shared topic costs, and MQTT 3.1.1."""
        out = []
        if Topics(self.place, self.topics).shared:
            out.append(
                "with $share the messages of a device come by several connections, in no order "
                "among them: let Reorder follow. What a connection had not acknowledged when it "
                "broke waits for its return."
            )
        if self.version == 3 and self.qos:
            out.append(
                "with MQTT 3.1.1 the broker alone says how many messages may be unacknowledged, "
                "which is how many it gives in an epoch; Mosquitto gives 20 unless "
                "max_inflight_messages is raised."
            )
        return out

    @property
    def window(self) -> int:
        """Twice what may be unacknowledged: brokers do not all keep to it in a resumed session."""
        return 2 * self.receive_maximum if self.qos else 0

    @property
    def expiry(self) -> int:
        """`session` in seconds, as MQTT has it."""
        return min(duration(self.session) // SECOND, 2**32 - 1) if self.qos else 0

    @property
    def filters(self) -> list[str]:
        """What is subscribed to."""
        return Topics(self.place, self.topics).filters

    def client_id(self, partition: int) -> str | None:
        """The client id of a connection: the same at every start."""
        return f"{self.client}-{partition}" if self.client and self.connections > 1 else self.client

    def topics_of(self, partition: int) -> Topics:
        """The topics of a connection: its share of them, and every shared one."""
        own = Topics(self.place, self.topics).filters
        mine = [
            topic
            for number, (topic, filter_) in enumerate(zip(self.topics, own, strict=True))
            if filter_.startswith("$share/") or number % self.connections == partition
        ]
        return Topics(self.place, mine)

    def partitions(self) -> Sequence[str]:
        """One for each connection."""
        return [str(number) for number in range(self.connections)]

    def check(self, schema: Schema) -> None:
        """Raise FlowError for what is wrong without asking the broker."""
        place = self.place
        if not self.topics or isinstance(self.topics, str):
            raise FlowError(f'{place}: no topic; name one, as in mqtt.topic("plant/+/telemetry")')
        topics = Topics(place, self.topics)
        known = (schema.device, schema.time, *schema.tags)
        for name in topics.names:
            if name not in known:
                raise FlowError(
                    f"{place}: {{{name}}} in a topic is no device, time or tag of the flow; "
                    f"{suggest(name, known)}"
                )
        if self.qos not in (0, 1, 2):
            raise FlowError(f"{place}: qos={self.qos!r} must be 0, 1 or 2")
        if self.qos and not self.client:
            raise FlowError(
                f"{place}: with qos={self.qos} the broker keeps messages for a client that it "
                f'knows again: give it an id of its own, as in client="plant-gateway"'
            )
        if not 1 <= self.receive_maximum <= 65_535:
            raise FlowError(f"{place}: receive_maximum={self.receive_maximum} must be 1 to 65,535")
        if self.connections < 1:
            raise FlowError(f"{place}: connections={self.connections} must be at least 1")
        idle = self.connections > len(self.topics) - len(topics.shared) and not topics.shared
        if idle:
            raise FlowError(
                f"{place}: connections={self.connections} for {len(self.topics)} topic(s): each "
                f"connection takes some topics; name more, or share one: $share/GROUP/TOPIC"
            )
        self.expiry  # noqa: B018 - a wrong duration is told now
        self.check_broker()

    def open(self, partition: str, position: Position) -> Reader:
        """Connect; what the position is of, the broker knows better."""
        from streamflow_connectors._mqtt_inbox import TopicReader

        return TopicReader(self, partition, position)

    def probe(self) -> str:
        """Connect as somebody else, subscribe, and say what the broker grants."""
        from streamflow_connectors._mqtt_probe import probe_source

        return probe_source(self)


@dataclass(frozen=True)
class Publish(Sink, Broker):
    """Publishes each item as JSON with QoS 1; an epoch is durable when the broker has confirmed it.

    Alerts and events have their id in the payload and, with MQTT 5, as user property `id`: after
    a crash those of the last epoch are published again under the same id.

    Parameters
    ----------
    topic
        Where to; `{field}` is filled in from each item, such as `alerts/{device}`.
    retain
        Whether the broker keeps the last message of each topic for who subscribes later.

    Examples
    --------
    >>> Publish("alerts/{device}", of="alerts").step
    'mqtt_alerts'
    """

    topic: str
    retain: bool = field(default=False, kw_only=True)

    @property
    def step(self) -> str:
        """The step's name."""
        return self.name or f"mqtt_{self.of}"

    @property
    def place(self) -> str:
        """How an error names it."""
        return f"sink {self.step!r}"

    @property
    def promise(self) -> str:
        """What is published again after a crash has the same id."""
        return "upsert" if self.of in ("alerts", "events") else "repeat"

    def check(self, schema: Schema) -> None:
        """Raise FlowError for what is wrong without asking the broker."""
        Address(self.place, self.topic)
        self.check_broker()

    def open(self, resume: Position) -> Writer:
        """Connect; there is nothing to resume."""
        from streamflow_connectors._mqtt_outbox import PublishWriter

        return PublishWriter(self)

    def probe(self) -> str:
        """Connect, and say what the broker takes."""
        from streamflow_connectors._mqtt_probe import probe_sink

        return probe_sink(self)
