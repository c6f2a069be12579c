"""A limit on how many messages people get: "10 per hour"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from streamflow import duration
from streamflow.errors import FlowError

_UNITS = {"second": "1s", "minute": "1m", "hour": "1h", "day": "1d", "week": "1w"}
_LIMIT = re.compile(r"\s*(\d{1,9})\s+per\s+(\S+)\s*")


@dataclass(frozen=True)
class Limit:
    """So many messages in any stretch of time so long, in ns."""

    text: str
    count: int
    span: int

    def recent(self, sent: Iterable[int], now: int) -> list[int]:
        """Those of the times at which messages were sent that count now."""
        # A time to come is of a clock that has been set back since.
        return [at for at in sent if now - self.span < at <= now]

    def free(self, sent: Iterable[int], now: int) -> int:
        """How many messages may be sent now."""
        return max(0, self.count - len(self.recent(sent, now)))

    def next(self, sent: Iterable[int], now: int) -> int:
        """When the next may be sent, if none may be now: ns UTC."""
        return min(self.recent(sent, now), default=now) + self.span


def limit(place: str, text: str) -> Limit:
    """Read a limit; FlowError, in which `place` names the step, if it is none.

    >>> limit("sink 'chat'", "10 per hour").span // 10**9
    3600
    >>> limit("sink 'chat'", "plenty")
    Traceback (most recent call last):
    streamflow.errors.FlowError: sink 'chat': at_most='plenty' is no limit; write it like \
"10 per hour", "1 per 5m"
    """
    found = _LIMIT.fullmatch(text) if isinstance(text, str) else None
    try:
        count, unit = (int(found[1]), found[2]) if found else (0, "")
        span = duration(_UNITS.get(unit.lower(), unit))
    except FlowError:
        count, span = 0, 0
    if count < 1 or span < 1:
        raise FlowError(
            f'{place}: at_most={text!r} is no limit; write it like "10 per hour", "1 per 5m"'
        )
    return Limit(text, count, span)
