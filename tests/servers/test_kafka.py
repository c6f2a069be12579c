"""A real Kafka: who may log in, what messages carry, what is said when something is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from confluent_kafka import Producer
from kafka_lab import PASSWORD, USER, Kafka, drain, idle, wait
from streamflow_connectors import kafka as connector
from streamflow_connectors.kafka import Servers

from streamflow import Event, Schema, Sensor
from streamflow.errors import ConnectorError
from streamflow.testing import check_sink

SCHEMA = Schema("device", "time", {"t": Sensor()}, ("site",))


@pytest.fixture
def login(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> Servers:
    """The listener with TLS, for a user who may do nothing."""
    monkeypatch.setenv("KAFKA_PASSWORD", PASSWORD)
    return Servers(kafka.secure, user=USER, password_env="KAFKA_PASSWORD", ca=kafka.ca)


def alert(n: int) -> Event:
    return Event(f"id-{n}", "alert", "alert", f"m{n % 3}", n * 10**9, {"status": "opened"})


def test_keys_and_headers_are_fields(kafka: Kafka) -> None:
    topic = kafka.topic()
    kafka.send(topic, [(b"m1", b"1"), (None, b"2")], headers={"site": b"north", "other": b"x"})
    kafka.send(topic, [(b"\xff", b"3")])
    source = connector.topic(topic, servers=kafka.address, key="device", headers=["site"])
    source.check(SCHEMA)
    reader = source.open("0", None)
    got = drain(reader, 3)
    reader.close()
    assert got.fields == {"device": ["m1", None, "\\xff"], "site": ["north", "north", None]}
    assert got.places == ["0:0", "0:1", "0:2"]


def test_a_tombstone_is_a_message_without_content(kafka: Kafka) -> None:
    topic = kafka.topic(cleanup_policy="compact")
    kafka.send(topic, [(b"m1", None), (b"m1", b"1")])
    reader = connector.topic(topic, servers=kafka.address).open("0", None)
    assert drain(reader, 2).payloads == [b"", b"1"]
    reader.close()


def test_what_a_transaction_takes_back_is_not_read(kafka: Kafka) -> None:
    topic = kafka.topic()
    config = {"bootstrap.servers": kafka.address, "transactional.id": topic}
    producer = Producer(config)
    producer.init_transactions(20)
    for number, kept in enumerate((True, False, True)):
        producer.begin_transaction()
        producer.produce(topic, b"%d" % number)
        producer.commit_transaction(20) if kept else producer.abort_transaction(20)
    reader = connector.topic(topic, servers=kafka.address).open("0", None)
    assert drain(reader, 2).payloads == [b"0", b"2"]
    assert idle(reader, 0.3).payloads == []
    reader.close()


def test_offsets_are_committed_for_a_group_when_they_are_durable(kafka: Kafka) -> None:
    topic = kafka.topic(2)
    kafka.send(topic, [(None, b"x")] * 10, partition=1)
    reader = connector.topic(topic, servers=kafka.address, group="watched").open("0", None)
    drain(reader, 10)
    position = reader.position()
    assert kafka.committed(topic, "watched") == {0: -1001, 1: -1001}
    reader.committed(position)
    wait(lambda: reader.poll(1) is None and kafka.committed(topic, "watched") == {0: 0, 1: 10})
    reader.close()


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_alerts_are_json_with_their_id_as_key(compression: str, kafka: Kafka) -> None:
    topic = kafka.topic(2)
    options: Any = {"of": "alerts", "compression": compression}
    writer = connector.publish(topic, servers=kafka.address, **options).open(None)
    writer.write([alert(n) for n in range(100)])
    writer.snapshot()
    records = kafka.read(topic)
    assert {r.key().decode() for r in records} == {f"id-{n}" for n in range(100)}
    assert json.loads(records[0].value()).items() >= {"kind": "alert", "status": "opened"}.items()
    writer.close()


def test_the_contract_of_a_sink(kafka: Kafka) -> None:
    topic = kafka.topic()

    def devices() -> list[str]:
        return [json.loads(record.value())["device"] for record in kafka.read(topic)]

    check_sink(lambda: connector.publish(topic, servers=kafka.address, of="alerts"), devices)


def test_a_user_reads_and_writes_over_tls(kafka: Kafka, login: Servers) -> None:
    topic = kafka.topic()
    for operation in ("READ", "WRITE", "DESCRIBE"):
        kafka.grant(operation, topic=topic)
    kafka.grant("READ", group="mine")
    sink = connector.publish(topic, servers=login, of="alerts")
    writer = sink.open(None)
    writer.write([alert(1)])
    writer.close()
    source = connector.topic(topic, servers=login, group="mine")
    assert "partitions: 1" in source.probe()
    reader = source.open("0", None)
    drain(reader, 1)
    reader.committed(reader.position())
    wait(lambda: reader.poll(1) is None and kafka.committed(topic, "mine") == {0: 1})
    reader.close()


def test_offsets_that_could_not_be_committed_are_committed_with_a_later_epoch(
    kafka: Kafka, login: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    topic = kafka.topic()
    kafka.send(topic, [(None, b"x")] * 5)
    for operation in ("READ", "DESCRIBE"):
        kafka.grant(operation, topic=topic)
    kafka.grant("READ", group="late")
    reader = connector.topic(topic, servers=login, group="late").open("0", None)
    drain(reader, 5)

    def epoch_until(offset: int) -> None:
        """Epochs that bring nothing new, until an offset is committed."""

        def done() -> bool:
            reader.committed(reader.position())
            assert reader.poll(1) is None
            return kafka.committed(topic, "late") == {0: offset}

        wait(done, 10)

    epoch_until(5)
    kafka.revoke(group="late")
    kafka.send(topic, [(None, b"x")] * 2)
    drain(reader, 2)
    reader.committed(reader.position())
    wait(lambda: reader.poll(1) is None and "may not" in caplog.text)
    kafka.grant("READ", group="late")
    epoch_until(7)
    reader.close()


def wrong(what: str, kafka: Kafka, login: Servers) -> tuple[str, str | Servers]:
    """A topic and servers with which something is wrong."""
    topic = kafka.topic()
    match what:
        case "host":
            return topic, "127.0.0.1:1"
        case "name":
            return topic, "no-such-host.invalid:9092"
        case "password":
            return topic, Servers(kafka.secure, user=USER, password_env="OTHER", ca=kafka.ca)
        case "user":
            return topic, Servers(kafka.secure, user="who", password_env="OTHER", ca=kafka.ca)
        case "authority":
            return topic, Servers(kafka.secure, user=USER, password_env="OTHER", tls=True)
        case "no tls":
            return topic, kafka.secure
        case "topic":
            return "telemetri", kafka.address
    return topic, login


WRONG = {
    "host": "no answer from 127.0.0.1:1 .*Connection refused.*: check servers=",
    "name": "no answer from no-such-host.invalid:9092 .*Failed to resolve.*: check servers=",
    "password": "refuses the login of user 'plant': check user=, mechanism= .SCRAM-SHA-512.",
    "user": "refuses the login of user 'who': check user=",
    "authority": "no TLS with .*certificate verify failed.*check ca=",
    "no tls": "no answer from .*: check servers=",
    "topic": "has no topic 'telemetri': create it, or correct the name",
    "right": "user 'plant' may not (read|write) topic .*: grant it DESCRIBE and (READ|WRITE)",
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_one_sentence(
    what: str, kafka: Kafka, login: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER", "sesame")
    topic, servers = wrong(what, kafka, login)
    for end in (
        connector.topic(topic, servers=servers),
        connector.publish(topic, servers=servers, of="alerts"),
    ):
        end.check(SCHEMA)
        with pytest.raises(ConnectorError, match=WRONG[what]) as raised:
            end.probe()
        said = str(raised.value)
        assert said.startswith(end.place)
        assert not any(secret in said + repr(end) for secret in ("sesame", PASSWORD))
    if what in ("password", "topic", "right"):  # what is sure to be wrong ends the flow
        reader = connector.topic(topic, servers=servers).open("0", None)
        with pytest.raises(ConnectorError, match=WRONG[what]):
            idle(reader, 20)
        reader.close()
