"""Event times: ISO 8601 in any common form, numbers since 1970, or a format of your own."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from streamflow.core.batch import Times
from streamflow.core.schema import Schema
from streamflow.errors import FlowError
from streamflow.formats.iso8601 import parse_uniform

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SCALE = {"epoch_s": 10**9, "epoch_ms": 10**6, "epoch_us": 10**3, "epoch_ns": 1}
_BELOW_MICROSECOND = re.compile(r"[.,]\d{6}(\d{1,3})")
_WHOLE = re.compile(r"-?\d{1,20}", re.ASCII)
FORMS = "ISO 8601, or seconds, ms, us or ns since 1970"


def _epoch_scale(value: float) -> int:
    """A number tells its unit by its size: seconds stay below 1e11 until the year 5138."""
    size = abs(value)
    return 10**9 if size < 1e11 else 10**6 if size < 1e14 else 10**3 if size < 1e17 else 1


def zone(name: str) -> ZoneInfo:
    """A time zone; FlowError if there is none of this name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise FlowError(f"no time zone {name!r}; write it like Europe/Berlin or UTC") from None


class TimeParser:
    """Raw times of messages -> ns UTC.

    >>> schema = Schema("device", "time", {})
    >>> TimeParser(schema).one("2017-07-14T04:40:00+02:00")
    1500000000000000000
    >>> TimeParser(schema).one(1_500_000_000_000)
    1500000000000000000
    """

    def __init__(self, schema: Schema) -> None:
        self._zone = zone(schema.timezone)
        self.utc = schema.timezone == "UTC"
        """Whether times without a zone are UTC."""
        form = schema.time_format
        self._format = None if form in _SCALE else form
        self.texts = self._format is None
        """Whether times may be ISO 8601."""
        self._scale = _SCALE.get(form or "")
        self.unit = self._scale or 0
        """ns of a number; 0 if its size tells them."""

    def many(self, raw: Sequence[Any], bad: Callable[[int, str], None]) -> Times:
        """The times of many messages; `bad(i, reason)` for each that is none."""
        fast = self._uniform(raw)
        if fast is None:
            fast = self._numbers(raw)
        if fast is not None:
            return fast
        out = np.zeros(len(raw), np.int64)
        for i, value in enumerate(raw):
            try:
                out[i] = self.one(value)
            except ValueError as error:
                bad(i, str(error))
        return out

    def stamps(self, raw: NDArray[np.datetime64], bad: Callable[[int, str], None]) -> Times:
        """The times of an array of any unit, UTC; `bad(i, reason)` for each that is none."""
        ns = _in_ns(raw)
        for i in np.flatnonzero(np.isnat(raw)).tolist():
            bad(i, "it has no time")
        for i in np.flatnonzero((ns.astype(raw.dtype) != raw) & ~np.isnat(raw)).tolist():
            bad(i, f"{raw[i]} is a time outside the years 1678 to 2261")
        return ns.astype(np.int64)

    def one(self, value: Any) -> int:
        """The time of one message; ValueError with the reason if it is none."""
        if value is None or value == "":
            raise ValueError("it has no time")
        if isinstance(value, datetime):
            return self._ns(value)
        if isinstance(value, np.datetime64):
            return self._stamp(value)
        if isinstance(value, str):
            return self._text(value.strip())
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return self._number(value)
        raise ValueError(f"{_shown(value)} is not a time; {FORMS}")

    def _stamp(self, value: np.datetime64) -> int:
        def bad(_: int, reason: str) -> None:
            raise ValueError(reason)

        return int(self.stamps(np.array([value]), bad)[0])

    def _uniform(self, raw: Sequence[Any]) -> Times | None:
        plain = self.utc and self._format is None and self._scale is None
        return parse_uniform(raw) if plain else None

    def _numbers(self, raw: Sequence[Any]) -> Times | None:
        """What `_number` gives for each, for ints or floats of one unit; None if they are not."""
        kinds = set(map(type, raw))
        if kinds not in ({int}, {float}):
            return None
        try:
            values = np.array(raw, np.int64 if kinds == {int} else np.float64)
        except OverflowError:
            return None
        low, high = values.min().item(), values.max().item()
        scale = self._scale or _epoch_scale(high)
        # Of one unit, none refused; NaN fails every comparison.
        if not (low >= 0 and high * scale < 2**63 and scale == (self._scale or _epoch_scale(low))):
            return None
        whole = values.astype(np.int64, copy=False)
        if kinds == {int}:
            return np.asarray(whole * scale)
        return np.asarray(whole * scale + np.rint((values - whole) * scale).astype(np.int64))

    def _text(self, text: str) -> int:
        # Digits only are a number: fromisoformat reads the milliseconds 1710111241530 as a day of
        # the year 1710. Eight are a date, 20260131, unless the flow says that times are numbers.
        if (
            _WHOLE.fullmatch(text)
            and self._format is None
            and (self._scale is not None or len(text) != 8)
        ):
            return self._number(int(text))
        try:
            if self._format is not None:
                moment = datetime.strptime(text, self._format)
            else:
                moment = datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            more = None if self._format else _BELOW_MICROSECOND.search(text)
            return self._ns(moment, int(more[1].ljust(3, "0")) if more else 0)
        try:
            return self._number(float(text))
        except ValueError:
            form = self._format or FORMS
            raise ValueError(f"{_shown(text)} is not a time; {form}") from None

    def _number(self, value: float) -> int:
        if value != value or abs(value) == float("inf"):
            raise ValueError(f"{value!r} is not a time; {FORMS}")
        scale = self._scale or _epoch_scale(value)
        whole = int(value)
        ns = whole * scale + round((value - whole) * scale)
        if not -(2**63) <= ns < 2**63:
            raise ValueError(f"{_shown(value)} is a time outside the years 1678 to 2261")
        return ns

    def _ns(self, moment: datetime, more: int = 0) -> int:
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self._zone)
        ns = (moment - _EPOCH) // _MICROSECOND * 1000 + more
        if not -(2**63) <= ns < 2**63:
            raise ValueError(f"{moment.isoformat()} is a time outside the years 1678 to 2261")
        return ns


def _in_ns(raw: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """In ns; what does not fit is NaT, or wraps round to another time."""
    try:
        return raw.astype("datetime64[ns]")
    except OverflowError:  # NumPy 2.5 and later
        out = np.full(len(raw), "NaT", "datetime64[ns]")
        for i, one in enumerate(raw):
            with suppress(OverflowError):
                out[i] = one.astype("datetime64[ns]")
        return out


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python does not write out integers of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 40 else text[:37] + "..."
