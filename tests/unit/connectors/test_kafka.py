"""Kafka without Kafka: what is refused before anything runs; errors that a mock server gives."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from streamflow_connectors import kafka
from streamflow_connectors.kafka import KafkaSink, KafkaTopic, Servers

from streamflow import Event, Schema, Sensor
from streamflow.errors import ConnectorError, FlowError, NotConnected

SCHEMA = Schema("device", "time", {"t": Sensor()}, ("site",))
HERE = "127.0.0.1:9092"
PRODUCE, INIT_PRODUCER_ID = 0, 22
NOT_ENOUGH_REPLICAS, TOPIC_AUTHORIZATION_FAILED = 19, 29
CLUSTER_AUTHORIZATION_FAILED = 31


def refused(end: KafkaTopic | KafkaSink) -> str:
    with pytest.raises(FlowError) as raised:
        end.check(SCHEMA)
    return str(raised.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"start": "yesterday"}, "start='yesterday'; write \"earliest\""),
        ({"lost": "skip"}, "lost='skip'; \"stop\""),
        ({"connections": 0}, "connections=0; at least 1"),
        ({"key": "devise"}, "key= names 'devise', .* did you mean 'device'"),
        ({"headers": ["t"]}, "headers= names 't', which is not the flow's device, time or a tag"),
    ],
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    message = refused(KafkaTopic("telemetry", HERE, **options))
    assert message.startswith("source 'kafka': topic 'telemetry'")
    with pytest.raises(FlowError, match=said):
        KafkaTopic("telemetry", HERE, **options).check(SCHEMA)


@pytest.mark.parametrize(
    ("servers", "said"),
    [
        (Servers("127.0.0.1"), "not host:port"),
        (Servers("plant:sesame@127.0.0.1:9092"), "not host:port"),
        (Servers(HERE, user="plant"), "user= belongs together with password_env="),
        (Servers(HERE, user="plant", password_env="NO_SUCH"), "environment has no such"),
        (Servers(HERE, config={"sasl.password": "sesame"}), "which is a secret; use password_env="),
        (Servers(HERE, config={"acks": 1}), "'acks', which the promise rests on"),
        (Servers(HERE, ca="no/such/ca.pem"), "ca='no/such/ca.pem': there is no such file"),
    ],
)
def test_servers_are_checked_and_secrets_not_shown(servers: Servers, said: str) -> None:
    sink = KafkaSink("alerts", servers, of="alerts")
    message = refused(sink)
    assert said in message
    assert "sesame" not in message + repr(sink)


def test_names_and_compressions_are_checked() -> None:
    assert "that is no name for a topic" in refused(KafkaTopic("tele/metry", HERE))
    assert "did you mean 'zstd'" in refused(KafkaSink("alerts", HERE, compression="zstandard"))


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "find_spec", lambda _: None)
    assert "pip install 'streamflow-iot[kafka]'" in refused(KafkaTopic("telemetry", HERE))


def test_properties_that_do_not_exist_are_named() -> None:
    servers = Servers(HERE, config={"fetch.max.bites": 1})
    with pytest.raises(FlowError, match=r"No such configuration property.*fetch\.max\.bites"):
        KafkaTopic("telemetry", servers).open("0", None)


class Mock:
    """librdkafka's mock cluster: a server that gives the errors it is told to give."""

    def __init__(self) -> None:
        folder = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
        self._lib = ctypes.CDLL(str(next(folder.glob("librdkafka*"))))
        for name in ("rd_kafka_new", "rd_kafka_mock_cluster_new"):
            getattr(self._lib, name).restype = ctypes.c_void_p
        self._lib.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        text = ctypes.create_string_buffer(512)
        self._client = ctypes.c_void_p(self._lib.rd_kafka_new(0, None, text, 512))
        made = self._lib.rd_kafka_mock_cluster_new(self._client, 1)
        self._cluster = ctypes.c_void_p(made)
        self._lib.rd_kafka_mock_topic_create(self._cluster, b"alerts", 1, 1)
        servers: bytes = self._lib.rd_kafka_mock_cluster_bootstraps(self._cluster)
        self.address = servers.decode()

    def fail(self, request: int, error: int, times: int) -> None:
        """Answer the next requests of a kind with an error."""
        self._lib.rd_kafka_mock_push_request_errors(self._cluster, request, times, *[error] * times)

    def stop(self) -> None:
        """Take the server away."""
        self._lib.rd_kafka_mock_broker_set_down(self._cluster, 1)

    def start(self) -> None:
        """Bring it back, with all that it holds."""
        self._lib.rd_kafka_mock_broker_set_up(self._cluster, 1)

    def close(self) -> None:
        self._lib.rd_kafka_mock_cluster_destroy(self._cluster)
        self._lib.rd_kafka_destroy(self._client)


