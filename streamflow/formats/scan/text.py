"""Parts of a scan: blanks, strings and numbers of JSON.

They need not look for the end of their message: the bytes after it stop them, the next message's
or the padding's, and whoever calls them sees at the end whether it was passed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from streamflow.core.kernel import part
from streamflow.formats.scan.words import byte, lowest, word

_ONES, _HIGH = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_QUOTES, _SLASHES = _ONES * np.uint64(ord('"')), _ONES * np.uint64(ord("\\"))
_BLANKS = _ONES * np.uint64(ord(" "))
_ZERO = np.uint8(ord("0"))
_DIGITS = 19
EXACT = 2**53
"""Whole numbers up to this one are doubles."""
TENS = 10.0 ** np.arange(23)
"""The powers of ten that are doubles: a whole number up to `EXACT` times or over one of them is
the double next to the decimal number, for IEEE 754 rounds once (Clinger 1990)."""


@part
def blank(data: Any, at: int) -> Any:
    """The next place that holds no blank."""
    c = byte(data, at)
    while c == 32 or c == 10 or c == 13 or c == 9:
        at += 1
        c = byte(data, at)
    return at


@part
def closing(data: Any, at: int) -> Any:
    """Where a string ends that is plain ASCII without escapes; -1 if it is not."""
    while True:
        eight = word(data, at)
        quotes, slashes = eight ^ _QUOTES, eight ^ _SLASHES
        # The highest bit of a byte is set if it is a quote, a backslash, a control or no ASCII;
        # above the lowest such byte a borrow may set more of them.
        odd = (quotes - _ONES) & ~quotes | (slashes - _ONES) & ~slashes
        odd = (odd | (eight - _BLANKS) & ~eight | eight) & _HIGH
        if odd != 0:
            place = at + (lowest(odd) >> 3)
            if byte(data, place) == 34:
                return place
            return -1
        at += 8


@part
def digit(data: Any, at: int) -> Any:
    """The digit that stands there, uint8; more than 9 if none does."""
    return np.uint8(byte(data, at) - _ZERO)


@part
def number(data: Any, at: int) -> Any:
    """A number: where it ends, its digits as one int64, its power of ten, its sign, if it is whole.

    The end is -1 if it is none, or none whose double is exact by one operation.
    """
    negative = byte(data, at) == 45
    if negative:
        at += 1
    first, lead = at, digit(data, at)
    d = lead
    digits: Any = np.int64(0)
    while d <= 9:
        digits = digits * 10 + np.int64(d)
        at += 1
        d = digit(data, at)
    count, power, whole = at - first, 0, True
    fine = count == 1 or (count > 1 and lead != 0)
    if byte(data, at) == 46:
        at += 1
        point, whole = at, False
        d = digit(data, at)
        while d <= 9:
            digits = digits * 10 + np.int64(d)
            at += 1
            d = digit(data, at)
        power = point - at
        count -= power
        fine = fine and power < 0
    if byte(data, at) | 32 == 101:
        at += 1
        sign, whole = byte(data, at), False
        if sign == 43 or sign == 45:
            at += 1
        start, d = at, digit(data, at)
        more: Any = 0
        while d <= 9 and at - start < 4:
            more = more * 10 + np.int64(d)
            at += 1
            d = digit(data, at)
        fine = fine and 0 < at - start < 4
        power += -more if sign == 45 else more
    # As int64, 19 digits may have gone round to a negative number; more may have come back.
    fine = fine and count <= _DIGITS and digits >= 0 and not (negative and digits == 0)
    if power != 0:
        fine = fine and digits <= EXACT and -23 < power < 23
    return at if fine else -1, digits, power if fine else 0, negative, whole


@part
def double(digits: int, power: int, negative: bool) -> Any:
    """The double of what `number` gave."""
    value = np.float64(digits)
    if power < 0:
        value /= TENS[-power]
    elif power > 0:
        value *= TENS[power]
    return -value if negative else value
