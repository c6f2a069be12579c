"""Plain clients of both systems: they send telemetry, and hear it or the alerts."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from typing import Any

Heard = tuple[int, bytes]
"""When it came, ns, and what it says."""


class Wire(ABC):
    """A sender of telemetry and a listener.

    `heard` has what has come.
    """

    def __init__(self) -> None:
        self.heard: list[Heard] = []

    @abstractmethod
    def send(self, machine: str, payload: bytes) -> None:
        """Send a reading."""

    @abstractmethod
    def close(self) -> None:
        """Let go."""


class Mqtt(Wire):
    """paho with QoS 1, one client to send and one to hear."""

    def __init__(self, at: str, topic: str) -> None:
        from paho.mqtt.client import Client, MQTTv5
        from paho.mqtt.enums import CallbackAPIVersion

        super().__init__()
        self._ears = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self._voice = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        there = threading.Event()
        self._ears.on_message = self._hear
        self._ears.on_connect = lambda c, *_: c.subscribe(f"{topic}/#", 1)
        self._ears.on_subscribe = lambda *_: there.set()
        for one in (self._ears, self._voice):
            one.connect("127.0.0.1", int(at))
            one.loop_start()
        there.wait(30)

    def _hear(self, _client: object, _data: object, message: Any) -> None:
        self.heard.append((time.time_ns(), message.payload))

    def send(self, machine: str, payload: bytes) -> None:
        """Send a reading."""
        self._voice.publish(f"telemetry/{machine}", payload, 1)

    def close(self) -> None:
        """Let go."""
        for one in (self._ears, self._voice):
            one.disconnect()
            one.loop_stop()


class Kafka(Wire):
    """A producer that does not linger, and a consumer."""

    def __init__(self, at: str, topic: str) -> None:
        from confluent_kafka import Consumer, Producer, TopicPartition

        super().__init__()
        self._producer = Producer({"bootstrap.servers": at, "linger.ms": 0, "acks": "all"})
        self._consumer = Consumer({"bootstrap.servers": at, "group.id": "ears"})
        parts = self._consumer.list_topics(topic, 30).topics[topic].partitions
        ends = {
            n: self._consumer.get_watermark_offsets(TopicPartition(topic, n), 30)[1] for n in parts
        }
        self._consumer.assign([TopicPartition(topic, n, end) for n, end in ends.items()])
        self._open = True
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def _hear(self) -> None:
        while self._open:
            record: Any = self._consumer.poll(0.1)
            if record is not None and not record.error():
                self.heard.append((time.time_ns(), record.value()))

    def send(self, machine: str, payload: bytes) -> None:
        """Send a reading."""
        self._producer.produce("telemetry", payload, machine)
        self._producer.poll(0)

    def close(self) -> None:
        """Let go."""
        self._producer.flush(30)
        self._open = False
        self._thread.join()
        self._consumer.close()
