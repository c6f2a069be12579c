"""A way to a server that can be cut, or swallow everything without a word."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress


class Proxy:
    """Forwards connections to a port on loopback, after so many seconds each way."""

    def __init__(self, to: int, delay: float = 0) -> None:
        self._to, self._delay = to, delay
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self.passes = threading.Event()
        """While it is not set, nothing is forwarded and nothing is refused: a black hole."""
        self.passes.set()
        self.refuses = threading.Event()
        """While it is set, who comes is turned away."""
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break all connections."""
        while self._open:
            one = self._open.pop()
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Take no more."""
        self.passes.set()
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                if self.refuses.is_set():
                    ours.close()
                    continue
                theirs = socket.create_connection(("127.0.0.1", self._to))
                self._open += [ours, theirs]
                for one, other in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=self._forward, args=(one, other), daemon=True).start()

    def _forward(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                self.passes.wait()
                time.sleep(self._delay)
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
