"""Reads the partitions of a topic that fall to one of its connections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Record
from streamflow_connectors._kafka_client import start_at
from streamflow_connectors._kafka_scout import LOG, Desk, Orders, Scout, client, kafka_error

from streamflow import Messages, Position, Reader, SystemClock
from streamflow.errors import ConnectorError, FlowError

if TYPE_CHECKING:
    from streamflow_connectors.kafka import KafkaTopic

CHUNK = 500
"""So many records are taken at once: Python's garbage collector runs when there are 700 more."""
DEFAULTS = {
    "isolation.level": "read_committed",
    "queued.max.messages.kbytes": 32 * 1024,
    "fetch.max.bytes": 16 * 1024 * 1024,
    "fetch.wait.max.ms": 100,
    # A fetch brings 1 MB of a partition otherwise, and waits a second once the queue was full.
    "max.partition.fetch.bytes": 4 * 1024 * 1024,
    "fetch.queue.backoff.ms": 10,
}


class TopicReader(Reader):
    """A connection to a topic.

    Its position is a dict: `connections`, how many there are; `topic`, the topic's id; and
    `offsets`, for each Kafka partition the offset of the next message.
    """

    def __init__(self, source: KafkaTopic, partition: str, position: Position) -> None:
        self._source = source
        self._clock = SystemClock()
        self._position = self._first(position)
        number = int(partition)
        saved = self._position or {"topic": "", "offsets": {}}
        orders = Orders(
            mine=lambda n: n % source.connections == number,
            start=start_at(source.place, position if isinstance(position, str) else source.start),
            lost=source.lost,
            topic=saved["topic"],
            offsets={int(n): at for n, at in saved["offsets"].items()},
            fresh=self._position is None,
        )
        self._next = orders.offsets
        self._told = [*([source.key] if source.key else []), *source.headers]
        cluster = source.cluster
        config = {
            **cluster.properties(source.place),
            **DEFAULTS,
            **cluster.config,
            "group.id": source.group or "streamflow",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "on_commit": self._on_commit,
        }
        self._consumer: Consumer = client(Consumer, source.place, config)
        desk = Desk(cluster, source.place, source.topic, reading=True)
        self._scout = Scout(desk, source.place, orders)
        self._durable: dict[int, int] = {}
        self._refused = ""
        if self._position is not None:  # saved, so durable: lag tools may know
            self.committed(self._position)

    def _first(self, position: Position) -> dict[str, Any] | None:
        """A saved position, or one that a user gave: a place, or partition -> offset."""
        if position is None or isinstance(position, str):
            return None
        source = self._source
        try:
            given = dict(position)
            if "offsets" not in given:
                given = {"connections": source.connections, "topic": "", "offsets": given}
            offsets = {str(int(n)): int(at) for n, at in given["offsets"].items()}
        except (TypeError, ValueError):
            raise FlowError(
                f'{source.place}: {position!r} is no position; give "earliest", "latest", a time, '
                f'or the next offset of each partition, as in {{"0": 1200, "1": 1180}}'
            ) from None
        if given["connections"] != source.connections:
            raise ConnectorError(
                f"{source.place}: its state was written with connections={given['connections']}, "
                f"now it has {source.connections}. Keep the number, or say with --from-position "
                f"where each partition starts: the state has {offsets}"
            )
        return {**given, "offsets": offsets}

    def poll(self, limit: int) -> Messages | None:
        if self._scout.failed:
            raise self._scout.failed
        while self._scout.found:
            self._start(*self._scout.found.popleft())
        payloads: list[Any] = []
        parts: list[int] = []
        offsets: list[int] = []
        fields: dict[str, list[str | None]] = {name: [] for name in self._told}
        while len(payloads) < limit:
            records: list[Any] = self._consumer.consume(min(CHUNK, limit - len(payloads)), 0)
            full = len(records) == CHUNK
            if any(map(Record.error, records)):
                troubles = [record for record in records if record.error()]
                records = [record for record in records if not record.error()]
            else:
                troubles = []
            # For each message only C code runs: `map` over methods that are written in C.
            at: list[Any] = list(map(Record.partition, records))
            to: list[Any] = list(map(Record.offset, records))
            self._next |= {n: last + 1 for n, last in dict(zip(at, to, strict=True)).items()}
            payloads += map(Record.value, records)
            parts += at
            offsets += to
            if fields:
                self._read_fields(records, fields)
            for trouble in troubles:
                self._trouble(trouble)
            if not full:
                break
        if not payloads:
            return None
        if None in payloads:
            payloads = [payload or b"" for payload in payloads]
        return Messages(payloads, Places(parts, offsets), arrived=self._clock.now(), fields=fields)

    def _read_fields(self, records: Sequence[Any], fields: Mapping[str, list[str | None]]) -> None:
        source = self._source
        if source.key:
            fields[source.key] += [_text(record.key()) for record in records]
        if source.headers:
            heads = [dict(record.headers() or ()) for record in records]
            for name in source.headers:
                fields[name] += [_text(head.get(name)) for head in heads]

    def _start(self, topic: str, offsets: Mapping[int, int]) -> None:
        held = {at.partition for at in self._consumer.assignment()}
        again = [TopicPartition(self._source.topic, n) for n in offsets if n in held]
        if again:
            self._consumer.incremental_unassign(again)
        name = self._source.topic
        self._consumer.incremental_assign(
            [TopicPartition(name, n, at) for n, at in offsets.items()]
        )
        self._next |= offsets
        self._position = {"connections": self._source.connections, "topic": topic}
        LOG.info("%s: reading partitions %s", self._source.place, sorted({*held, *offsets}))

    def _trouble(self, record: Any) -> None:
        """What stands where a message should."""
        error, number = record.error(), record.partition()
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._consumer.incremental_unassign([TopicPartition(self._source.topic, number)])
            self._scout.again(number)
        else:
            self._say(error)

    def position(self) -> Position:
        if self._position is None:
            return None
        return {**self._position, "offsets": {str(n): at for n, at in self._next.items()}}

    def committed(self, position: Position) -> None:
        if position is None or not self._source.group:
            return
        at = {int(n): offset for n, offset in position["offsets"].items()}
        new = {n: offset for n, offset in at.items() if self._durable.get(n) != offset}
        if not new:
            return
        self._durable |= new
        offsets = [TopicPartition(self._source.topic, n, offset) for n, offset in new.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            self._say(kafka_error(error))

    def _on_commit(self, error: KafkaError | None, offsets: Sequence[TopicPartition]) -> None:
        for at in offsets:
            failed = at.error or error
            if failed is not None:
                self._durable.pop(at.partition, None)  # so it is tried again with the next epoch
                self._say(failed)

    def counts(self) -> Mapping[str, int]:
        return {"lost": self._scout.lost}

    def _say(self, error: KafkaError) -> None:
        """Log it once: none of it stops the reading, and librdkafka tries again."""
        source = self._source
        text = f"{source.place}: {source.cluster.sentence(error, source.topic, reading=True)}"
        if text != self._refused:
            LOG.warning("%s", text)
        self._refused = text

    def close(self) -> None:
        self._scout.close()
        self._consumer.close()


def _text(data: bytes | str | None) -> str | None:
    return data.decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data


class Places(Sequence[str]):
    """Where messages are, "partition:offset"; written only when a person is to read it."""

    def __init__(self, parts: Sequence[int], offsets: Sequence[int]) -> None:
        self._parts, self._offsets = parts, offsets

    def __len__(self) -> int:
        return len(self._parts)

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[str]: ...
    def __getitem__(self, i: int | slice) -> str | Sequence[str]:
        if isinstance(i, slice):
            return Places(self._parts[i], self._offsets[i])
        return f"{self._parts[i]}:{self._offsets[i]}"
