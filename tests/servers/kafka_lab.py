"""A real Kafka for tests: topics, messages in, messages out, users with few rights."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from confluent_kafka import (
    Consumer,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
)
from kafka_broker import Broker, Missing, free_port

from streamflow import Batch, DeadLetter, Messages, Reader

__all__ = ["Kafka", "Missing", "Sent"]

Sent = tuple[bytes | None, bytes | None]
"""Key and value of a message."""
USER, PASSWORD = "plant", "a-pass-word"
"""Who can log in at the listener with TLS; may do nothing unless it is granted."""
_names = count()


@dataclass
class Kafka:
    """A broker with two listeners: `address` for anybody, who may do all; `secure` for users.

    Parameters
    ----------
    broker
        The broker.
    secure
        host:port of the listener with TLS and login.
    ca
        The certificate to trust there.
    """

    broker: Broker
    secure: str
    ca: Path

    @staticmethod
    def start(folder: Path) -> Kafka:
        """Start one; Missing if Kafka is not installed."""
        ca, pem = _certificate(folder)
        port, secure = free_port(), free_port()
        login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        settings = {
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.secure.scram-sha-512.sasl.jaas.config": login,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(pem),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "broker.session.timeout.ms": "1500",
            "broker.heartbeat.interval.ms": "300",
            "message.max.bytes": "200000",
        }
        listeners = {"SECURE": (secure, "SASL_SSL")}
        broker = Broker(folder / "broker", port, listeners, settings, {USER: PASSWORD})
        return Kafka(broker.start(), f"127.0.0.1:{secure}", ca)

    @property
    def address(self) -> str:
        """host:port for anybody."""
        return self.broker.address

    def revive(self) -> None:
        """Start the broker again if it is gone."""
        if self.broker.process is None or self.broker.process.poll() is not None:
            self.broker.start()

    @cached_property
    def admin(self) -> AdminClient:
        """A client with all rights."""
        return AdminClient(
            {"bootstrap.servers": self.address, "log_level": 0, "reconnect.backoff.max.ms": 200}
        )

    def topic(self, partitions: int = 1, name: str = "", **config: str) -> str:
        """Make a topic; its name."""
        name = name or f"topic-{next(_names)}"
        given = {key.replace("_", "."): value for key, value in config.items()}
        self._done(self.admin.create_topics([NewTopic(name, partitions, 1, config=given)]))
        self.ends(name)
        return name

    def grow(self, topic: str, partitions: int) -> None:
        """Add partitions to a topic."""
        self._done(self.admin.create_partitions([NewPartitions(topic, partitions)]))
        wait(lambda: len(self.admin.list_topics(topic, 5).topics[topic].partitions) == partitions)
        self.ends(topic)

    def delete(self, topic: str) -> None:
        """Delete a topic."""
        self._done(self.admin.delete_topics([topic]))
        wait(lambda: topic not in self.admin.list_topics(timeout=5).topics)

    def forget(self, topic: str, before: int, partition: int = 0) -> None:
        """Delete the messages in front of an offset, as retention does."""
        self._done(self.admin.delete_records([TopicPartition(topic, partition, before)]))

    def grant(self, operation: str, topic: str = "", group: str = "") -> None:
        """Allow the user something."""
        kind = ResourceType.TOPIC if topic else ResourceType.GROUP if group else ResourceType.BROKER
        binding = AclBinding(
            kind,
            topic or group or "kafka-cluster",
            ResourcePatternType.LITERAL,
            f"User:{USER}",
            "*",
            AclOperation[operation],
            AclPermissionType.ALLOW,
        )
        self._done(self.admin.create_acls([binding]))

    def revoke(self, group: str) -> None:
        """Take back what the user may do with a group."""
        about = (ResourceType.GROUP, group, ResourcePatternType.LITERAL, f"User:{USER}", "*")
        self._done(
            self.admin.delete_acls(
                [AclBindingFilter(*about, AclOperation.ANY, AclPermissionType.ALLOW)]
            )
        )

    def send(
        self,
        topic: str,
        messages: Iterable[Sent],
        partition: int | None = None,
        headers: dict[str, bytes] | None = None,
    ) -> None:
        """Write messages, and wait until they are there."""
        config = {"bootstrap.servers": self.address, "linger.ms": 5, "log_level": 0}
        # Idempotent, for what a broker that has just started refuses must not come out of order.
        producer = Producer({**config, "batch.size": 100_000, "enable.idempotence": True})
        more: dict[str, Any] = {} if partition is None else {"partition": partition}
        failed: list[Any] = []

        def delivered(error: Any, _: Any) -> None:
            failed.extend([error] if error else [])

        for key, value in messages:
            producer.produce(topic, value, key, headers=headers, on_delivery=delivered, **more)
            producer.poll(0)
        assert producer.flush(30) == 0
        assert not failed

    def ends(self, topic: str) -> dict[int, int]:
        """partition -> the offset of the next message."""
        out: dict[int, int] = {}

        def asked() -> bool:  # a broker that has just started does not know all at once
            try:
                parts = self.admin.list_topics(topic, 5).topics[topic].partitions
                wanted = {TopicPartition(topic, n): OffsetSpec.latest() for n in parts}
                told = self.admin.list_offsets(wanted)
                out.update({at.partition: future.result().offset for at, future in told.items()})
            except KafkaException:
                return False
            return bool(out)

        wait(asked)
        return out

    def committed(self, topic: str, group: str) -> dict[int, int]:
        """partition -> the offset that is committed for a group; -1001 is none."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": group, "log_level": 0})
        try:
            parts = [TopicPartition(topic, n) for n in self.ends(topic)]
            return {at.partition: at.offset for at in consumer.committed(parts, 10)}
        finally:
            consumer.close()

    def read(self, topic: str) -> list[Any]:
        """All messages that are in a topic now, partition by partition."""
        config = {"bootstrap.servers": self.address, "group.id": "tests", "log_level": 0}
        consumer = Consumer(
            {**config, "isolation.level": "read_committed", "fetch.wait.max.ms": 20}
        )
        out: list[Any] = []
        try:
            for number, end in self.ends(topic).items():
                low, _ = consumer.get_watermark_offsets(TopicPartition(topic, number), 10)
                consumer.assign([TopicPartition(topic, number, low)])
                while (
                    low < end and consumer.position([TopicPartition(topic, number)])[0].offset < end
                ):
                    out += [
                        message for message in consumer.consume(500, 0.1) if not message.error()
                    ]
        finally:
            consumer.close()
        return out

    def _done(self, asked: dict[Any, Any]) -> list[Any]:
        return [future.result(20) for future in asked.values()]

    def configure(self, topic: str, **config: str) -> None:
        """Change settings of a topic."""
        given = {key.replace("_", "."): value for key, value in config.items()}
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, set_config=given)
        self._done(self.admin.alter_configs([resource]))


