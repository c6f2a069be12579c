"""Schema registry: schemas of Avro by their id, from a server that speaks Confluent's HTTP API."""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from streamflow.core.clock import SystemClock
from streamflow.errors import ConnectorError, FlowError, NotConnected

_LOG = logging.getLogger("streamflow.registry")
_TIMEOUT = 5.0
_FORGET = 60 * 10**9
"""A schema that was not there is asked for again after so many ns."""
_MANY = 1000
"""So many ids that are not there are remembered: damaged messages have random ones."""


class UnknownSchemaError(Exception):
    """Messages of this schema cannot be decoded; the reason."""


@dataclass(frozen=True)
class Login:
    """Where the registry is, and who asks.

    Parameters
    ----------
    url
        Of the registry: http://HOST:PORT, or https.
    user
        Of basic authentication; none if empty.
    password_env
        The environment variable that holds the password.
    """

    url: str
    user: str = ""
    password_env: str = ""

    def check(self) -> None:
        """Raise FlowError for what is wrong without asking."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FlowError(f"registry={self.url!r} is no URL; write http://HOST:8081")
        if parts.username or parts.password:
            raise FlowError(
                "registry= holds a login: give user=, and password_env= with the name of the "
                "environment variable that holds the password"
            )
        if bool(self.user) != bool(self.password_env):
            raise FlowError("registry=: user= and password_env= go together")
        if self.password_env and not os.environ.get(self.password_env):
            raise FlowError(
                f"password_env={self.password_env!r}: the environment has no such variable; "
                f"set it, or name another"
            )

    def request(self, path: str) -> Request:
        """A question, with the login."""
        request = Request(self.url.rstrip("/") + path)
        request.add_header("Accept", "application/vnd.schemaregistry.v1+json, application/json")
        if self.user:
            login = f"{self.user}:{os.environ[self.password_env]}".encode()
            request.add_header("Authorization", f"Basic {base64.b64encode(login).decode()}")
        return request


class Registry:
    """Asks for each schema once."""

    def __init__(self, login: Login) -> None:
        login.check()
        self._login, self._clock = login, SystemClock()
        self._known: dict[int, Any] = {}
        self._unknown: dict[int, tuple[int, str]] = {}
        self._said = False

    def schema(self, number: int) -> Any:
        """The schema of this id, parsed.

        Raises
        ------
        UnknownSchemaError
            If there is none, or if it is not Avro.
        NotConnected
            If the registry cannot be asked now.
        ConnectorError
            If it refuses the login, or is no schema registry.
        """
        known = self._known.get(number)
        if known is not None:
            return known
        until, why = self._unknown.get(number, (0, ""))
        if self._clock.monotonic() < until:
            raise UnknownSchemaError(why)
        try:
            self._known[number] = found = self._fetch(number)
        except UnknownSchemaError as error:
            if len(self._unknown) >= _MANY:
                self._unknown.clear()
            self._unknown[number] = (self._clock.monotonic() + _FORGET, str(error))
            raise
        return found

    def describe(self, subject: str) -> str:
        """What it has of a subject, in a sentence; of no subject, whether it answers.

        Raises what `schema` does, but UnknownSchemaError.
        """
        self._said = True  # nobody waits for it
        url = f"the schema registry {self._login.url}"
        if not subject:
            if not isinstance(self._get("/subjects", "subjects"), list):
                raise self._other("it does not answer with subjects")
            return f"{url} answers"
        path = f"/subjects/{quote(subject, safe='')}/versions/latest"
        try:
            found = self._ask(path, f"subject {subject!r}")
            self._parse(found, f"subject {subject!r}")
        except UnknownSchemaError as error:
            return (
                f"the schema registry answers, but {error}; what is registered under another name "
                f"can be read all the same"
            )
        return f"{url} has Avro for {subject!r}, version {found.get('version')} of it"

    def _fetch(self, number: int) -> Any:
        what = f"schema {number}"
        return self._parse(self._ask(f"/schemas/ids/{number}", what), what)

    def _parse(self, found: Mapping[str, Any], what: str) -> Any:
        import fastavro

        url = self._login.url
        kind = found.get("schemaType") or "AVRO"
        if kind != "AVRO":
            raise UnknownSchemaError(f"{what} of {url} is {kind}, not Avro")
        named: dict[str, Any] = {}
        try:
            self._refer(found, named, set())
            return fastavro.parse_schema(json.loads(found["schema"]), named)
        except (fastavro.schema.SchemaParseException, ValueError, TypeError, KeyError) as error:
            raise UnknownSchemaError(f"{what} of {url} is not Avro: {error}") from None

    def _refer(self, found: Mapping[str, Any], named: dict[str, Any], seen: set[str]) -> None:
        """Know the schemas that a schema refers to, and those that they refer to, first."""
        import fastavro

        for one in found.get("references") or ():
            subject, version = one["subject"], one["version"]
            path = f"/subjects/{quote(subject, safe='')}/versions/{version}"
            if path in seen:
                continue
            seen.add(path)
            other = self._ask(path, f"version {version} of {subject}")
            self._refer(other, named, seen)
            fastavro.parse_schema(json.loads(other["schema"]), named)

    def _ask(self, path: str, what: str) -> dict[str, Any]:
        found = self._get(path, what)
        if not isinstance(found, dict) or not isinstance(found.get("schema"), str):
            raise self._other("it does not answer with a schema")
        self._said = False
        return found

    def _get(self, path: str, what: str) -> Any:
        try:
            with urlopen(self._login.request(path), timeout=_TIMEOUT) as answer:
                return json.loads(answer.read())
        except HTTPError as error:
            raise self._refused(error, what) from None
        except (OSError, HTTPException) as error:
            raise self._away(str(getattr(error, "reason", "") or error)) from None
        except ValueError:
            return None

    def _refused(self, error: HTTPError, what: str) -> Exception:
        url, code = self._login.url, error.code
        if code in (401, 403):
            who = f"the login of user {self._login.user!r}" if self._login.user else "to be asked"
            return ConnectorError(
                f"the schema registry {url} refuses {who}: check user= and the variable that "
                f"password_env= names"
            )
        if code == 429 or code >= 500:
            return self._away(f"it answers {code} {error.reason}")
        if code == 404:
            try:
                told = "error_code" in json.loads(error.read())
            except (ValueError, TypeError, OSError):
                told = False
            if told:
                return UnknownSchemaError(f"{url} has no {what}")
        return self._other(f"it answers {code} {error.reason}")

    def _other(self, why: str) -> ConnectorError:
        return ConnectorError(f"{self._login.url} is no schema registry, {why}: check registry=")

    def _away(self, why: str) -> NotConnected:
        text = f"the schema registry {self._login.url} cannot be asked: {why}"
        if not self._said:
            _LOG.warning("%s; the source waits for it", text)
        self._said = True
        return NotConnected(text)
