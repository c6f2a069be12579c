"""What the sinks that tell people over HTTP have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from streamflow_connectors._http import Web
from streamflow_connectors._limit import Limit, limit
from streamflow_connectors._secrets import secret

from streamflow import Schema, Sink, duration
from streamflow.errors import FlowError


@dataclass(frozen=True)
class Notifying(Sink):
    """A sink of alerts or events that posts messages to an address.

    Parameters
    ----------
    url
        The address. If it is a secret, as those of chats are, name instead:
    url_env, url_file
        the variable of the environment, or the file, that holds it.
    at_most
        The most messages, such as "10 per hour". What is over is counted and told in one message
        when there may be one again.
    timeout
        How long to wait for the server.
    ca
        A file of certificates to trust instead of those of the system.
    """

    url: str = ""
    url_env: str = field(default="", kw_only=True)
    url_file: str | Path | None = field(default=None, kw_only=True)
    at_most: str | None = field(default=None, kw_only=True)
    timeout: str = field(default="10s", kw_only=True)
    ca: str | Path | None = field(default=None, kw_only=True)
    kind: ClassVar[str]

    @property
    def step(self) -> str:
        """The step's name."""
        return self.name or f"{self.kind}_{self.of}"

    @property
    def place(self) -> str:
        """How an error names it."""
        return f"sink {self.step!r}"

    @property
    def promise(self) -> str:
        """What is told again after a crash has the same id."""
        return "upsert"

    @property
    def limit(self) -> Limit | None:
        """The most messages."""
        return None if self.at_most is None else limit(self.place, self.at_most)

    @property
    def web(self) -> Web:
        """Where to post."""
        held = secret(self.place, "url", self.url_env, self.url_file)
        if bool(self.url) == (held is not None):
            raise FlowError(f"{self.place}: give it one address: url=, url_env= or url_file=")
        return Web(self.place, held or self.url, duration(self.timeout) / 1e9, self.ca)

    def check(self, schema: Schema) -> None:
        """Raise FlowError for what is wrong without asking the server."""
        check_outlet(self.place, self.of)
        self.limit  # noqa: B018 - a wrong one is told now
        self.web.check()

    def probe(self) -> str:
        """Connect, and post nothing."""
        return self.web.probe()


def check_outlet(place: str, of: str) -> None:
    """Raise FlowError for what is too much to tell people."""
    if of not in ("alerts", "events"):
        raise FlowError(f'{place}: of={of!r} would be a message for each; "alerts" or "events"')
