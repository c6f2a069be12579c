"""Parts of a scan: strings, numbers and extensions of MessagePack.

They say where a value ends and have not looked whether its message goes as far: whoever calls them
does. What is none ends `FAR` away. Headers are no longer than the padding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from streamflow.core.kernel import part
from streamflow.formats.scan.moment import NO_TIME
from streamflow.formats.scan.words import byte, double, single, swapped, word

NIL = 0xC0
FAR = np.int64(2**62)
"""Past the end of any message."""
_NOT_ASCII = np.uint64(0x8080808080808080)
_TIMESTAMP = 0xFF
_SECOND = 10**9
_MOST_SECONDS = np.uint64((2**63 - 1) // _SECOND)
_34_BITS = np.uint64(2**34 - 1)


@part
def _big(data: Any, at: int, size: int) -> Any:
    """So many bytes, one to eight, as an unsigned number, the first of them highest."""
    return swapped(word(data, at)) >> np.uint64(64 - 8 * size)


@part
def pairs(data: Any, at: int) -> Any:
    """A map: where its pairs begin, and how many they are."""
    c = byte(data, at)
    if c >= 0x80 and c <= 0x8F:
        return at + 1, np.int64(c & 15)
    if c == 0xDE:
        return at + 3, np.int64(_big(data, at + 1, 2))
    if c == 0xDF:
        return at + 5, np.int64(_big(data, at + 1, 4))
    return FAR, np.int64(0)


@part
def string(data: Any, at: int) -> Any:
    """A string: where its text begins and ends."""
    c = byte(data, at)
    if c >= 0xA0 and c <= 0xBF:
        return at + 1, at + 1 + np.int64(c & 31)
    if c >= 0xD9 and c <= 0xDB:
        size: Any = 1 << (np.int64(c) - 0xD9)
        at += 1 + size
        return at, at + np.int64(_big(data, at - size, size))
    return at, FAR


@part
def is_ascii(data: Any, at: int, end: int) -> Any:
    """Whether a text is ASCII."""
    while at + 8 <= end:
        if word(data, at) & _NOT_ASCII != 0:
            return False
        at += 8
    return at == end or (word(data, at) & _NOT_ASCII) << np.uint64(64 - 8 * (end - at)) == 0


@part
def number(data: Any, at: int) -> Any:
    """A number: where it ends, whether it is an integer, the integer, the double.

    Integers beyond int64 are none.
    """
    c = byte(data, at)
    if c == 0xCB:
        return at + 9, False, np.int64(0), double(_big(data, at + 1, 8))
    if c == 0xCA:
        return at + 5, False, np.int64(0), np.float64(single(_big(data, at + 1, 4)))
    at += 1
    integer = np.int64(c)
    if c >= 0xE0:
        integer -= 256
    elif c >= 0x80:
        if c < 0xCC or c > 0xD3:
            return FAR, False, np.int64(0), 0.0
        size: Any = 1 << np.int64(c & 3)
        integer = np.int64(_big(data, at, size))
        if c >= 0xD0:
            unused = 64 - 8 * size
            integer = (integer << unused) >> unused
        elif integer < 0:
            return FAR, False, np.int64(0), 0.0
        at += size
    return at, True, integer, np.float64(integer)


@part
def extension(data: Any, at: int) -> Any:
    """An extension: where it begins with its type, and where it ends."""
    c = byte(data, at)
    if c >= 0xD4 and c <= 0xD8:
        return at + 1, at + 2 + (1 << (np.int64(c) - 0xD4))
    if c >= 0xC7 and c <= 0xC9:
        size: Any = 1 << (np.int64(c) - 0xC7)
        at += 1 + size
        return at, at + 1 + np.int64(_big(data, at - size, size))
    return at, FAR


@part
def timestamp(data: Any, at: int, end: int) -> Any:
    """An extension within its message as a time: ns since 1970; NO_TIME if it is none."""
    size = end - at - 1
    ns, seconds = np.uint64(0), np.uint64(0)
    if size == 4:
        seconds = _big(data, at + 1, 4)
    elif size == 8:
        both = _big(data, at + 1, 8)
        ns, seconds = both >> np.uint64(34), both & _34_BITS
    elif size == 12:
        ns, seconds = _big(data, at + 1, 4), _big(data, at + 5, 8)
    else:
        return NO_TIME
    if byte(data, at) != _TIMESTAMP or ns >= np.uint64(_SECOND) or seconds >= _MOST_SECONDS:
        return NO_TIME
    return np.int64(seconds) * _SECOND + np.int64(ns)


@part
def past(data: Any, at: int) -> Any:
    """Where a value ends that nobody wants; arrays and maps are none."""
    c = byte(data, at)
    if c == NIL or c == 0xC2 or c == 0xC3:
        return at + 1
    if c >= 0xC4 and c <= 0xC6:
        size: Any = 1 << (np.int64(c) - 0xC4)
        return at + 1 + size + np.int64(_big(data, at + 1, size))
    end = string(data, at)[1]
    if end == FAR:
        end = number(data, at)[0]
    if end == FAR:
        end = extension(data, at)[1]
    return end
