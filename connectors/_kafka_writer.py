"""Writes to a topic; an epoch is durable only when the servers have all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Record
from streamflow_connectors._flat import Items, flat
from streamflow_connectors._kafka_client import Ear
from streamflow_connectors._kafka_scout import LOG, client, kafka_error

from streamflow import Position, SystemClock, Writer
from streamflow.errors import ConnectorError

if TYPE_CHECKING:
    from streamflow_connectors.kafka import KafkaSink

DEFAULTS = {
    "linger.ms": 20,
    "message.timeout.ms": 120_000,
    "queue.buffering.max.kbytes": 64 * 1024,
    "partitioner": "murmur2_random",  # where Java's clients put the same key
}
SLOW = 5 * 10**9
"""After so many ns of waiting for the servers it says so."""


class TopicWriter(Writer):
    """An idempotent producer: what the servers do not confirm stops the flow before the commit."""

    def __init__(self, sink: KafkaSink) -> None:
        self._sink = sink
        self._clock = SystemClock()
        self._ear = Ear()
        self._lost = self._size = 0
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
        for row in flat(items):
            self._produce(row.get(key), orjson.dumps(row))
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
        while True:
            try:
                self._producer.produce(
                    self._sink.topic, value=value, key=key, on_delivery=self._delivered
                )
                return
            except BufferError:  # full: wait for room, or for the word that it cannot be delivered
                self._wait(self._producer.poll, 0.1)
                self._check()
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

    def _check(self) -> None:
        """Raise ConnectorError if something has not been delivered, and never will be."""
        if self._why is None:
            return
        sink, why = self._sink, self._ear.cause(self._why)
        if why.name() == "MSG_SIZE_TOO_LARGE":
            said = (
                f"a message of {self._size:,} bytes is too large: raise max.message.bytes of the "
                f"topic and message.max.bytes in Servers(config=)"
            )
        else:
            said = sink.cluster.sentence(why, sink.topic, reading=False)
        raise ConnectorError(
            f"{sink.place}: {self._lost} messages were not delivered, so the flow stops before it "
            f"counts them as done: {said}"
        )

    def snapshot(self) -> Position:
        began, told = self._clock.monotonic(), False
        while self._wait(self._producer.flush, 0.2):
            self._check()
            if not told and self._clock.monotonic() - began > SLOW:
                told = True
                LOG.warning(
                    "%s: waiting for %s to confirm %d messages",
                    self._sink.place,
                    self._sink.cluster.shown,
                    len(self._producer),
                )
        self._check()
        return None

    def close(self) -> None:
        if self._why is None:
            self.snapshot()
