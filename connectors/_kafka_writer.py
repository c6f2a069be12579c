"""Writes to a topic; an epoch is durable only when the servers have all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Record
from streamflow_connectors._flat import Items, flat
from streamflow_connectors._kafka_client import REFUSED, Ear
from streamflow_connectors._kafka_scout import client, kafka_error

from streamflow import Position, SystemClock, Writer
from streamflow.errors import ConnectorError, NotConnected

if TYPE_CHECKING:
    from streamflow_connectors.kafka import KafkaSink

DEFAULTS = {
    "linger.ms": 2,
    "message.timeout.ms": 0,  # never: what waits is kept, and the flow waits with it
    "queue.buffering.max.kbytes": 64 * 1024,
    "partitioner": "murmur2_random",  # where Java's clients put the same key
}
SLOW = 5 * 10**9
"""So many ns it waits for the servers before it says that they are not there."""


class TopicWriter(Writer):
    """An idempotent producer: what the servers do not confirm stops the flow before the commit."""

    def __init__(self, sink: KafkaSink) -> None:
        self._sink = sink
        self._clock = SystemClock()
        self._ear = Ear()
        self._lost = self._size = 0
        self._begun: tuple[Items | None, int] = (None, 0)
        self._why: KafkaError | None = None
        config = {
            **sink.cluster.properties(sink.place),
            **DEFAULTS,
            **sink.cluster.config,
            "compression.type": sink.compression,
            "enable.idempotence": True,
            "acks": "all",
            "delivery.report.only.error": True,
            "error_cb": self._ear,
        }
        self._producer: Producer = client(Producer, sink.place, config)

    def write(self, items: Items) -> None:
        key = "id" if self._sink.of in ("alerts", "events") else "device"
        begun, done = self._begun
        skip = done if begun is items else 0  # it was asked before, and got so far
        for count, row in enumerate(flat(items)):
            if count >= skip:
                self._begun = items, count
                self._produce(row.get(key), orjson.dumps(row))
        self._begun = None, 0
        self._wait(self._producer.poll, 0)
        self._check()

    def _wait(self, how: Callable[[float], int], seconds: float) -> int:
        """Poll or flush; an error that a producer cannot recover from is one more not delivered."""
        try:
            return how(seconds)
        except KafkaException as error:
            self._fail(kafka_error(error), b"")
            return 0

    def _produce(self, key: str | None, value: bytes) -> None:
        began = self._clock.monotonic()
        while True:
            try:
                self._producer.produce(
                    self._sink.topic, value=value, key=key, on_delivery=self._delivered
                )
                return
            except BufferError:
                self._wait(self._producer.poll, 0.1)
                self._check(began)
            except KafkaException as error:
                self._fail(kafka_error(error), value)
                self._check()

    def _delivered(self, error: KafkaError | None, record: Record) -> None:
        if error is not None:
            self._fail(error, record.value() or b"")

    def _fail(self, error: KafkaError, value: bytes) -> None:
        self._lost = max(self._lost + 1, len(self._producer))
        if self._why is None:
            self._why, self._size = error, len(value)

    def _check(self, began: int | None = None) -> None:
        """Raise ConnectorError if something will never be delivered, NotConnected if it must wait.

        It must wait when `began` is long ago.
        """
        sink, heard = self._sink, self._ear.heard
        if self._why is None and heard is not None and heard.name() in REFUSED:
            self._fail(heard, b"")
        if self._why is not None:
            if self._why.name() == "MSG_SIZE_TOO_LARGE":
                said = (
                    f"a message of {self._size:,} bytes is too large: raise max.message.bytes of "
                    f"the topic and message.max.bytes in Servers(config=)"
                )
            else:
                why = self._ear.cause(self._why)
                said = sink.cluster.sentence(why, sink.topic, reading=False)
            raise ConnectorError(
                f"{sink.place}: {self._lost} messages were not delivered, so the flow stops before "
                f"it counts them as done: {said}"
            )
        if began is not None and self._clock.monotonic() - began > SLOW:
            away = heard or KafkaError(KafkaError._TIMED_OUT)
            raise NotConnected(
                f"{sink.place}: {len(self._producer)} messages wait: "
                f"{sink.cluster.sentence(away, sink.topic, reading=False)}"
            )

    def snapshot(self) -> Position:
        began = self._clock.monotonic()
        while self._wait(self._producer.flush, 0.2):
            self._check(began)
        self._check()
        self._ear.heard = None
        return None

    def close(self) -> None:
        if self._why is None:
            self.snapshot()
