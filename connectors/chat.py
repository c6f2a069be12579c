"""Chat: alerts in plain words to Slack, Mattermost, Teams, and what else takes {"text": ...}."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, TypedDict, Unpack

import orjson
from streamflow_connectors._notes import Note
from streamflow_connectors._notifier import Notifier, Tell
from streamflow_connectors._notify import Notifying
from streamflow_connectors._words import QUIET, text

from streamflow import Outlet, Position, Writer

__all__ = ["Chat", "post"]

_LONGEST = 4000
"""Characters: of a longer text Slack makes several, and others refuse it."""


class Options(TypedDict, total=False):
    """The options of `Chat`."""

    url: str
    url_file: str | Path | None
    at_most: str | None
    timeout: str
    ca: str | Path | None
    deliver: Literal["now", "durable"]
    name: str


def post(*, url_env: str = "", of: Outlet = "alerts", **options: Unpack[Options]) -> Chat:
    """Alerts in a chat, as a sink. See `Chat`."""
    return Chat(url_env=url_env, of=of, **options)


@dataclass(frozen=True)
class Chat(Notifying):
    """Posts `{"text": ...}` to an incoming webhook of Slack, Mattermost, Rocket.Chat or Teams.

    Who knows its address can post there, so it belongs into the environment or a file. Events that
    were delivered together are one message, those of an incident another. That an episode goes on
    is not told. Names that come from data cannot call anybody or make links.

    Parameters
    ----------
    url, url_env, url_file, at_most, timeout, ca
        As for every sink that tells people: see `Notifying`.

    Examples
    --------
    >>> Chat(url_env="CHAT_URL", of="alerts", at_most="10 per hour").step
    'chat_alerts'
    """

    kind: ClassVar[str] = "chat"

    @property
    def promise(self) -> str:
        """What is told again after a crash stands there twice."""
        return "repeat"

    def open(self, resume: Position) -> Writer:
        """What was held back before goes out when it may."""
        return Notifier(self.step, self._teller(), self.limit, resume, QUIET)

    def _teller(self) -> Tell:
        web = self.web

        def tell(note: Note) -> None:
            words = text(note)
            if len(words) > _LONGEST:
                words = f"{words[: _LONGEST - 1]}…"
            web.post(orjson.dumps({"text": words}), {})

        return tell
