"""Event times: ISO 8601 in any common form, numbers since 1970, or a format of your own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from streamflow.core.batch import Times
from streamflow.core.schema import Schema
from streamflow.errors import FlowError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SCALE = {"epoch_s": 10**9, "epoch_ms": 10**6, "epoch_us": 10**3, "epoch_ns": 1}
FORMS = "ISO 8601, or seconds, ms, us or ns since 1970"


def _epoch_scale(value: float) -> int:
    """A number tells its unit by its size: seconds stay below 1e11 until the year 5138."""
    size = abs(value)
    return 10**9 if size < 1e11 else 10**6 if size < 1e14 else 10**3 if size < 1e17 else 1


class TimeParser:
    """Raw times of messages -> ns UTC.

    >>> schema = Schema("device", "time", {})
    >>> TimeParser(schema).one("2017-07-14T04:40:00+02:00")
    1500000000000000000
    >>> TimeParser(schema).one(1_500_000_000_000)
    1500000000000000000
    """

    def __init__(self, schema: Schema) -> None:
        try:
            self._zone = ZoneInfo(schema.timezone)
        except (KeyError, ValueError):
            raise FlowError(
                f"no time zone {schema.timezone!r}; write it like Europe/Berlin or UTC"
            ) from None
        self._utc = schema.timezone == "UTC"
        form = schema.time_format
        self._format = None if form in _SCALE else form
        self._scale = _SCALE.get(form or "")

    def many(self, raw: Sequence[Any], bad: Callable[[int, str], None]) -> Times:
        """The times of many messages; `bad(i, reason)` for each that is none."""
        fast = self._uniform(raw)
        if fast is not None:
            return fast
        out = np.zeros(len(raw), np.int64)
        for i, value in enumerate(raw):
            try:
                out[i] = self.one(value)
            except ValueError as error:
                bad(i, str(error))
        return out

    def one(self, value: Any) -> int:
        """The time of one message; ValueError with the reason if it is none."""
        if value is None or value == "":
            raise ValueError("it has no time")
        if isinstance(value, datetime):
            return self._ns(value)
        if isinstance(value, str):
            return self._text(value.strip())
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return self._number(value)
        raise ValueError(f"{value!r} is not a time; {FORMS}")

    def _uniform(self, raw: Sequence[Any]) -> Times | None:
        # All of the form 2013-12-02 21:15:00, T or Z as you like: NumPy reads them at once.
        if not (self._utc and self._format is None and raw and isinstance(raw[0], str)):
            return None
        width = len(raw[0])
        if width not in (19, 20):
            return None
        if not all(isinstance(t, str) and len(t) == width and t[16:17] == ":" for t in raw):
            return None
        if width == 20:
            if not all(t[19] == "Z" for t in raw):
                return None
            raw = [t[:19] for t in raw]
        try:
            seconds = np.array(raw, "datetime64[s]").astype(np.int64)
        except ValueError:
            return None
        inside = ((seconds > -9_200_000_000) & (seconds < 9_200_000_000)).all()
        return seconds * 10**9 if inside else None

    def _text(self, text: str) -> int:
        try:
            if self._format is not None:
                return self._ns(datetime.strptime(text, self._format))
            return self._ns(datetime.fromisoformat(text))
        except ValueError:
            pass
        try:
            return self._number(float(text))
        except ValueError:
            form = self._format or FORMS
            shown = text if len(text) <= 40 else text[:37] + "..."
            raise ValueError(f"{shown!r} is not a time; {form}") from None

    def _number(self, value: float) -> int:
        if value != value or abs(value) == float("inf"):
            raise ValueError(f"{value!r} is not a time; {FORMS}")
        scale = self._scale or _epoch_scale(value)
        whole = int(value)
        ns = whole * scale + round((value - whole) * scale)
        if not -(2**63) <= ns < 2**63:
            raise ValueError(f"{value!r} is a time outside the years 1678 to 2261")
        return ns

    def _ns(self, moment: datetime) -> int:
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self._zone)
        ns = (moment - _EPOCH) // _MICROSECOND * 1000
        if not -(2**63) <= ns < 2**63:
            raise ValueError(f"{moment.isoformat()} is a time outside the years 1678 to 2261")
        return ns
