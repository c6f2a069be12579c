"""A POST to a web server: what it answers, as what a sink does about it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPMessage, responses
from pathlib import Path
from socket import create_connection
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from streamflow import SystemClock
from streamflow.errors import Backoff, ConnectorError, FlowError, NotConnected

LATER = (408, 423, 425, 429)
"""Answers after which the same may be taken later; so may any from 500 up."""
_LONGEST = 3600.0
"""Of a server's wish to be left alone, so many seconds are kept."""


@dataclass(frozen=True)
class Web:
    """Where to post, and how.

    Parameters
    ----------
    place
        How an error names the step. The path of the address may be a secret: it is never shown.
    url
        The address.
    timeout
        Seconds to wait for the server, each time.
    ca
        A file of certificates to trust instead of those of the system.
    """

    place: str
    url: str
    timeout: float
    ca: str | Path | None

    @property
    def shown(self) -> str:
        """The address without what may be secret."""
        parts = urlsplit(self.url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}"

    def check(self) -> None:
        """Raise FlowError if the address or the certificates cannot be used."""
        parts = self._parts()
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FlowError(f"{self.place}: the address is not like https://host/path")
        if parts.username is not None or parts.password is not None:
            raise FlowError(f"{self.place}: the address holds a user or password; leave them out")
        if not self.url.isascii() or not self.url.isprintable() or " " in self.url:
            raise FlowError(f"{self.place}: the address holds characters that must be encoded")
        self._context()

    def post(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Send it; NotConnected or Backoff if it may be taken later, ConnectorError if never."""
        told = {"User-Agent": "streamflow", "Content-Type": "application/json", **headers}
        request = Request(self.url, body, told, method="POST")
        opener = build_opener(_Stay(), HTTPSHandler(context=self._context()))
        try:
            opener.open(request, timeout=self.timeout).close()
        except HTTPError as error:
            error.close()
            raise self._refusal(error.code, error.headers.get("Retry-After")) from None
        except URLError as error:
            raise NotConnected(f"{self.place}: {self.shown}: {why(error.reason)}") from None
        except (OSError, HTTPException) as error:
            raise NotConnected(f"{self.place}: {self.shown}: {why(error)}") from None

    def probe(self) -> str:
        """Connect, and say so; nothing is posted."""
        parts = self._parts()
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            with create_connection((parts.hostname or "", port), self.timeout) as plain:
                if parts.scheme == "http":
                    return f"{self.shown} can be reached; nothing was posted"
                with self._context().wrap_socket(plain, server_hostname=parts.hostname):
                    return (
                        f"{self.shown} can be reached, its certificate is good; nothing was posted"
                    )
        except OSError as error:
            raise NotConnected(f"{self.place}: {self.shown}: {why(error)}") from None

    def _parts(self) -> SplitResult:
        try:
            parts = urlsplit(self.url)
            _ = parts.port
        except ValueError:
            raise FlowError(f"{self.place}: the address is not like https://host/path") from None
        return parts

    def _context(self) -> ssl.SSLContext:
        return trusting(self.place, self.ca)

    def _refusal(self, code: int, retry_after: str | None) -> ConnectorError:
        # A server's own words may repeat what it was sent.
        said = f"{self.place}: {self.shown} answered {code} {responses.get(code, '')}".rstrip()
        if code in LATER or code >= 500:
            wait = _retry_after(retry_after)
            return NotConnected(said) if wait is None else Backoff(wait, said)
        if 300 <= code < 400:
            return ConnectorError(f"{said}: it sends us elsewhere; give the address itself")
        return ConnectorError(f"{said}: it will not take this")


class _Stay(HTTPRedirectHandler):
    """A message that is signed, or an address that is secret, is not carried elsewhere."""

    def redirect_request(
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        return None


def trusting(place: str, ca: str | Path | None) -> ssl.SSLContext:
    """What certificates are checked by; FlowError if the file of them cannot be used."""
    try:
        return ssl.create_default_context(cafile=None if ca is None else str(ca))
    except OSError as error:
        said = error.strerror or "it holds no certificate"
        raise FlowError(f"{place}: ca={str(ca)!r} cannot be used: {said}") from None


def why(error: object) -> str:
    """What an error of the network means, without what it may quote."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {error.verify_message}"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return type(error).__name__


def _retry_after(told: str | None) -> float | None:
    if not told:
        return None
    try:
        wait = float(told)
    except ValueError:
        try:
            at = parsedate_to_datetime(told).timestamp()
        except (ValueError, TypeError, OverflowError):
            return None
        wait = at - SystemClock().now() / 1e9
    return min(max(wait, 0.0), _LONGEST) if wait == wait else None
