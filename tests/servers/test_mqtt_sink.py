"""The MQTT sink on a real Mosquitto: what is durable is confirmed, what is not comes again."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mosquitto import MakeBroker, Mosquitto, until
from proxy import Proxy
from streamflow_connectors import mqtt

from streamflow import Batch, DeadLetter, Event, Writer
from streamflow.errors import ConnectorError


@pytest.fixture
def open_() -> Iterator[Callable[[mqtt.Publish], Writer]]:
    """Open a sink; what is open at the end is closed."""
    writers: list[Any] = []

    def make(sink: mqtt.Publish) -> Writer:
        writers.append(sink.open(None))
        return writers[-1]  # type: ignore[no-any-return]

    yield make
    for writer in writers:
        writer._outbox.close()


def events(count: int, start: int = 0) -> list[Event]:
    return [
        Event(f"id{i}", "alert", "alert", f"pump-{i % 3}", i * 10**9, {"t": 1.5})
        for i in range(start, start + count)
    ]


@pytest.mark.parametrize("version", [3, 5])
def test_alerts_carry_their_id_and_go_to_the_topic_of_their_device(
    broker: Mosquitto, open_: Any, version: Any
) -> None:
    with broker.client() as listener:
        listener.listen("alerts/+")
        sink = mqtt.publish("alerts/{device}", of="alerts", port=broker.port, version=version)
        writer = open_(sink)
        writer.write(events(3))
        writer.snapshot()
        until(lambda: len(listener.heard) == 3)
    first = listener.heard[0]
    assert (first.topic, first.qos) == ("alerts/pump-0", 1)
    assert json.loads(first.payload) == {
        "id": "id0",
        "kind": "alert",
        "step": "alert",
        "device": "pump-0",
        "time": "1970-01-01T00:00:00Z",
        "t": 1.5,
    }
    carried = getattr(first.properties, "UserProperty", None)
    assert carried == ([("id", "id0")] if version == 5 else None)


def test_an_epoch_does_not_wait_for_a_delayed_acknowledgement_of_tcp(
    broker: Mosquitto, open_: Any
) -> None:
    writer = open_(mqtt.publish("alerts", of="alerts", port=broker.port))
    until(lambda: writer.counts()["connected"])
    quick = 0
    for _ in range(10):
        for n in range(30):
            writer.write(events(1))
            time.sleep(0.0003 if n % 3 else 0.01)
        writer.write(events(1))
        writer.write(events(1))
        began = time.perf_counter()
        writer.snapshot()
        quick += time.perf_counter() - began < 0.035  # without care half of them take 40 ms
    assert quick >= 8


def test_rows_and_dead_letters_are_published_too(broker: Mosquitto, open_: Any) -> None:
    with broker.client() as listener:
        listener.listen("#")
        rows = open_(mqtt.publish("rows/{device}/{site}", of="rows", port=broker.port))
        rows.write(Batch.of([{"device": "a/b", "time": 0, "t": float("nan")}], ["t"], ["site"]))
        rows.snapshot()
        dead = open_(mqtt.publish("dead", of="dead_letters", port=broker.port))
        dead.write([DeadLetter(b"\xff", "not JSON", "mqtt", "0", "t/a")])
        dead.snapshot()
        until(lambda: len(listener.heard) == 2)
    assert [m.topic for m in listener.heard] == ["rows/a_b/_", "dead"]
    assert json.loads(listener.heard[0].payload)["t"] is None


def test_a_snapshot_returns_only_when_the_broker_has_confirmed(
    broker: Mosquitto, open_: Any, caplog: pytest.LogCaptureFixture
) -> None:
    proxy = Proxy(broker.port)
    sink = mqtt.publish("a", of="alerts", port=proxy.port, keepalive="1s")
    writer = open_(sink)
    until(lambda: writer.counts()["connected"])
    proxy.passes.clear()
    writer.write(events(10))
    done = threading.Event()

    def snapshot() -> None:
        writer.snapshot()
        done.set()

    threading.Thread(target=snapshot, daemon=True).start()
    assert not done.wait(0.3)
    assert writer.counts()["unconfirmed"] == 10
    proxy.cut()
    with broker.client() as listener:
        listener.listen("a")
        proxy.passes.set()
        assert done.wait(60)
        until(lambda: len({m.payload for m in listener.heard}) == 10)
    assert writer.counts()["unconfirmed"] == 0
    proxy.close()


def test_what_a_broker_did_not_confirm_is_published_again_in_order(
    make_broker: MakeBroker, open_: Any
) -> None:
    broker = make_broker()
    writer = open_(mqtt.publish("a", of="alerts", port=broker.port))
    writer.write(events(100))
    writer.snapshot()
    broker.kill()
    writer.write(events(500, start=100))
    broker.start()
    with broker.client() as listener:
        listener.listen("a")
        writer.write(events(100, start=600))
        writer.snapshot()
        until(lambda: listener.heard and listener.heard[-1].payload.endswith(b'"t":1.5}'))
        until(lambda: json.loads(listener.heard[-1].payload)["id"] == "id699")
    numbers = [int(json.loads(m.payload)["id"][2:]) for m in listener.heard]
    assert numbers == sorted(numbers)
    assert numbers[-100:] == list(range(600, 700))


def test_the_flow_waits_for_a_broker_that_takes_nothing(
    broker: Mosquitto, open_: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamflow_connectors import _mqtt_outbox

    monkeypatch.setattr(_mqtt_outbox, "MOST", 100)
    proxy = Proxy(broker.port)
    proxy.passes.clear()
    writer = open_(mqtt.publish("a", of="alerts", port=proxy.port))
    thread = threading.Thread(target=writer.write, args=(events(500),), daemon=True)
    thread.start()
    until(lambda: writer.counts()["unconfirmed"] == 100)
    thread.join(0.2)
    assert thread.is_alive()
    assert writer.counts()["unconfirmed"] == 100
    proxy.passes.set()
    thread.join()
    writer.snapshot()
    assert writer.counts()["published"] == 500
    proxy.close()


def test_a_message_that_is_too_large_for_the_broker_is_named(
    make_broker: MakeBroker, open_: Any
) -> None:
    broker = make_broker(settings=("max_packet_size 2000",))
    writer = open_(mqtt.publish("a", of="alerts", port=broker.port))
    big = Event("id", "alert", "alert", "a", 0, {"why": "x" * 3000})
    writer.write([big])
    with pytest.raises(ConnectorError, match="and the broker takes 2,000 at most"):
        writer.snapshot()


def test_at_the_end_all_is_confirmed(broker: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), broker.client() as listener:
        listener.listen("a")
        writer = mqtt.publish("a", of="alerts", port=broker.port).open(None)
        writer.write(events(1000))
        writer.close()
        until(lambda: len(listener.heard) == 1000)
    assert caplog.text == ""


def test_retained_is_what_the_broker_keeps(broker: Mosquitto, open_: Any) -> None:
    writer = open_(mqtt.publish("a/{device}", of="alerts", port=broker.port, retain=True))
    writer.write(events(6))
    writer.snapshot()
    with broker.client() as listener:
        listener.listen("a/+")
        until(lambda: len(listener.heard) == 3)