@pytest.fixture
def mock() -> Iterator[Mock]:
    mock = Mock()
    yield mock
    mock.close()


def alerts(count: int) -> list[Event]:
    return [Event(f"id-{n}", "alert", "alert", "m", n, {"note": "x" * 50}) for n in range(count)]


def publish(mock: Mock, **config: Any) -> Any:
    servers = Servers(mock.address, config={"retry.backoff.ms": 20, **config})
    return kafka.publish("alerts", servers=servers, of="alerts").open(None)


def read(mock: Mock) -> list[str]:
    config = {"bootstrap.servers": mock.address, "group.id": "test"}
    consumer = confluent_kafka.Consumer({**config, "enable.partition.eof": True})
    consumer.assign([confluent_kafka.TopicPartition("alerts", 0, 0)])
    out: list[str] = []
    while True:
        for record in consumer.consume(100, 0.1):
            if record.error():
                consumer.close()
                return out
            out.append((record.key() or b"").decode())


def test_errors_that_pass_lose_and_repeat_nothing(mock: Mock) -> None:
    writer = publish(mock)
    mock.fail(PRODUCE, NOT_ENOUGH_REPLICAS, 3)
    writer.write(alerts(500))
    writer.snapshot()
    assert read(mock) == [f"id-{n}" for n in range(500)]
    writer.close()


@pytest.mark.parametrize(
    ("request_", "error", "said"),
    [
        (PRODUCE, TOPIC_AUTHORIZATION_FAILED, "may not write topic 'alerts': grant it"),
        (INIT_PRODUCER_ID, CLUSTER_AUTHORIZATION_FAILED, "may not produce idempotently: grant"),
    ],
)
def test_what_is_not_delivered_fails_the_snapshot(
    request_: int, error: int, said: str, mock: Mock
) -> None:
    mock.fail(request_, error, 10)
    writer = publish(mock)
    writer.write(alerts(5))
    with pytest.raises(ConnectorError, match=said):
        writer.snapshot()
    with pytest.raises(ConnectorError, match="were not delivered, so the flow stops"):
        writer.write(alerts(1))
    writer.close()


def test_more_than_the_queue_holds_waits_for_room(mock: Mock) -> None:
    writer = publish(mock, **{"queue.buffering.max.messages": 10})
    writer.write(alerts(300))
    writer.snapshot()
    assert len(read(mock)) == 300
    writer.close()


def test_a_message_that_is_too_large_is_named(mock: Mock) -> None:
    writer = publish(mock, **{"message.max.bytes": 1000})
    with pytest.raises(ConnectorError, match=r"a message of 2,\d{3} bytes is too large: raise max"):
        writer.write([Event("id", "alert", "alert", "m", 0, {"note": "x" * 2000})])
    writer.close()


def test_servers_that_are_away_are_waited_for(mock: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    from streamflow_connectors import _kafka_writer

    monkeypatch.setattr(_kafka_writer, "SLOW", 10**8)
    few = {"queue.buffering.max.messages": 10, "reconnect.backoff.max.ms": 200}
    writer = publish(mock, **few)
    given = alerts(25)
    mock.stop()
    for _ in range(2):
        with pytest.raises(NotConnected, match=r"10 messages wait: .*check servers="):
            writer.write(given)
    mock.start()
    asked_until_done(lambda: writer.write(given))
    asked_until_done(writer.snapshot)
    assert read(mock) == [f"id-{n}" for n in range(25)]
    writer.close()


def asked_until_done(what: Callable[[], Any]) -> None:
    """As the engine asks a writer whose server is away."""
    for _ in range(300):
        try:
            what()
        except NotConnected:
            continue
        return
    raise AssertionError("it is still away")
