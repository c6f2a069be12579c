"""Real servers on loopback that hear what a flow tells people: one of HTTP, one of SMTP."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

Answer = tuple[int, dict[str, str]]
OK: Answer = (200, {})


@dataclass
class Web:
    """What an HTTP server has heard, and what it answers next; then it answers 200."""

    url: str
    answers: list[Answer | threading.Event] = field(default_factory=list)
    heard: list[tuple[dict[str, str], Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def bodies(self) -> list[Any]:
        return [body for _, body in self.heard]


@contextmanager
def web_server(context: ssl.SSLContext | None = None) -> Iterator[Web]:
    """A server that is gone at the end."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            answer = web.answers.pop(0) if web.answers else OK
            if isinstance(answer, threading.Event):  # too slow for who asks
                answer.wait(20)
                self.close_connection = True
                return
            code, headers = answer
            if code < 300:
                told = {name.lower(): value for name, value in self.headers.items()}
                web.heard.append((told | {"raw": raw.decode()}, json.loads(raw)))
            web.paths.append(self.path)
            # Spiteful: the server's own words repeat what it was sent.
            self.send_response(code, f"no {self.path}")
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if context:
        scheme = "https"
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    web = Web(f"{scheme}://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Mailbox:
    """What an SMTP server has taken, and the codes that it answers next; then it takes all."""

    port: int = 0
    codes: list[int] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    to: list[Sequence[str]] = field(default_factory=list)
    logins: int = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.codes:
            return f"{self.codes.pop(0)} not now"
        self.mails.append(BytesParser(policy=default).parsebytes(envelope.content))  # type: ignore[arg-type]
        self.to.append(envelope.rcpt_tos)
        return "250 taken"

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address.startswith("nobody"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 fine"


@contextmanager
def smtp_server(
    login: tuple[str, str] | None = None,
    context: ssl.SSLContext | None = None,
    *,
    from_the_start: bool = False,
) -> Iterator[Mailbox]:
    """A server that is gone at the end; with a context it wants TLS, with a login that, too."""
    box = Mailbox()

    def admits(_server: Any, _session: Any, _envelope: Any, _how: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        good = login == (data.login.decode(), data.password.decode())
        box.logins += good
        # Spiteful: the server's own words repeat the password.
        refusal = f"535 not {data.password.decode()}"
        return AuthResult(success=good, handled=good, message=None if good else refusal)

    class Server(Controller):
        def factory(self) -> SMTP:
            wants = {"authenticator": admits, "auth_required": True} if login else {}
            tls = {} if from_the_start else {"tls_context": context, "require_starttls": True}
            plain = {"auth_require_tls": False} if from_the_start else {}
            return SMTP(self.handler, **wants, **(tls if context else {}), **plain)

    own = {"ssl_context": context} if from_the_start else {}
    server = Server(box, hostname="127.0.0.1", port=free_port(), **own)
    box.port = server.port
    server.start()
    try:
        yield box
    finally:
        server.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def serving(certificate: Any, key: Any) -> ssl.SSLContext:
    """The server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
