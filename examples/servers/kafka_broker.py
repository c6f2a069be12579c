"""A Kafka broker of one's own on this machine, without Docker: for trying things out, and tests.

sh tests/servers/install_kafka.sh gets Kafka. Then

    python examples/servers/kafka_broker.py --topic telemetry --topic alerts

runs a broker on 127.0.0.1:9092 until Ctrl-C; both.py runs one, and a Mosquitto.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

VERSION = "4.1.2"
PATIENCE = 90
"""Seconds that a broker has to start."""


class Missing(Exception):
    """What is needed to run a broker is not installed."""


def jars() -> Path:
    """Where Kafka is; Missing if it is nowhere."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get("KAFKA_JARS") or cache / "streamflow" / f"kafka-{VERSION}")
    if not shutil.which("java") or not any(folder.glob("kafka_*.jar")):
        raise Missing(f"Kafka {VERSION} and Java 17: sh tests/servers/install_kafka.sh")
    return folder


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Broker:
    """One broker in KRaft mode, on loopback.

    Parameters
    ----------
    folder
        Where it keeps its data, its settings and its log.
    port
        Where clients reach it without login.
    listeners
        Other listeners: name -> (port, protocol, as in "SASL_PLAINTEXT").
    settings
        Other settings of the broker.
    scram
        user -> password, for SCRAM-SHA-512.
    """

    def __init__(
        self,
        folder: Path,
        port: int = 9092,
        listeners: Mapping[str, tuple[int, str]] | None = None,
        settings: Mapping[str, str] | None = None,
        scram: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, self.port = folder, port
        self.address = f"127.0.0.1:{port}"
        self.process: subprocess.Popen[bytes] | None = None
        self._java = ["java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        self._java += ["-cp", f"{jars()}/*"]
        self._file = folder / "server.properties"
        if not self._file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            self._write(dict(listeners or {}), dict(settings or {}))
            self._format(dict(scram or {}))

    def _write(self, listeners: dict[str, tuple[int, str]], settings: dict[str, str]) -> None:
        control = free_port()
        ports = {"PLAINTEXT": (self.port, "PLAINTEXT"), **listeners}
        reached = ",".join(f"{name}://127.0.0.1:{port}" for name, (port, _) in ports.items())
        protocols = ",".join(f"{name}:{protocol}" for name, (_, protocol) in ports.items())
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": f"{reached},CONTROLLER://127.0.0.1:{control}",
            "advertised.listeners": reached,
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": f"{protocols},CONTROLLER:PLAINTEXT",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{control}",
            "log.dirs": str(self.folder / "data"),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "auto.create.topics.enable": "false",
            **settings,
        }
        self._file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))

    def _format(self, scram: dict[str, str]) -> None:
        command = [*self._java, "kafka.tools.StorageTool", "format", "--standalone"]
        command += ["--cluster-id", "c3RyZWFtZmxvdy10ZXN0cw", "--config", str(self._file)]
        for user, password in scram.items():
            command += ["--add-scram", f"SCRAM-SHA-512=[name={user},password={password}]"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"Kafka cannot prepare {self.folder}: {done.stdout}{done.stderr}")

    def start(self) -> Broker:
        """Start it, and wait until it answers."""
        with (self.folder / "broker.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self._java, "kafka.Kafka", str(self._file)],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # a Ctrl-C is for who started it
            )
        end = time.monotonic() + PATIENCE
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                tail = (self.folder / "broker.log").read_text()[-2000:]
                raise RuntimeError(f"Kafka did not start: {tail}")
            time.sleep(0.1)
        return self

    def _answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def make_topics(self, names: Sequence[str]) -> None:
        """Make topics that are not there, with two partitions each."""
        from confluent_kafka.admin import AdminClient, NewTopic

        admin = AdminClient({"bootstrap.servers": self.address})
        there = admin.list_topics(timeout=30).topics
        new = [NewTopic(name, 2, 1) for name in names if name not in there]
        for made in (admin.create_topics(new) if new else {}).values():
            made.result(30)

    def stop(self) -> None:
        """End it in good order."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)


def main() -> None:
    """Run a broker until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Run a Kafka broker on 127.0.0.1 until Ctrl-C.")
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--topic", action="append", default=[], help="make a topic")
    parser.add_argument("--folder", type=Path, help="keep its data here (default: nowhere)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as nowhere:
        broker = Broker((options.folder or Path(nowhere)).resolve(), options.port).start()
        try:
            broker.make_topics(options.topic)
            print(f"Kafka is at {broker.address}; Ctrl-C ends it", flush=True)
            signal.pause()
        finally:
            broker.stop()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        main()
