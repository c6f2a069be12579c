"""Parts of a scan: times, as ISO 8601 texts and as numbers since 1970."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamflow.core.kernel import part
from streamflow.formats.scan.text import EXACT, digit, double
from streamflow.formats.scan.words import byte

NO_DAY = np.int64(-(2**62))
NO_TIME = np.int64(-(2**63))
_SECOND = 10**9
_MOST = 2**63 - 1


@part
def _two(data: Any, at: int) -> Any:
    tens, ones = digit(data, at), digit(data, at + 1)
    if tens > 9 or ones > 9:
        return -1
    return np.int64(tens) * 10 + np.int64(ones)


@part
def day(data: Any, at: int) -> Any:
    """Of 2026-01-31: ns from 1970 to its midnight; NO_DAY if it is no day of 1678 to 2261."""
    century, year = _two(data, at), _two(data, at + 2)
    month, number = _two(data, at + 5), _two(data, at + 8)
    if byte(data, at + 4) != 45 or byte(data, at + 7) != 45 or century < 0 or year < 0:
        return NO_DAY
    year += century * 100
    if year < 1678 or year > 2261 or month < 1 or month > 12 or number < 1 or number > 31:
        return NO_DAY
    if month == 2:
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        if number > 29 or (number == 29 and not leap):
            return NO_DAY
    elif number == 31 and (month == 4 or month == 6 or month == 9 or month == 11):
        return NO_DAY
    # In years that begin in March a leap day is the last one.
    if month <= 2:
        year -= 1
    in_year = (153 * ((month + 9) % 12) + 2) // 5 + number - 1
    leaps = year // 4 - year // 100 + year // 400
    return np.int64(year * 365 + leaps + in_year - 719468) * 86_400 * _SECOND


@part
def clock(data: Any, at: int, end: int, naive: bool) -> Any:
    """Of T14:40:00.250+02:00, which ends there: ns in the day, UTC; NO_TIME if it is none.

    `naive` is whether a time without a zone is UTC.
    """
    c = byte(data, at)
    if (c != 84 and c != 32) or byte(data, at + 3) != 58 or byte(data, at + 6) != 58:
        return NO_TIME
    hour, minute, second = _two(data, at + 1), _two(data, at + 4), _two(data, at + 7)
    if hour < 0 or minute < 0 or second < 0 or hour > 23 or minute > 59 or second > 59:
        return NO_TIME
    fraction, at = np.int64(0), at + 9
    if byte(data, at) == 46:
        at += 1
        first, d = at, digit(data, at)
        while d <= 9:
            fraction = fraction * 10 + np.int64(d)
            at += 1
            d = digit(data, at)
        if at == first or at - first > 9:
            return NO_TIME
        for _ in range(9 - (at - first)):
            fraction *= 10
    east = 0
    if at == end:
        if not naive:
            return NO_TIME
    elif at != end - 1 or byte(data, at) != 90:
        sign = byte(data, at)
        if at != end - 6 or (sign != 43 and sign != 45) or byte(data, at + 3) != 58:
            return NO_TIME
        hours, minutes = _two(data, at + 1), _two(data, at + 4)
        if hours < 0 or minutes < 0 or hours > 23 or minutes > 59:
            return NO_TIME
        east = (hours * 60 + minutes) * 60
        if sign == 45:
            east = -east
    return ((hour * 60 + minute) * 60 + second - east) * _SECOND + fraction


@part
def since_1970(digits: int, power: int, negative: bool, whole: bool, unit: int) -> Any:
    """Of a number: ns; NO_TIME if it is none. A unit of 0 is told by the size of the number."""
    if negative:
        return NO_TIME
    if whole:
        return of_integer(digits, unit)
    return of_double(double(digits, power, False), unit) if digits <= EXACT else NO_TIME


@part
def of_integer(value: int, unit: int) -> Any:
    """As `since_1970`, of an integer."""
    if value < 0:
        return NO_TIME
    if unit == 0:
        unit = _unit(value)
    return value * unit if value <= _MOST // unit else NO_TIME


@part
def of_double(value: float, unit: int) -> Any:
    """As `since_1970`, of a double."""
    if not value >= 0:
        return NO_TIME
    if unit == 0:
        unit = _unit(value)
    if value >= _MOST // unit:
        return NO_TIME
    seconds = np.int64(value)
    return seconds * unit + np.int64(np.rint((value - seconds) * unit))


@part
def _unit(value: Any) -> Any:
    """Seconds stay below 1e11 until the year 5138."""
    if value < 10**11:
        return _SECOND
    if value < 10**14:
        return 10**6
    if value < 10**17:
        return 10**3
    return 1
