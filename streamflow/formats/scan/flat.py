"""The scan of JSON: objects, message after message."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamflow.core.kernel import kernel, part
from streamflow.formats.scan.keys import (
    DEVICE,
    HAS_DEVICE,
    HAS_TIME,
    NO_FIELD,
    OBJECT,
    SENSOR,
    TAG,
    TIME,
    is_key,
)
from streamflow.formats.scan.moment import NO_DAY, NO_TIME, clock, day, since_1970
from streamflow.formats.scan.names import find
from streamflow.formats.scan.text import blank, closing, double, number
from streamflow.formats.scan.words import byte, word

_OTHER, _ARRAY = -1, -2
"""An object of which nothing is wanted, and an array."""
_DEEP = 32
_NULL, _TRUE, _FALSE = (
    np.uint64(int.from_bytes(text, "little")) for text in (b"null", b"true", b"false")
)


@part
def _literal(data: Any, at: int) -> Any:
    """How many bytes of `null`, `true` or `false` stand there; 0 if none does."""
    five = word(data, at) & np.uint64(0xFFFFFFFFFF)
    four = five & np.uint64(0xFFFFFFFF)
    if four in (_NULL, _TRUE):
        return 4
    return 5 if five == _FALSE else 0


@kernel
def scan(
    data: Any,
    ends: Any,
    keys: Any,
    sizes: Any,
    kinds: Any,
    places: Any,
    nodes: Any,
    follows: Any,
    wanted: int,
    texts: bool,
    naive: bool,
    unit: int,
    table: Any,
    names: Any,
    name_start: Any,
    name_size: Any,
    device: Any,
    time: Any,
    values: Any,
    spans: Any,
    plain: Any,
) -> None:
    """Read the messages that are plain, and say which they are.

    Parameters
    ----------
    data, ends
        uint8: all messages and padding; int64[n]: where each ends.
    keys, sizes
        uint64[f, w]: the key of each field and its closing quote; int64[f]: their bytes.
    kinds, places
        int64[f]: what each field is; its row in `values` or `spans`, or the number of an object.
    nodes
        int64[f]: the number of the object that holds each; the message itself is 0.
    follows
        int64[f + objects]: the field that came after each, or first in an object, the last time.
    wanted
        `HAS_DEVICE` and `HAS_TIME`, added: what a message needs to be plain.
    texts, naive, unit
        Whether times may be ISO 8601, with no zone; ns of a number, 0 if its size tells them.
    table, names, name_start, name_size
        `Names`.
    device, time, values, spans, plain
        To be filled: int32[n], -1 where the device is unknown; int64[n]; float64[sensors, n] of
        NaN; int64[1 + tags, n, 2] of 0, where device and tags stand; bool[n].
    """
    count, begin = len(kinds), 0
    date, date_end, midnight = np.uint64(0), np.uint64(0), NO_DAY
    stack = np.zeros(_DEEP, np.int64)
    for row in range(len(ends)):
        end = ends[row]
        at = blank(data, begin)
        begin, has, seen = end, 0, 0
        depth, node, previous, opened, good = 0, 0, count, True, True
        plain[row] = False
        if byte(data, at) != 123:
            continue
        at += 1
        while good:
            good = False
            at = blank(data, at)
            first = byte(data, at)
            kind, field = NO_FIELD, NO_FIELD
            if opened and first == (93 if node == _ARRAY else 125):
                first = 0
            elif node != _ARRAY:
                if first != 34:
                    break
                at += 1
                if node >= 0:
                    field = follows[previous]
                    if nodes[field] != node or not is_key(data, at, keys[field], sizes[field]):
                        field = NO_FIELD
                        for one in range(count):
                            if nodes[one] == node and is_key(data, at, keys[one], sizes[one]):
                                field = one
                                follows[previous] = one
                                break
                if field >= 0:
                    previous, kind = field, kinds[field]
                    at += sizes[field]
                else:
                    at = closing(data, at) + 1
                    if at == 0:
                        break
                at = blank(data, at)
                if byte(data, at) != 58:
                    break
                at = blank(data, at + 1)
                first = byte(data, at)
            opened = False
            if first == 34:
                at += 1
                close = closing(data, at)
                if close < 0 or kind in (SENSOR, OBJECT):
                    break
                if kind == DEVICE:
                    device[row] = find(data, at, close - at, table, names, name_start, name_size)
                    has |= HAS_DEVICE
                elif kind == TIME:
                    if not texts or close - at < 19:
                        break
                    eight, two = word(data, at), word(data, at + 8) & np.uint64(0xFFFF)
                    if eight != date or two != date_end:
                        date, date_end, midnight = eight, two, day(data, at)
                    ns = clock(data, at + 10, close, naive)
                    if midnight == NO_DAY or ns == NO_TIME:
                        break
                    time[row] = midnight + ns
                    has |= HAS_TIME
                if kind in (DEVICE, TAG):
                    spans[places[field], row, 0] = at
                    spans[places[field], row, 1] = close
                at = close + 1
            elif first == 45 or (first >= 48 and first <= 57):
                at, digits, power, negative, whole = number(data, at)
                if at < 0 or kind in (DEVICE, TAG, OBJECT):
                    break
                if kind == SENSOR:
                    values[places[field], row] = double(digits, power, negative)
                elif kind == TIME:
                    ns = since_1970(digits, power, negative, whole, unit)
                    if ns == NO_TIME:
                        break
                    time[row] = ns
                    has |= HAS_TIME
            elif first in (123, 91):
                # An object that comes twice counts as it comes last, and whole.
                if depth == _DEEP or kind in (DEVICE, TIME, SENSOR, TAG):
                    break
                stack[depth] = node
                depth += 1
                if kind == OBJECT:
                    node = places[field]
                    if first == 91 or seen >> node & 1:
                        break
                    seen |= 1 << node
                    previous = count + node
                else:
                    node = _ARRAY if first == 91 else _OTHER
                at += 1
                opened = good = True
                continue
            elif first != 0:
                size = _literal(data, at)
                if size == 0 or kind in (DEVICE, TIME, OBJECT) or (kind >= 0 and first != 110):
                    break
                at += size
                if kind == SENSOR:
                    values[places[field], row] = np.nan
                elif kind == TAG:
                    spans[places[field], row, 1] = spans[places[field], row, 0]
            # What comes after a value, and after each object and array that ends there.
            while True:
                at = blank(data, at)
                after = byte(data, at)
                at += 1
                if after == 44:
                    good = first != 0 and at <= end
                    break
                if after != (93 if node == _ARRAY else 125):
                    break
                first = 1
                if depth == 0:
                    # A message that was cut off may have been read on in the next one.
                    if at <= end and blank(data, at) >= end:
                        plain[row] = has & wanted == wanted
                    break
                depth -= 1
                node = stack[depth]
