"""A real Mosquitto on loopback, with a folder of its own; and a client to publish with."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PATIENCE = 30
SBIN = "/usr/sbin/mosquitto"
"""Where Debian puts it, which is not on everybody's path."""


def program() -> str | None:
    """Mosquitto's path, if it is installed."""
    return shutil.which("mosquitto") or (SBIN if Path(SBIN).exists() else None)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass
class Mosquitto:
    """A broker that can be started, stopped and killed.

    Parameters
    ----------
    folder
        For its configuration, its log and its data.
    settings
        Lines of its configuration, beside the listener.
    listener
        Lines that follow the listener.
    """

    folder: Path
    settings: tuple[str, ...] = ("max_queued_messages 0",)
    listener: tuple[str, ...] = ("allow_anonymous true",)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        path = program()
        assert path
        conf = self.folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", *self.listener, *self.settings]
        # As root it would change to a user who may not write here.
        conf.write_text("\n".join([*lines, "user root", "log_dest stdout", "sys_interval 1"]))
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([path, "-c", str(conf)], stdout=log, stderr=log)
        until(self._listens)

    def _listens(self) -> bool:
        assert self.process
        assert self.process.poll() is None, (self.folder / "mosquitto.log").read_text()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def stop(self) -> None:
        """SIGTERM: it writes its data down, if it keeps any."""
        if self.process:
            self.process.terminate()
            self.process.wait(PATIENCE)

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process
        self.process.kill()
        self.process.wait(PATIENCE)

    @contextmanager
    def client(self, **options: Any) -> Iterator[Person]:
        """Somebody who publishes and listens."""
        person = Person(self.port, **options)
        try:
            yield person
        finally:
            person.close()


MakeBroker = Callable[..., Mosquitto]


@contextmanager
def brokers(folder: Path, missing: Callable[[str], None]) -> Iterator[MakeBroker]:
    """A function that makes brokers, started unless told otherwise; all are stopped at the end."""
    if program() is None:
        missing("mosquitto: sh tests/servers/install.sh")
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
