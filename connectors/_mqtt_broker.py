"""How to reach a broker, and what to say when that fails."""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from streamflow_connectors._secrets import secret

from streamflow import duration
from streamflow.errors import ConnectorError, FlowError

SECOND = 10**9
CLOSED = "closed before it was answered"
_HOST = re.compile(r"[\w.:-]+")


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
    user, password_env, password_file
        Who logs in. The password, or the token, is in an environment variable or in the first
        line of a file. The file is read anew for every connection, so a token may be replaced
        while the flow runs.
    ca
        A file with the certificates of the authorities to trust; with it, TLS is used.
    certificate, key
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
    password_env: str = field(default="", kw_only=True)
    password_file: str | Path | None = field(default=None, kw_only=True)
    ca: str | Path | None = field(default=None, kw_only=True)
    certificate: str | Path | None = field(default=None, kw_only=True)
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
        return bool(self.tls or self.ca or self.certificate)

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
        if not _HOST.fullmatch(self.host):  # it is not shown: a password may have slipped in
            raise FlowError(
                f'{self.place}: host= is a name or an address, as in host="broker.local"; who logs '
                f"in is said with user= and password_env="
            )
        if self.key and not self.certificate:
            raise FlowError(f"{self.place}: key= is that of a certificate=; name it, too")
        if self.client is not None and not 1 <= len(self.client.encode()) <= 65_535:
            raise FlowError(f"{self.place}: client={self.client!r} must have 1 to 65,535 bytes")
        self.password()
        self.context()

    @property
    def alive(self) -> int:
        """`keepalive` in seconds."""
        return duration(self.keepalive) // SECOND

    def password(self) -> str | None:
        """The password, read now."""
        return secret(self.place, "password", self.password_env, self.password_file)

    def context(self) -> ssl.SSLContext | None:
        """What TLS needs, read now; None without TLS."""
        if not self.encrypted:
            return None
        for key in ("ca", "certificate", "key"):
            path = getattr(self, key)
            if path is not None and not Path(path).is_file():
                raise FlowError(f"{self.place}: {key}={str(path)!r}: there is no such file")
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate:
                context.load_cert_chain(self.certificate, self.key)
        except (ssl.SSLError, OSError) as error:
            raise FlowError(
                f"{self.place}: ca=, certificate= or key= cannot be used: "
                f"{error.strerror or error}; they are PEM files, and key= is that of certificate="
            ) from None
        return context


_REFUSED = {
    "Bad user name or password": "the broker does not accept user= and its password",
    "Not authorized": "the broker does not let this client in; check user=, its password, "
    "certificate=, client=, and the broker's access list",
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
    told = _alert(broker, f"{last_words} {text}".upper())
    for answer, meaning in () if told else _REFUSED.items():
        if answer.lower() in text.lower():
            told = meaning
            break
    for thing in () if told else (error, error.__cause__ or error.__context__):
        told = told or _system(broker, thing)
    return told or " ".join((last_words or text or type(error).__name__).split())


def _alert(broker: Broker, words: str) -> str:
    """What TLS was told by the other side about the certificate of this one."""
    if not ("CERTIFICATE" in words and "ALERT" in words) and "UNKNOWN_CA" not in words:
        return ""
    if "EXPIRED" in words:
        return "the broker says that certificate= has expired; renew it"
    if "REQUIRED" in words or not broker.certificate:
        return "the broker wants a certificate of this client; name certificate= and key="
    return "the broker does not accept certificate=; is it of an authority that it trusts?"


def _system(broker: Broker, error: BaseException | None) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(broker, error)
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or error}); does the port speak TLS?"
    if isinstance(error, socket.gaierror):
        return f"there is no host {broker.host!r}; check host="
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there; is the broker running, is port= right?"
    if isinstance(error, ConnectionError) or CLOSED in str(error):
        should = "speak TLS" if broker.encrypted else "want TLS, with ca= or tls=True"
        return f"it was closed before the broker answered; does the port {should}?"
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return "no answer in time; is that a broker of MQTT, does a firewall stand between?"
    if isinstance(error, (FlowError, ConnectorError)):
        return str(error).removeprefix(f"{broker.place}: ")
    return ""


def _certificate(broker: Broker, error: ssl.SSLCertVerificationError) -> str:
    why = str(error.verify_message)
    if "expired" in why:
        return "the broker's certificate has expired; renew it"
    if "not yet valid" in why:
        return "the broker's certificate is not valid yet; is this machine's clock right?"
    if "mismatch" in why.lower() or "not valid for" in why:
        return f"the broker's certificate is for another name than {broker.host!r}; check host="
    return f"the broker's certificate is not trusted ({why}); name its authority as ca="
