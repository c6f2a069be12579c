"""Events: what a flow has to say beside its rows. Rare, so an object each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

DAY = 24 * 3600


class Event(NamedTuple):
    """An alert, a drift, a silence.

    A named tuple, for it is made in a third of the time that a frozen dataclass takes.

    Parameters
    ----------
    id
        The same after replay, restart and rescaling; see `event_id`.
    kind
        "alert", "drift", ...
    step
        The name of the step that raised it.
    device
        The device it is about.
    time
        Event time in ns UTC.
    fields
        What else there is to say: plain numbers, strings, bools, None.
    """

    id: str
    kind: str
    step: str
    device: str
    time: int
    fields: Mapping[str, Any] = {}

    def row(self) -> dict[str, Any]:
        """The event as one flat dict, times in ISO 8601."""
        own = {
            "id": self.id,
            "kind": self.kind,
            "step": self.step,
            "device": self.device,
            "time": iso(self.time),
        }
        return own | dict(self.fields) | own  # whatever the fields are called


@lru_cache(maxsize=4096)  # an episode's closing has the id of its opening
def event_id(flow: str, step: str, device: str, time: int) -> str:
    """96 bits of BLAKE2b over flow, step, device and opening event time, as 24 hex digits.

    >>> event_id("machines", "alert", "pump-1", 0)
    '3c6d5298dade79d8e765f1c8'
    """
    text = "\x1f".join((flow, step, device, str(time)))
    return blake2b(text.encode(), digest_size=12).hexdigest()


@lru_cache(maxsize=4096)
def iso(time: int) -> str:
    """An event time in ISO 8601, UTC, to the digit that matters.

    >>> iso(1_500_000_000_250_000_000)
    '2017-07-14T02:40:00.250Z'
    """
    seconds, ns = divmod(time, 10**9)
    day, second = divmod(seconds, DAY)
    text = f"{_date(day)}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    if not ns:
        return f"{text}Z"
    digits = f"{ns:09d}"
    return f"{text}.{digits[:3] if digits.endswith('000000') else digits}Z"


@lru_cache(maxsize=64)
def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY, UTC).date().isoformat()
