"""What all Kafka clients share: where the servers are, who logs in, and errors in plain words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamflow_connectors._secrets import secret

from streamflow.errors import FlowError

if TYPE_CHECKING:  # it takes a moment to load, and need not be installed for a look at the options
    from confluent_kafka import KafkaError

READER_OWNED = (
    "auto.offset.reset",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "group.id",
)
"""Properties of a source that are not for `config` to set."""
WRITER_OWNED = ("acks", "request.required.acks", "enable.idempotence", "delivery.report.only.error")
"""Those of a sink."""
PATIENCE = 10.0
"""Seconds that a server has to answer a question."""
SOON = 2.0
"""Seconds after which one that cannot be reached is not waited for."""
_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+):\d{1,5}")
_SECRET = re.compile(r"password|secret|jaas|token|\bpem\b")
AWAY = (
    "_ALL_BROKERS_DOWN",
    "_MSG_TIMED_OUT",
    "_TIMED_OUT",
    "_TRANSPORT",
    "_RESOLVE",
)
REFUSED = (
    "_AUTHENTICATION",
    "SASL_AUTHENTICATION_FAILED",
    "_SSL",
    "_UNKNOWN_TOPIC",
    "UNKNOWN_TOPIC_OR_PART",
    "TOPIC_AUTHORIZATION_FAILED",
    "CLUSTER_AUTHORIZATION_FAILED",
)
"""What another try does not mend."""


@dataclass(frozen=True)
class Servers:
    """A Kafka cluster, and who logs in there. Several sources and sinks can share one.

    Parameters
    ----------
    addresses
        host:port of one or more brokers, with commas between.
    user, password_env, password_file, mechanism
        Log in with SASL. The password is in an environment variable or in the first line of a
        file. The mechanism is "SCRAM-SHA-512", "SCRAM-SHA-256" or "PLAIN".
    tls
        Encrypt. Servers are checked against the authorities that the system trusts.
    ca
        A file with the authorities to trust in their place; says `tls`, too.
    certificate, key, key_password_env
        Files with a certificate of one's own and its key, where servers ask for one; and the
        environment variable with the password of that key.
    config
        Other properties of librdkafka, by their names there.

    Examples
    --------
    >>> Servers("kafka-1:9093,kafka-2:9093", user="plant", password_env="KAFKA_PASSWORD")
    Servers('kafka-1:9093,kafka-2:9093', user='plant')
    """

    addresses: str
    user: str = field(default="", kw_only=True)
    password_env: str = field(default="", kw_only=True)
    password_file: str | Path | None = field(default=None, kw_only=True)
    mechanism: str = field(default="SCRAM-SHA-512", kw_only=True)
    tls: bool = field(default=False, kw_only=True)
    ca: str | Path | None = field(default=None, kw_only=True)
    certificate: str | Path | None = field(default=None, kw_only=True)
    key: str | Path | None = field(default=None, kw_only=True)
    key_password_env: str = field(default="", kw_only=True)
    config: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def __repr__(self) -> str:
        """Addresses and user; nothing that could be a secret."""
        user = f", user={self.user!r}" if self.user else ""
        return f"Servers({self.shown!r}{user})"

    @property
    def shown(self) -> str:
        """The addresses, if they are nothing but addresses: a password may have slipped in."""
        parts = [part.strip() for part in self.addresses.split(",")]
        return ",".join(part if _SERVER.fullmatch(part) else "?" for part in parts)

    def check(self, place: str, owned: Sequence[str]) -> None:
        """Raise FlowError for what is wrong with it, or is not for `config` to say."""
        if "?" in self.shown:
            raise FlowError(
                f'{place}: servers= holds something that is not host:port, as in "kafka-1:9092" or '
                f'"kafka-1:9092,kafka-2:9092"; who logs in is said with Servers(..., user=, '
                f"password_env=)"
            )
        if bool(self.user) != bool(self.password_env or self.password_file):
            raise FlowError(
                f"{place}: user= belongs together with password_env= or password_file=, which say "
                f"where the password is; one of them is missing"
            )
        for name in self.config:
            if _SECRET.search(name):
                raise FlowError(
                    f"{place}: config= holds {name!r}, which is a secret; use password_env=, "
                    f"password_file= or key_password_env="
                )
            if name in owned:
                raise FlowError(
                    f"{place}: config= holds {name!r}, which the promise rests on; leave it out"
                )
        for name in ("ca", "certificate", "key"):
            file = getattr(self, name)
            if file and not Path(file).is_file():
                raise FlowError(f"{place}: {name}={str(file)!r}: there is no such file")
        self.properties(place)

    def properties(self, place: str) -> dict[str, Any]:
        """What librdkafka is to know, secrets included; `config` is not in it."""
        given: dict[str, Any] = {
            "bootstrap.servers": self.addresses,
            "client.id": "streamflow",
            "log_level": 0,  # what matters is said in our own words
            "reconnect.backoff.max.ms": 2000,
            "socket.keepalive.enable": True,
        }
        tls = self.tls or self.ca is not None or self.certificate is not None
        if tls or self.user:
            given["security.protocol"] = ("SASL_" if self.user else "") + (
                "SSL" if tls else "PLAINTEXT"
            )
        if self.user:
            password = secret(place, "password", self.password_env, self.password_file)
            given |= {"sasl.mechanism": self.mechanism, "sasl.username": self.user}
            given["sasl.password"] = password
        files = {
            "ssl.ca.location": self.ca,
            "ssl.certificate.location": self.certificate,
            "ssl.key.location": self.key,
        }
        given |= {name: str(file) for name, file in files.items() if file}
        if self.key_password_env:
            given["ssl.key.password"] = secret(place, "key_password", self.key_password_env, None)
        return given

    def sentence(self, error: KafkaError, topic: str, *, reading: bool) -> str:
        """What went wrong and what to do, in plain words."""
        code, who = error.name(), f"user {self.user!r}" if self.user else "a client without login"
        if code in ("_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED"):
            return (
                f"{self.shown} refuses the login of {who}: check user=, mechanism= "
                f"({self.mechanism}) and what password_env= or password_file= holds"
            )
        if code == "_SSL":
            return (
                f"no TLS with {self.shown}: {_brief(error)}; check ca=, certificate= and key=, "
                f"and that the port speaks TLS"
            )
        if code in ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC"):
            return f"{self.shown} has no topic {topic!r}: create it, or correct the name"
        if code == "TOPIC_AUTHORIZATION_FAILED":
            rights = "READ" if reading else "WRITE"
            return (
                f"{who} may not {'read' if reading else 'write'} topic {topic!r}: "
                f"grant it DESCRIBE and {rights}"
            )
        if code == "CLUSTER_AUTHORIZATION_FAILED":
            return f"{who} may not produce idempotently: grant it IDEMPOTENT_WRITE on the cluster"
        if code == "GROUP_AUTHORIZATION_FAILED":
            return f"{who} may not commit offsets for its group: grant it READ on the group"
        if code in AWAY:
            return (
                f"no answer from {self.shown} ({_brief(error)}): check servers=, and that Kafka "
                f"runs there"
            )
        return f"{self.shown}: {_brief(error)}"


def start_at(place: str, start: str) -> str | int:
    """Where to start: "earliest", "latest", or a time as milliseconds since 1970.

    >>> start_at("source 'kafka'", "2026-11-22T08:00:00Z")
    1795334400000
    """
    if start in ("earliest", "latest"):
        return start
    try:
        time = datetime.fromisoformat(start)
    except ValueError:
        raise FlowError(
            f'{place}: start={start!r}; write "earliest", "latest" or a time, as in '
            f'"2026-11-22T08:00:00Z"'
        ) from None
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


class Ear:
    """Hears what librdkafka has to say beside its answers: why a server cannot be reached."""

    def __init__(self) -> None:
        self.heard: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        if self.heard is None or error.name() != "_ALL_BROKERS_DOWN":
            self.heard = error

    def cause(self, error: KafkaError) -> KafkaError:
        """What was heard, where the answer itself only says that there was none."""
        return self.heard if self.heard is not None and error.name() in AWAY else error


def _brief(error: KafkaError) -> str:
    """Without the address and the state of the connection, which librdkafka puts around it."""
    text = re.sub(r"^[^ ]*?/(bootstrap|\d+): ", "", error.str() or error.name())
    return re.sub(r" \(after .*\)$", "", text)
