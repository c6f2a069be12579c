"""Health: /metrics, /ping and /ready over HTTP, on loopback unless told otherwise."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from streamflow.engine.job import Job
from streamflow.engine.metrics import Metrics
from streamflow.errors import FlowError

_PATIENCE = 10 * 10**9
"""Without progress for so many ns, or five epochs if that is more, a flow is not ready."""


def readiness(job: Job) -> str | None:
    """None if the flow makes progress, else what keeps it from being ready.

    With state, progress is an epoch that became durable lately; without, a source that was
    lately asked for more. That the process is alive is not enough.
    """
    if job.stopping:
        return "the flow is stopping"
    patience = max(_PATIENCE, 5 * job.epoch)
    last = job.last_commit if job.state else job.last_poll
    if last is None:
        return "the flow is starting: no epoch is durable yet" if job.state else "it is starting"
    silent = job.clock.monotonic() - last
    if silent > patience:
        what = "no epoch became durable" if job.state else "no source was polled"
        return f"{what} for {silent / 1e9:.0f} s"
    return None


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of "127.0.0.1:9108", ":9108" or "9108"; the host is loopback by default.

    >>> parse_address("9108")
    ('127.0.0.1', 9108)
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 <= int(port) < 65536:
        raise FlowError(f"--metrics {text}: write it as HOST:PORT, such as 127.0.0.1:9108")
    return host or "127.0.0.1", int(port)


@contextmanager
def serve(job: Job, host: str, port: int, process: int = 0) -> Iterator[int]:
    """Serve while the block runs; the port. Process n of a cluster takes the n-th port after."""
    metrics = Metrics(job, process)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(200, "text/plain; version=0.0.4; charset=utf-8", metrics.text())
            elif path == "/ping":
                self._answer(200, "text/plain", b"pong\n")
            elif path == "/ready":
                problem = readiness(job)
                body = json.dumps({"ready": problem is None, "reason": problem}).encode()
                self._answer(200 if problem is None else 503, "application/json", body)
            else:
                self._answer(404, "text/plain", b"there is /metrics, /ping and /ready\n")

        def _answer(self, code: int, kind: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """A scrape is not worth a line."""

    own = port + process if port else 0
    try:
        server = ThreadingHTTPServer((host, own), Handler)
    except OSError as error:
        raise FlowError(f"--metrics {host}:{own}: {error.strerror}; choose another port") from None
    thread = threading.Thread(target=server.serve_forever, name="streamflow-health", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