def drain(reader: Reader, count: int, seconds: float = 30) -> Drained:
    """Poll a reader until so many messages have come; more may be there."""
    out = Drained()
    end = time.monotonic() + seconds
    while len(out.payloads) < count:
        assert time.monotonic() < end, f"{len(out.payloads)} of {count} came within {seconds} s"
        out.take(reader.poll(4096), reader)
    return out


def idle(reader: Reader, seconds: float) -> Drained:
    """Poll a reader for so long."""
    out = Drained()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        out.take(reader.poll(4096), reader)
    return out


@dataclass
class Drained:
    """What polls gave, in order."""

    payloads: list[bytes] = field(default_factory=list)
    places: list[int | str] = field(default_factory=list)
    fields: dict[str, list[str | None]] = field(default_factory=dict)

    def take(self, got: Messages | Batch | DeadLetter | None, reader: Reader) -> None:
        """What one poll gave."""
        if got is None:
            time.sleep(reader.next_poll())
            return
        assert isinstance(got, Messages)
        self.payloads += got.payloads
        self.places += got.places
        for name, values in got.fields.items():
            self.fields.setdefault(name, []).extend(values)


def wait(happened: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something has happened; an error if it does not."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"did not happen within {seconds} s"
        time.sleep(0.05)


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, and a file with its key and itself, as Kafka wants it."""
    key, certificate, both = folder / "key.pem", folder / "ca.pem", folder / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    both.write_text(key.read_text() + certificate.read_text())
    return certificate, both
