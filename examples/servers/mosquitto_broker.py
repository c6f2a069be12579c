"""A Mosquitto broker of one's own on this machine, without Docker: for examples and tests.

On Debian and Ubuntu, `apt-get install mosquitto`. `both.py` beside it runs one on 127.0.0.1:1883.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from kafka_broker import Missing, free_port

PATIENCE = 30
SBIN = "/usr/sbin/mosquitto"
"""Where Debian puts it, which is not on everybody's path."""
KEEPS = ("max_queued_messages 0", "persistence true", "autosave_interval 1")
"""Settings with which it keeps what it was given, but for the last second before a kill."""


def program() -> str:
    """Mosquitto's path; Missing if it is not installed."""
    path = shutil.which("mosquitto") or (SBIN if Path(SBIN).exists() else None)
    if path is None:
        raise Missing("mosquitto: apt-get install mosquitto")
    return path


@dataclass
class Mosquitto:
    """A broker that can be started, stopped and killed, on loopback.

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
        conf = self.folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", *self.listener, *self.settings]
        # As root it would change to a user who may not write here.
        conf.write_text("\n".join([*lines, "user root", "log_dest stdout", "sys_interval 1"]))
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen(
                [path, "-c", str(conf)],
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for who started it
            )
        end = time.monotonic() + PATIENCE
        while not self._listens():
            said = (self.folder / "mosquitto.log").read_text()
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError(f"Mosquitto did not start: {said[-2000:]}")
            time.sleep(0.005)

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def stop(self) -> None:
        """SIGTERM: it writes its data down, if it keeps any."""
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """SIGKILL."""
        if self.process:
            self.process.kill()
            self.process.wait(PATIENCE)
