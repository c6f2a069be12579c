"""Secrets: a password or a token is named in a flow, never written there."""

from __future__ import annotations

import os
from pathlib import Path

from streamflow.errors import FlowError


def check_secret(place: str, key: str, name: str) -> None:
    """Raise FlowError unless it names where a secret is."""
    if not name.startswith(("env:", "file:")):
        raise FlowError(
            f"{place}: {key}= names where the secret is: env:VARIABLE or file:PATH; "
            f"a secret in the text of a flow ends up where it is read by others"
        )


def read_secret(place: str, key: str, name: str) -> str:
    """The secret that `name` names now; FlowError if it is not there.

    >>> import os
    >>> os.environ["BROKER_PASSWORD"] = "open sesame"
    >>> read_secret("source 'mqtt'", "password", "env:BROKER_PASSWORD")
    'open sesame'
    """
    check_secret(place, key, name)
    kind, _, where = name.partition(":")
    if kind == "env":
        secret = os.environ.get(where, "")
        if not secret:
            raise FlowError(f"{place}: {key}={name}: the environment has no {where}; set it")
        return secret
    try:
        secret = Path(where).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise FlowError(f"{place}: {key}={name} cannot be read: {why}") from None
    if not secret:
        raise FlowError(f"{place}: {key}={name}: the file is empty")
    return secret
