"""E-mail: alerts in plain words by SMTP."""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path
from typing import ClassVar, Literal, TypedDict, TypeVar, Unpack

from streamflow_connectors._http import trusting, why
from streamflow_connectors._limit import Limit, limit
from streamflow_connectors._notes import Note
from streamflow_connectors._notifier import Notifier, Tell
from streamflow_connectors._notify import check_outlet
from streamflow_connectors._secrets import secret
from streamflow_connectors._words import QUIET, text, title

from streamflow import Outlet, Position, Schema, Sink, Writer, duration
from streamflow.errors import ConnectorError, FlowError, NotConnected

__all__ = ["Email", "send"]

log = logging.getLogger("streamflow.notify")

T = TypeVar("T")
Tls = Literal["starttls", "tls", "none"]
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class Options(TypedDict, total=False):
    """The options of `Email`."""

    user: str
    password_env: str
    password_file: str | Path | None
    tls: Tls
    at_most: str | None
    timeout: str
    ca: str | Path | None
    deliver: Literal["now", "durable"]
    name: str


def send(
    *to: str, sender: str, server: str, of: Outlet = "alerts", **options: Unpack[Options]
) -> Email:
    """Alerts by e-mail, as a sink. See `Email`."""
    return Email(to, sender, server, of=of, **options)


@dataclass(frozen=True)
class Email(Sink):
    """Sends alerts in plain words by SMTP.

    Events that were delivered together are one e-mail, those of an incident another. That an
    episode goes on is not told. The header Message-ID is made of the ids of the events, so an
    e-mail that is sent again after a crash has the one that it had.

    Parameters
    ----------
    to
        The addresses.
    sender
        The address that it comes from.
    server
        host or host:port of the mail server; the port is 587, 465 or 25 as `tls` says.
    user, password_env, password_file
        How to log in, if the server wants it; the password from a variable of the environment or
        a file.
    tls
        "starttls"; "tls" from the start; or "none", which is refused with a password.
    at_most
        The most e-mails, such as "10 per hour". What is over is counted and told in one when there
        may be one again.
    timeout
        How long to wait for the server.
    ca
        A file of certificates to trust instead of those of the system.

    Examples
    --------
    >>> Email(("ops@plant.example",), "flow@plant.example", "mail", of="alerts").step
    'email_alerts'
    """

    to: Sequence[str]
    sender: str
    server: str
    user: str = field(default="", kw_only=True)
    password_env: str = field(default="", kw_only=True)
    password_file: str | Path | None = field(default=None, kw_only=True)
    tls: Tls = field(default="starttls", kw_only=True)
    at_most: str | None = field(default=None, kw_only=True)
    timeout: str = field(default="30s", kw_only=True)
    ca: str | Path | None = field(default=None, kw_only=True)
    kind: ClassVar[str] = "email"

    @property
    def step(self) -> str:
        """The step's name."""
        return self.name or f"{self.kind}_{self.of}"

    @property
    def place(self) -> str:
        """How an error names it."""
        return f"sink {self.step!r}"

    @property
    def limit(self) -> Limit | None:
        """The most e-mails."""
        return None if self.at_most is None else limit(self.place, self.at_most)

    def check(self, schema: Schema) -> None:
        """Raise FlowError for what is wrong without asking the server."""
        check_outlet(self.place, self.of)
        if isinstance(self.to, str) or not self.to:
            raise FlowError(
                f'{self.place}: nobody to write to; as in email.send("ops@plant.example")'
            )
        for address in (*self.to, self.sender):
            if "@" not in parseaddr(address)[1] or not address.isprintable():
                raise FlowError(f"{self.place}: {address!r} is no address")
        if self.tls not in _PORTS:
            raise FlowError(f'{self.place}: tls={self.tls!r}; "starttls", "tls" or "none"')
        password = secret(self.place, "password", self.password_env, self.password_file)
        if bool(self.user) != (password is not None):
            raise FlowError(f"{self.place}: user= and password_env= (or _file=) belong together")
        if password is not None and self.tls == "none":
            raise FlowError(f'{self.place}: tls="none" would send the password in the clear')
        self.limit, self._address  # noqa: B018 - what is wrong is told now
        duration(self.timeout)
        trusting(self.place, self.ca)

    def probe(self) -> str:
        """Log in, and send nothing."""
        self._with_server(lambda server: server.noop())
        return f"{self.server} lets us in; nothing was sent"

    def open(self, resume: Position) -> Writer:
        """What was held back before goes out when it may."""
        return Notifier(self.step, self._teller(), self.limit, resume, QUIET)

    @property
    def _address(self) -> tuple[str, int]:
        host, colon, port = self.server.rpartition(":")
        if not colon:
            return self.server, _PORTS[self.tls]
        if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise FlowError(f"{self.place}: server={self.server!r} is not host or host:port")
        return host, int(port)

    def _teller(self) -> Tell:
        def tell(note: Note) -> None:
            message = self._message(note)
            refused = self._with_server(lambda server: server.send_message(message))
            if refused:
                log.error("%s: the server refuses %d of the addresses", self.place, len(refused))

        return tell

    def _message(self, note: Note) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = title(note)[:200]
        message["From"], message["To"] = self.sender, ", ".join(self.to)
        message["Message-ID"] = f"<{note.key}@streamflow>"
        message.set_content(text(note))
        return message

    def _connect(self) -> smtplib.SMTP:
        context, seconds = trusting(self.place, self.ca), duration(self.timeout) / 1e9
        host, port = self._address
        if self.tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=seconds, context=context)
        else:
            server = smtplib.SMTP(host, port, timeout=seconds)
        try:
            if self.tls == "starttls":
                server.starttls(context=context)
            password = secret(self.place, "password", self.password_env, self.password_file)
            if password is not None:
                server.login(self.user, password)
        except BaseException:
            server.close()
            raise
        return server

    def _with_server(self, act: Callable[[smtplib.SMTP], T]) -> T:
        # A server's own words may repeat what it was told: only the code is shown.
        said = f"{self.place}: {self.server}"
        try:
            server = self._connect()
            try:
                return act(server)
            finally:
                with suppress(OSError):  # what counts has been said
                    server.quit()
                server.close()
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise self._refused(f"{said} refuses every address", min(codes)) from None
        except smtplib.SMTPAuthenticationError as error:
            raise self._refused(f"{said} refuses the login", error.smtp_code) from None
        except smtplib.SMTPResponseException as error:
            raise self._refused(f"{said} refuses the e-mail", error.smtp_code) from None
        except smtplib.SMTPNotSupportedError:
            lacks = "login" if self.tls == "tls" else "STARTTLS, or no login"
            raise ConnectorError(f"{said} offers no {lacks}") from None
        except smtplib.SMTPServerDisconnected:
            raise NotConnected(f"{said}: it hung up, or did not answer in time") from None
        except OSError as error:
            raise NotConnected(f"{said}: {why(error)}") from None

    def _refused(self, said: str, code: int) -> ConnectorError:
        later = 400 <= code < 500
        return (NotConnected if later else ConnectorError)(f"{said}, code {code}")
