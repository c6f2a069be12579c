"""Secrets: passwords come from the environment or from a file, never from a flow."""

from __future__ import annotations

import os
from pathlib import Path

from streamflow.errors import FlowError


def secret(place: str, what: str, env: str, file: str | Path | None) -> str | None:
    """What an environment variable or a file holds; None if neither is named.

    Parameters
    ----------
    place
        How an error names the step.
    what
        What the options are called in front of `_env` and `_file`.
    env
        The name of an environment variable.
    file
        A file whose first line it is.

    Raises
    ------
    FlowError
        If both are named, or the one that is named holds nothing. Never shows what it holds.

    Examples
    --------
    >>> secret("sink 'alerts'", "password", "NO_SUCH_VARIABLE", None)
    Traceback (most recent call last):
    streamflow.errors.FlowError: sink 'alerts': password_env='NO_SUCH_VARIABLE': the environment \
has no such variable; set it, or name another
    """
    if env and file:
        raise FlowError(f"{place}: {what}_env= and {what}_file= are both given; keep one")
    if env:
        if not (held := os.environ.get(env)):
            raise FlowError(
                f"{place}: {what}_env={env!r}: the environment has no such variable; "
                f"set it, or name another"
            )
        return held
    if file:
        try:
            held = Path(file).read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
        except (OSError, UnicodeDecodeError) as error:
            said = error.strerror if isinstance(error, OSError) else "it is not text"
            raise FlowError(f"{place}: {what}_file={str(file)!r} cannot be read: {said}") from None
        if not held:
            raise FlowError(f"{place}: {what}_file={str(file)!r}: its first line is empty")
        return held
    return None
