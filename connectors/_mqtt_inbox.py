"""Messages from a broker: taken on a thread of its own, handed to the flow, acknowledged later."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

import aiomqtt
import msgspec
from paho.mqtt.subscribeoptions import SubscribeOptions
from streamflow_connectors._mqtt_link import Link
from streamflow_connectors._mqtt_paho import Packet, acknowledge, take_messages, user_properties
from streamflow_connectors._mqtt_topics import Topics
from streamflow_connectors.mqtt import Topic

from streamflow import DeadLetter, Messages, Position, Reader, SystemClock
from streamflow.errors import Backoff, ConnectorError

MAX_MESSAGE = 1 << 20
"""Bytes of the longest message that is decoded."""
KEPT = 1024
"""Bytes that are kept of a longer one."""
DROPPED = "$SYS/broker/publish/messages/dropped"
"""Where Mosquitto says how many messages it has dropped, of all clients."""
NEW_ONLY = SubscribeOptions.RETAIN_SEND_IF_NEW_SUB

log = logging.getLogger("streamflow.mqtt")


class Inbox(Link):
    """The connection of one partition: what has come and was not handed over yet."""

    def __init__(self, source: Topic, topics: Topics, partition: int, position: Any) -> None:
        self.queue: deque[tuple[int, Packet]] = deque()
        """(connection, message)."""
        self.filters = topics.filters
        self.counts = {"lost_sessions": 0, "broker_dropped": 0, "overflowed": 0}
        known = position or {}
        self.dropped: int | None = known.get("dropped")
        """What the broker said last."""
        self._old: list[str] | None = known.get("filters")
        self._expected = position is not None
        """Whether the broker must know the session."""
        self._source = source
        self._number = 0
        self._session = False
        self._asks = True
        """Whether to ask for what the broker drops."""
        self._next: Any = None
        self._paho: Any = None
        limits = {"SessionExpiryInterval": source.expiry, "ReceiveMaximum": source.receive_maximum}
        client_id = source.client_id(partition)
        super().__init__(source, client_id, connect=limits, persistent=source.qos > 0)

    def prepare(self, client: aiomqtt.Client) -> None:
        """Take every message, acknowledge none."""
        self._next = client._client
        take_messages(client._client, self._take, new=self.broker.version == 5)

    def accepted(self, session: bool, limits: Mapping[str, Any]) -> None:
        """A new connection: what is unacknowledged comes again, if the session is still there."""
        place, source = self.broker.place, self._source
        self._number, self._paho = self._number + 1, self._next
        self._session = session
        if session:  # so it need not wait here; if the flow has had it, it is known by its content
            held = [self.queue.popleft() for _ in range(len(self.queue))]
            self.queue.extend(pair for pair in held if pair[1].qos == 0)
        elif self._expected and source.qos:
            self.counts["lost_sessions"] += 1
            log.error(
                "%s: the broker no longer has the session of %r: what it held for it is lost. Was "
                "the broker started without its stored data, or the flow down for too long?",
                place,
                self.client_id,
            )
        self._expected = True
        granted = limits.get("SessionExpiryInterval", source.expiry)
        if source.qos and granted < source.expiry:
            log.warning(
                "%s: the broker keeps the session for %d s only, not %d: when the flow is down for "
                "longer, messages are lost",
                place,
                granted,
                source.expiry,
            )
        if limits.get("MaximumQoS", 2) < source.qos:
            log.warning("%s: the broker grants QoS %d at most", place, limits["MaximumQoS"])

    async def up(self, client: aiomqtt.Client) -> None:
        """Subscribe, and let go what was subscribed to before and is not now."""
        old = self._old if self._session else []
        gone = [topic for topic in old or () if topic not in self.filters]
        if gone:
            await client.unsubscribe(gone, timeout=inf)
            log.warning("%s: no longer subscribed to %s", self.broker.place, ", ".join(gone))
        # Of what is subscribed already a broker of MQTT 3.1.1 would send the retained messages.
        if self.broker.version == 5 or old is None or set(self.filters) - set(old):
            await subscribe(client, self._source, self.filters)
        self._old = self.filters
        if self._asks:
            self._asks = False  # there are brokers that break the connection at this
            await client.subscribe(DROPPED, 0, timeout=inf)
            self._asks = True

    def acknowledge(self, number: int, messages: Sequence[tuple[int, int]]) -> None:
        """Acknowledge messages of a connection, if it still stands: on the loop."""
        if number == self._number:
            acknowledge(self._paho, messages)

    def _take(self, message: Packet) -> None:
        if message.topic == DROPPED.encode():
            self._heard(message.payload)
            return
        if message.qos == 0 and len(self.queue) >= self._source.receive_maximum:
            self.counts["overflowed"] += 1
            return
        self.queue.append((self._number, message))

    def _heard(self, payload: bytes) -> None:
        if not payload.isdigit():
            return
        count, before = int(payload), self.dropped
        self.dropped = count
        if before is not None and count > before:
            self.counts["broker_dropped"] += count - before
            log.error(
                "%s: the broker has dropped %d messages of this or another client; raise its "
                "max_queued_messages",
                self.broker.place,
                count - before,
            )


async def subscribe(client: aiomqtt.Client, source: Topic, filters: Sequence[str]) -> None:
    """Subscribe; ConnectorError if the broker refuses a filter."""
    options: Any = source.qos
    if source.version == 5:
        options = SubscribeOptions(source.qos, retainHandling=NEW_ONLY)
    # The answer stands behind all messages that the broker sends first; keepalive guards the rest.
    answers = await client.subscribe([(topic, options) for topic in filters], timeout=inf)
    for topic, answer in zip(filters, answers, strict=True):
        code: Any = getattr(answer, "value", answer)
        if code >= 128:
            raise ConnectorError(f"{source.place}: {_refusal(topic, code)}")
        if code < source.qos:
            log.warning("%s: %s: granted is QoS %d only", source.place, topic, code)


def _refusal(topic: str, code: int) -> str:
    why = {
        135: "this client may not read it; check the broker's access list",
        143: "the broker does not take it for a valid filter",
        158: "the broker does not share subscriptions",
        162: "the broker does not allow wildcards",
    }
    text = why.get(code, "it is not valid, or this client may not read it")
    return f"the broker refuses the topic {topic!r}: {text}"


class TopicReader(Reader):
    """One partition of a source: what its connection has taken.

    Its position is how many messages it has handed over, and what it is subscribed to: a broker
    does not give from a position, it gives again what was not acknowledged.
    """

    def __init__(self, source: Topic, partition: str, position: Position) -> None:
        self._source, self._partition = source, partition
        self._topics = source.topics_of(int(partition))
        self._given: int = position["received"] if position else 0
        self._unacknowledged: deque[tuple[int, int, int, int]] = deque()
        """(how many were handed over with it, connection, message id, QoS)."""
        self._id = _Ids(source.id) if source.id else None
        self._clock = SystemClock()
        self._inbox = Inbox(source, self._topics, int(partition), position)

    def poll(self, limit: int) -> Messages | DeadLetter | None:
        queue = self._inbox.queue
        taken: list[Packet] = []
        words: list[tuple[str | None, ...]] = []
        while len(taken) < limit:
            try:
                number, message = queue.popleft()
            except IndexError:
                break
            told = self._topics.words(message.topic)
            why = told if isinstance(told, str) else _too_long(message)
            if why and taken:
                queue.appendleft((number, message))
                break
            self._given += 1
            if message.qos:
                self._unacknowledged.append((self._given, number, message.mid, message.qos))
            if why:
                return self._dead(message, why)
            taken.append(message)
            words.append(told)  # type: ignore[arg-type]
        if not taken:
            self._inbox.check()
            if not self._inbox.connected:
                raise Backoff(0.05, self._inbox.why_not)
            return None
        topics = [message.topic for message in taken]
        payloads = [message.payload for message in taken]
        names = self._topics.names
        fields = dict(zip(names, zip(*words, strict=True), strict=True)) if names else {}
        ids = [topic + b"\0" + payload for topic, payload in zip(topics, payloads, strict=True)]
        if self._id:
            ids = [self._id.of(message) or own for message, own in zip(taken, ids, strict=True)]
        places = [topic.decode() for topic in topics]
        return Messages(payloads, places, b"", self._clock.now(), fields, ids)

    def _dead(self, message: Packet, why: str) -> DeadLetter:
        topic = message.topic.decode("utf-8", "backslashreplace")
        payload = message.payload[:KEPT] if "bytes" in why else message.payload
        return DeadLetter(payload, why, self._source.step, self._partition, topic)

    def position(self) -> dict[str, Any]:
        inbox = self._inbox
        return {"received": self._given, "filters": inbox.filters, "dropped": inbox.dropped}

    def committed(self, position: Position) -> None:
        waiting, batches = self._unacknowledged, dict[int, list[tuple[int, int]]]()
        while waiting and waiting[0][0] <= position["received"]:
            _, number, mid, qos = waiting.popleft()
            batches.setdefault(number, []).append((mid, qos))
        for number, batch in batches.items():
            self._inbox.call(self._inbox.acknowledge, number, batch)

    def counts(self) -> dict[str, int]:
        return {
            **self._inbox.counts,
            "connected": int(self._inbox.connected),
            "connects": self._inbox.connects,
            "waiting": len(self._inbox.queue),
            "unacknowledged": len(self._unacknowledged),
        }

    def close(self) -> None:
        self._inbox.close()


def _too_long(message: Packet) -> str:
    size = len(message.payload)
    return f"a message of {size:,} bytes, longer than {MAX_MESSAGE:,}" if size > MAX_MESSAGE else ""


class _Ids:
    """The id that a message carries: a user property of MQTT 5, or a field of its JSON."""

    def __init__(self, name: str) -> None:
        self._name = name
        fields = [("id", msgspec.Raw, msgspec.Raw(b""))]
        self._decode = msgspec.json.Decoder(
            msgspec.defstruct("Identified", fields, rename={"id": name})
        ).decode

    def of(self, message: Packet) -> bytes:
        """The id; empty if it has none."""
        for key, value in user_properties(message.properties):
            if key == self._name:
                return b"\0" + value.encode()
        try:
            found: Any = self._decode(message.payload)
        except msgspec.DecodeError:
            return b""
        raw = bytes(found.id)
        return b"" if raw in (b"", b"null") else b"\0" + raw
