"""Messages to a broker: each is kept until the broker has confirmed it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

import aiomqtt
import orjson
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from streamflow_connectors._flat import Items, flat
from streamflow_connectors._mqtt_link import Link
from streamflow_connectors._mqtt_paho import answer_quickly
from streamflow_connectors._mqtt_topics import Address
from streamflow_connectors.mqtt import Publish

from streamflow import Writer
from streamflow.errors import ConnectorError

MOST = 10_000
"""Messages that may wait to be confirmed; then the flow waits."""
UNLIMITED = 65_535
"""How many a broker of MQTT 5 takes at a time if it does not say."""
OLD = 100
"""How many are sent at a time with MQTT 3.1.1, where the broker cannot say."""
REMIND = 10.0
"""Seconds between two words about waiting for the broker."""
FAREWELL = 10.0
"""Seconds to wait at the end for what is not confirmed."""
OVERHEAD = 64
"""Bytes of a packet beside its topic, its payload and its id, at most."""
BUSY = (131, 137, 150, 151)
"""Answers after which the same message may be taken later."""

log = logging.getLogger("streamflow.mqtt")


class Outbox(Link):
    """The connection of a sink, and what the broker has not confirmed, in order."""

    def __init__(self, sink: Publish) -> None:
        self.pending: dict[int, tuple[str, bytes, str]] = {}
        """number -> topic, payload, id."""
        self.refused = ""
        """Why the broker will never take a message."""
        self.changed = threading.Condition()
        self.published = 0
        self._sink = sink
        self._next = 0
        """The number of the next message that this connection has not sent."""
        self._sent: dict[int, int] = {}
        self._most = self._largest = 0
        """How many messages the broker takes at a time, and of how many bytes; 0 is any size."""
        self._paho: Any = None
        self._stands = False
        super().__init__(sink, sink.client)

    def prepare(self, client: aiomqtt.Client) -> None:
        """Nothing has been sent by this connection."""
        self._paho, self._sent, self._stands = client._client, {}, False
        answer_quickly(self._paho)
        self._paho.on_publish = self._confirmed
        self._paho.max_inflight_messages_set(0)  # `send` counts

    def accepted(self, session: bool, limits: Mapping[str, Any]) -> None:
        """Keep to what the broker takes."""
        new = self.broker.version == 5
        self._most = limits.get("ReceiveMaximum", UNLIMITED) if new else OLD
        self._largest = limits.get("MaximumPacketSize", 0)

    async def up(self, client: aiomqtt.Client) -> None:
        """Send again what is not confirmed."""
        self._next = min(self.pending, default=self._next)
        self._stands = True
        self.send()

    def send(self) -> None:
        """Send what this connection has not sent: on the loop."""
        if not self._stands or self.refused:
            return
        while len(self._sent) < self._most:
            item = self.pending.get(self._next)
            if item is None:
                return
            topic, payload, id_ = item
            size = len(topic.encode()) + len(payload) + len(id_)
            if self._largest and size + OVERHEAD > self._largest:
                why = f"it has {size:,} bytes, and the broker takes {self._largest:,} at most"
                self._refuse(topic, why)
                return
            properties: Any = None
            if self.broker.version == 5 and id_:
                properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
                properties.UserProperty = ("id", id_)
            info = self._paho.publish(topic, payload, 1, self._sink.retain, properties)
            self._sent[info.mid] = self._next
            self._next += 1

    def _confirmed(self, _paho: Any, _data: Any, mid: int, code: Any, _properties: Any) -> None:
        number = self._sent.pop(mid, None)
        if number is None:  # the will's topic
            return
        if code.value in BUSY:
            log.warning("%s: the broker is busy: %s", self.broker.place, code)
            self._sent[self._again(number)] = number
            return
        if code.is_failure:
            why = "this client may not write there" if code.value == 135 else str(code).lower()
            self._refuse(self.pending[number][0], why)
            return
        with self.changed:
            del self.pending[number]
            self.published += 1
            self.changed.notify_all()
        self.send()

    def _again(self, number: int) -> int:
        topic, payload, _ = self.pending[number]
        mid: int = self._paho.publish(topic, payload, 1, self._sink.retain).mid
        return mid

    def _refuse(self, topic: str, why: str) -> None:
        with self.changed:
            self.refused = f"{self.broker.place}: the broker does not take {topic!r}: {why}"
            self.changed.notify_all()


class PublishWriter(Writer):
    """Publishes items; a snapshot waits until the broker has confirmed all."""

    def __init__(self, sink: Publish) -> None:
        self._sink = sink
        self._address = Address(sink.place, sink.topic)
        self._count = 0
        self._outbox = Outbox(sink)

    def write(self, items: Items) -> None:
        outbox = self._outbox
        for row in flat(items):
            payload = orjson.dumps(row)
            self._wait(lambda: len(outbox.pending) < MOST)
            id_ = str(row["id"]) if "id" in row and self._sink.promise == "upsert" else ""
            outbox.pending[self._count] = self._address.of(row), payload, id_
            self._count += 1
        outbox.call(outbox.send)

    def snapshot(self) -> None:
        self._wait(lambda: not self._outbox.pending)

    def _wait(self, done: Callable[[], bool], patience: float | None = None) -> None:
        """Wait for the broker; ConnectorError if it refuses."""
        outbox = self._outbox
        with outbox.changed:
            if not done():
                outbox.call(outbox.send)
            while not outbox.changed.wait_for(lambda: outbox.refused or done(), REMIND):
                outbox.check()
                log.warning(
                    "%s: %d messages wait to be confirmed (%s)",
                    self._sink.place,
                    len(outbox.pending),
                    "connected" if outbox.connected else outbox.why_not,
                )
                if patience is not None:
                    return
        if outbox.refused:
            raise ConnectorError(outbox.refused)

    def counts(self) -> dict[str, int]:
        return {
            "connected": int(self._outbox.connected),
            "connects": self._outbox.connects,
            "published": self._outbox.published,
            "unconfirmed": len(self._outbox.pending),
        }

    def close(self) -> None:
        self._wait(lambda: not self._outbox.pending, FAREWELL)
        self._outbox.close()
