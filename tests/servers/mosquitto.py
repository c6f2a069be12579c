"""Mosquittos for tests, on loopback, each with a folder of its own; and a client for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kafka_broker import Missing, free_port
from mosquitto_broker import Mosquitto as Broker
from mosquitto_broker import program
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

__all__ = ["MakeBroker", "Mosquitto", "Person", "brokers", "free_port", "until", "with_id"]

PATIENCE = 60
"""Seconds after which something that should have happened is taken not to happen."""


class Mosquitto(Broker):
    """A broker, and who talks to it."""

    @contextmanager
    def client(self, **options: Any) -> Iterator[Person]:
        """Somebody who publishes and listens."""
        with Person.of(self.port, **options) as person:
            yield person


MakeBroker = Callable[..., Mosquitto]


@contextmanager
def brokers(folder: Path, missing: Callable[[str], None]) -> Iterator[MakeBroker]:
    """A function that makes brokers, started unless told otherwise; all are stopped at the end."""
    try:
        program()
    except Missing as error:
        missing(str(error))
    made: list[Mosquitto] = []

    def make(*, started: bool = True, **options: Any) -> Mosquitto:
        place = folder / f"broker-{len(made)}"
        place.mkdir()
        made.append(Mosquitto(place, **options))
        if started:
            made[-1].start()
        return made[-1]

    yield make
    for broker in made:
        broker.stop()


class Person:
    """A plain paho client, waiting for every answer."""

    def __init__(self, port: int, client_id: str = "", version: int = MQTTv5) -> None:
        self.paho = Client(CallbackAPIVersion.VERSION2, client_id, protocol=version)
        self.paho.max_inflight_messages_set(500 if version == MQTTv311 else 20)
        self.heard: list[MQTTMessage] = []
        self.paho.on_message = lambda _client, _data, message: self.heard.append(message)
        self._subscribed = 0

        def subscribed(*_: object) -> None:
            self._subscribed += 1

        self.paho.on_subscribe = subscribed
        self.paho.connect("127.0.0.1", port)
        self.paho.loop_start()
        until(self.paho.is_connected)

    @classmethod
    @contextmanager
    def of(cls, port: int, **options: Any) -> Iterator[Person]:
        """Somebody who is gone at the end."""
        person = cls(port, **options)
        try:
            yield person
        finally:
            person.close()

    def say(self, messages: Iterable[tuple[str, bytes]], qos: int = 1, **more: Any) -> None:
        """Publish, and wait until the broker has confirmed all."""
        infos = [self.paho.publish(topic, payload, qos, **more) for topic, payload in messages]
        for info in infos:
            info.wait_for_publish(PATIENCE)
            assert info.is_published()

    def listen(self, topic: str, qos: int = 1) -> None:
        """Subscribe."""
        count = self._subscribed
        self.paho.subscribe(topic, qos)
        until(lambda: self._subscribed > count)

    def close(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()


def with_id(id_: str) -> Properties:
    """The user property "id" of a message."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = ("id", id_)
    return properties


def until(happened: Any, seconds: float = PATIENCE) -> None:
    """Wait until something has happened; an error if it does not."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"did not happen within {seconds} s"
        time.sleep(0.005)
