"""Everything streamflow raises, in one tree.

StreamflowError
├── FlowError         nothing has run: the flow, or how it was asked to run, is wrong
├── StateError        a snapshot does not fit the flow that wants to go on from it
├── StageError        a stage broke its contract while running: step, device, time
└── ConnectorError    a source or sink cannot go on
    ├── NotConnected  not reachable now: try again
    ├── Backoff       not now: try again after `wait` seconds
    └── EndOfStream   a source has no more, ever

Bad *data* is never an exception: it becomes a flagged value, a rejected reading or a dead letter.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class StreamflowError(Exception):
    """The base of all errors of this library."""


class FlowError(StreamflowError):
    """Nothing has run: the flow is wrong. Names the step, the key and what to do."""


class StateError(StreamflowError):
    """A snapshot does not fit the flow that wants to go on from it."""


class StageError(StreamflowError):
    """A stage broke its contract while running; the cause is chained."""

    def __init__(self, step: str, message: str) -> None:
        super().__init__(f"step {step!r}: {message}")
        self.step = step


class ConnectorError(StreamflowError):
    """A source or sink cannot go on."""


class NotConnected(ConnectorError):
    """The other side is not reachable now; the engine will try again."""


class Backoff(ConnectorError):
    """The other side asks to wait `wait` seconds before the next try."""

    def __init__(self, wait: float, message: str = "") -> None:
        super().__init__(message or f"try again in {wait:g} s")
        self.wait = wait


class EndOfStream(ConnectorError):
    """A source has no more to give, ever."""


def suggest(name: str, known: Iterable[str]) -> str:
    """The second half of an error about a wrong name: what was meant, or what there is.

    >>> suggest("temprature", ["temperature", "pressure"])
    "did you mean 'temperature'?"
    >>> suggest("x", ["temperature", "pressure"])
    'there is: pressure, temperature'
    """
    names = sorted(known)
    close = get_close_matches(str(name), names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there is: {', '.join(names)}" if names else "there is none"
