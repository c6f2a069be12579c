"""ISO 8601 times of one form, read as a matrix of characters: all at once, with NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow.core.batch import Times

_SEPARATORS = {4: "-", 7: "-", 13: ":", 16: ":"}
_FIELDS = ((0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19))
_MONTH_DAYS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_YEARS = (1678, 2262)  # what int64 nanoseconds since 1970 can hold, whole years


def parse_uniform(texts: Sequence[Any]) -> Times | None:
    """ns UTC of times like `2013-12-02 21:15:00`, with T or a blank, with up to 9 decimals, with
    or without Z; None unless all are strings of one such form and are real dates.

    >>> parse_uniform(["2017-07-14T02:40:00.250Z"]).tolist()
    [1500000000250000000]
    >>> parse_uniform(["2017-02-30 00:00:00"]) is None
    True
    """
    try:
        joined = "".join(texts).encode("ascii")
    except (TypeError, UnicodeEncodeError):
        return None
    width = len(texts[0]) if texts else 0
    if not 19 <= width <= 30 or set(map(len, texts)) != {width}:
        return None
    # A row of the matrix for each place in the text: NumPy is fast along rows.
    chars = np.frombuffer(joined, np.uint8).reshape(-1, width).T.copy()
    end = width - 1 if (chars[-1] == ord("Z")).all() else width
    if any((chars[at] != ord(mark)).any() for at, mark in _SEPARATORS.items()):
        return None
    if not ((chars[10] == ord("T")) | (chars[10] == ord(" "))).all():
        return None
    if end > 29 or end == 20 or (end > 19 and (chars[19] != ord(".")).any()):
        return None
    digits = chars - np.uint8(ord("0"))  # what is no digit wraps round to more than 9
    spans = [*_FIELDS, (20, end)] if end > 19 else list(_FIELDS)
    if any((digits[a:b] > 9).any() for a, b in spans):
        return None
    day_of = digits[:10]
    if (day_of == day_of[:, :1]).all():
        day_of = day_of[:, :1]  # one date for all, as in most batches
    year, month, day = (_number(day_of[a:b]) for a, b in _FIELDS[:3])
    hour, minute, second = (_number(digits[a:b]) for a, b in _FIELDS[3:])
    if not (_is_date(year, month, day) and _is_time(hour, minute, second)):
        return None
    in_day = (hour * 60 + minute) * 60 + second
    fraction = _number(digits[20:end]) * 10 ** (29 - end) if end > 19 else 0
    ns: Times = (_days(year, month, day) * 86_400 + in_day) * 10**9 + fraction
    return ns


def _number(digits: NDArray[np.uint8]) -> Times:
    value = digits[0].astype(np.int32)  # at most nine digits
    for row in digits[1:]:
        value *= 10
        value += row
    number: Times = value.astype(np.int64)
    return number


def _is_date(year: Times, month: Times, day: Times) -> bool:
    if not ((year >= _YEARS[0]) & (year < _YEARS[1]) & (month >= 1) & (month <= 12)).all():
        return False
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    last = _MONTH_DAYS[month] + (leap & (month == 2))
    return bool(((day >= 1) & (day <= last)).all())


def _is_time(hour: Times, minute: Times, second: Times) -> bool:
    return bool(hour.max() < 24 and minute.max() < 60 and second.max() < 60)


def _days(year: Times, month: Times, day: Times) -> Times:
    """Days since 1970 in the Gregorian calendar, counted in years that begin in March."""
    shifted = year - (month <= 2)
    in_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    leaps = shifted // 4 - shifted // 100 + shifted // 400
    days: Times = shifted * 365 + leaps + in_year - 719468
    return days
