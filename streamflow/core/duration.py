"""Durations as people write them: "250ms", "30s", "5m", "1h", "7d", "1h30m"."""

from __future__ import annotations

import re
from functools import cache

from streamflow.errors import FlowError

UNITS = {
    "ns": 1,
    "us": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86400 * 10**9,
    "w": 7 * 86400 * 10**9,
}
_PART = re.compile(r"(\d{1,18}(?:\.\d+)?)(ns|us|ms|s|m|h|d|w)")


@cache
def duration(text: str) -> int:
    """Nanoseconds in a duration.

    >>> duration("1h30m") // 10**9
    5400
    >>> duration("soon")
    Traceback (most recent call last):
    ...
    streamflow.errors.FlowError: 'soon' is not a duration; write it like 250ms, 30s, 5m, 1h30m, 7d
    """
    compact = text.replace(" ", "") if isinstance(text, str) else ""
    parts = _PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise FlowError(f"{text!r} is not a duration; write it like 250ms, 30s, 5m, 1h30m, 7d")
    return sum(round(float(number) * UNITS[unit]) for number, unit in parts)


def stated(step: str, key: str, text: str, *, zero: bool = False) -> int:
    """Nanoseconds in a step's parameter; more than nothing, if `zero` is not allowed.

    >>> stated("reorder", "lateness", "0s")
    Traceback (most recent call last):
    ...
    streamflow.errors.FlowError: step 'reorder': lateness='0s' is no time at all; give more
    """
    try:
        ns = duration(text)
    except FlowError as error:
        raise FlowError(f"step {step!r}: {key}: {error}") from None
    if not (ns or zero):
        raise FlowError(f"step {step!r}: {key}={text!r} is no time at all; give more")
    return ns


def words(ns: float) -> str:
    """A duration in its largest two units.

    >>> words(5400 * 10**9), words(0), words(2_500_000)
    ('1h30m', '0s', '2ms')
    """
    left, parts = abs(int(ns)), []
    for unit in ("d", "h", "m", "s", "ms", "us", "ns"):
        count, left = divmod(left, UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
        if len(parts) == 2 or (parts and unit in ("s", "ms", "us")):
            break
    return ("-" if ns < 0 else "") + ("".join(parts) or "0s")
