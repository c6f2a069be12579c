"""How to reach a broker, and what to say when that fails."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from streamflow_connectors._secret import check_secret, read_secret

from streamflow import duration
from streamflow.errors import ConnectorError, FlowError

SECOND = 10**9


@dataclass(frozen=True)
class Broker:
    """How to reach a broker: what sources and sinks share.

    Parameters
    ----------
    host, port
        Where it listens; the port is 1883, with TLS 8883.
    client
        The client id. A source with QoS 1 or 2 needs one of its own: the broker keeps by it what
        the flow has not acknowledged. Two connections with one id throw each other out.
    version
        Of MQTT: 5, or 3 for 3.1.1.
    user
        The name to log in with.
    password
        Where the password or the token is: "env:VARIABLE" or "file:PATH". Read anew for every
        connection, so a token may be replaced while the flow runs.
    ca
        A file with the certificates of the authorities to trust; with it, TLS is used.
    cert, key
        Files with the certificate of this client and its key; with them, TLS is used. All
        three are read anew for every connection.
    tls
        Use TLS with the authorities that the machine trusts.
    keepalive
        A broker that has not been heard for so long, twice, is taken to be gone.
    will
        A topic that says, retained, whether the connection stands: {"online": true}, and false
        when it ends or breaks.
    """

    host: str = field(default="127.0.0.1", kw_only=True)
    port: int | None = field(default=None, kw_only=True)
    client: str | None = field(default=None, kw_only=True)
    version: Literal[3, 5] = field(default=5, kw_only=True)
    user: str | None = field(default=None, kw_only=True)
    password: str | None = field(default=None, kw_only=True)
    ca: str | Path | None = field(default=None, kw_only=True)
    cert: str | Path | None = field(default=None, kw_only=True)
    key: str | Path | None = field(default=None, kw_only=True)
    tls: bool = field(default=False, kw_only=True)
    keepalive: str = field(default="30s", kw_only=True)
    will: str | None = field(default=None, kw_only=True)

    @property
    def place(self) -> str:
        """How an error names the step."""
        raise NotImplementedError

    @property
    def encrypted(self) -> bool:
        """Whether TLS is used."""
        return bool(self.tls or self.ca or self.cert)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port or (8883 if self.encrypted else 1883)

    @property
    def url(self) -> str:
        """The broker, for people."""
        host, port = self.address
        return f"mqtt{'s' if self.encrypted else ''}://{host}:{port}"

    def check_broker(self) -> None:
        """Raise FlowError for what can be known to be wrong before anything connects."""
        try:
            import aiomqtt  # noqa: F401
        except ImportError:
            raise FlowError(
                f'{self.place} needs aiomqtt: pip install "streamflow-iot[mqtt]"'
            ) from None
        if self.version not in (3, 5):
            raise FlowError(f"{self.place}: version={self.version!r}; MQTT 5, or 3 for 3.1.1")
        if not 1 <= self.alive <= 65_535:
            raise FlowError(f"{self.place}: keepalive={self.keepalive!r} must be 1s to 18h")
        if self.password is not None:
            check_secret(self.place, "password", self.password)
        if self.key and not self.cert:
            raise FlowError(f"{self.place}: key= is that of a certificate; name it, too, as cert=")
        if self.client is not None and not 1 <= len(self.client.encode()) <= 65_535:
            raise FlowError(f"{self.place}: client={self.client!r} must have 1 to 65,535 bytes")
        self.secret()
        self.context()

    @property
    def alive(self) -> int:
        """`keepalive` in seconds."""
        return duration(self.keepalive) // SECOND

    def secret(self) -> str | None:
        """The password, read now."""
        return self.password and read_secret(self.place, "password", self.password)

    def context(self) -> ssl.SSLContext | None:
        """What TLS needs, read now; None without TLS."""
        if not self.encrypted:
            return None
        for key in ("ca", "cert", "key"):
            path = getattr(self, key)
            if path is not None and not Path(path).is_file():
                raise FlowError(f"{self.place}: {key}={str(path)!r}: there is no such file")
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert:
                context.load_cert_chain(self.cert, self.key)
        except (ssl.SSLError, OSError) as error:
            raise FlowError(
                f"{self.place}: ca=, cert= or key= cannot be used: {error.strerror or error}; they "
                f"are PEM files, and key= belongs to cert="
            ) from None
        return context


_REFUSED = {
    "Bad user name or password": "the broker does not accept user= and password=",
    "Not authorized": "the broker does not let this client in: check user=, password=, cert=, "
    "client= and the broker's access list",
    "Client identifier not valid": "the broker does not accept client=; choose another id",
    "Unsupported protocol version": "the broker does not speak this version of MQTT; try version=3",
    "Server unavailable": "the broker is not available now",
    "Banned": "the broker has banned this client",
    "Keep alive timeout": "the broker was not heard for longer than keepalive= allows",
    "Unspecified error": "the connection broke",
    "Session taken over": "another client has connected with the same id; client= must be unique",
}
"""What a broker answers to CONNECT -> what it means."""


def explain(broker: Broker, error: BaseException, last_words: str = "") -> str:
    """Why there is no connection, in one sentence with what to do about it."""
    return f"{broker.place}: no connection to {broker.url}: {_why(broker, error, last_words)}"


def _why(broker: Broker, error: BaseException, last_words: str) -> str:
    text = str(error)
    for answer, meaning in _REFUSED.items():
        if answer.lower() in text.lower():
            return meaning
    cause = error.__cause__ or error.__context__ or error
    for thing in (error, cause):
        if isinstance(thing, ssl.SSLCertVerificationError):
            return _certificate(broker, thing)
        if isinstance(thing, ssl.SSLError):
            return f"TLS failed ({thing.reason or thing}); does the port speak TLS?"
        if isinstance(thing, socket.gaierror):
            return f"there is no host {broker.host!r}; check host="
        if isinstance(thing, ConnectionRefusedError):
            return "nothing listens there; is the broker running, is port= right?"
    words = f"{last_words} {text}".upper()
    if "CERTIFICATE" in words and "ALERT" in words:
        if "EXPIRED" in words:
            return (
                "the broker says that the certificate of this client (cert=) has expired; renew it"
            )
        if "REQUIRED" in words or not broker.cert:
            return "the broker wants a certificate of this client; name it as cert= and key="
        return "the broker does not accept the certificate of this client (cert=)"
    if not last_words and ("TIMED OUT" in words or isinstance(cause, TimeoutError)):
        return "no answer in time; is that a broker of MQTT, does a firewall stand between?"
    if isinstance(cause, (FlowError, ConnectorError)):
        return str(cause).removeprefix(f"{broker.place}: ")
    return " ".join((last_words or text or type(error).__name__).split())


def _certificate(broker: Broker, error: ssl.SSLCertVerificationError) -> str:
    why = str(error.verify_message)
    if "expired" in why:
        return "the broker's certificate has expired; renew it"
    if "not yet valid" in why:
        return "the broker's certificate is not valid yet; is this machine's clock right?"
    if "mismatch" in why.lower() or "not valid for" in why:
        return f"the broker's certificate is for another name than {broker.host!r}; check host="
    return f"the broker's certificate is not trusted ({why}); name its authority as ca="
