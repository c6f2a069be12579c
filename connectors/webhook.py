"""Webhook: events as JSON to a web server of one's own, signed."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, TypedDict, Unpack

import orjson
from streamflow_connectors._notes import Note
from streamflow_connectors._notifier import Notifier, Tell
from streamflow_connectors._notify import Notifying
from streamflow_connectors._secrets import secret
from streamflow_connectors._words import text

from streamflow import Outlet, Position, Schema, SystemClock, Writer
from streamflow.errors import FlowError

__all__ = ["Webhook", "post", "sign"]


class Options(TypedDict, total=False):
    """The options of `Webhook`."""

    url_env: str
    url_file: str | Path | None
    secret_env: str
    secret_file: str | Path | None
    at_most: str | None
    timeout: str
    ca: str | Path | None
    deliver: Literal["now", "durable"]
    name: str


def post(url: str = "", *, of: Outlet = "alerts", **options: Unpack[Options]) -> Webhook:
    """Events to a web server, as a sink. See `Webhook`."""
    return Webhook(url, of=of, **options)


@dataclass(frozen=True)
class Webhook(Notifying):
    """Posts events as JSON.

    The body is `{"id": ..., "text": ..., "events": [...]}`, each event as `files.jsonl` writes it.
    Events that were delivered together are one message, those of an incident another. With a
    secret each message is signed as Standard Webhooks has it (https://www.standardwebhooks.com),
    for which there are libraries in many languages: `webhook-id`, `webhook-timestamp` and
    `webhook-signature`, the HMAC-SHA256 of "id.timestamp.body". The id is also in the header
    `idempotency-key`: a message that comes again has the one that it had.

    Parameters
    ----------
    url, url_env, url_file, at_most, timeout, ca
        As for every sink that tells people: see `Notifying`.
    secret_env, secret_file
        The variable of the environment, or the file, that holds the secret: any text, or
        "whsec_" and base64.

    Examples
    --------
    >>> Webhook("https://plant.example/alerts", of="alerts").step
    'webhook_alerts'
    """

    secret_env: str = field(default="", kw_only=True)
    secret_file: str | Path | None = field(default=None, kw_only=True)
    kind: ClassVar[str] = "webhook"

    def check(self, schema: Schema) -> None:
        """Raise FlowError for what is wrong without asking the server."""
        super().check(schema)
        self._key()

    def open(self, resume: Position) -> Writer:
        """What was held back before goes out when it may."""
        return Notifier(self.step, self._teller(), self.limit, resume)

    def _key(self) -> bytes | None:
        held = secret(self.place, "secret", self.secret_env, self.secret_file)
        if held is None:
            return None
        if not held.startswith("whsec_"):
            return held.encode()
        try:
            return base64.b64decode(held.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            raise FlowError(
                f"{self.place}: the secret starts with whsec_ and is not base64"
            ) from None

    def _teller(self) -> Tell:
        web, key, clock = self.web, self._key(), SystemClock()

        def tell(note: Note) -> None:
            told: dict[str, Any] = {
                "id": note.key,
                "text": text(note),
                "events": [e.row() for e in note.events],
            }
            if note.held:
                told["held_back"] = note.held.row()
            body = orjson.dumps(told, default=str)
            headers = {"Idempotency-Key": note.key}
            if key is not None:
                seconds = clock.now() // 10**9
                headers["webhook-id"] = note.key
                headers["webhook-timestamp"] = str(seconds)
                headers["webhook-signature"] = sign(key, note.key, seconds, body)
            web.post(body, headers)

        return tell


def sign(key: bytes, id_: str, seconds: int, body: bytes) -> str:
    """The signature of a message, as Standard Webhooks has it.

    >>> key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    >>> sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    signed = b"%s.%d.%s" % (id_.encode(), seconds, body)
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
