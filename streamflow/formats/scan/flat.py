"""The scan of JSON: objects without objects in them, message after message."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamflow.core.kernel import kernel, part
from streamflow.formats.scan.keys import (
    DEVICE,
    HAS_DEVICE,
    HAS_TIME,
    NO_FIELD,
    SENSOR,
    TAG,
    TIME,
    is_key,
)
from streamflow.formats.scan.moment import NO_DAY, NO_TIME, clock, day, since_1970
from streamflow.formats.scan.names import find
from streamflow.formats.scan.text import blank, closing, double, number
from streamflow.formats.scan.words import byte, word


@part
def _is_null(data: Any, at: int) -> Any:
    return byte(data, at + 1) == 117 and byte(data, at + 2) == 108 and byte(data, at + 3) == 108


@kernel
def scan(
    data: Any,
    ends: Any,
    keys: Any,
    sizes: Any,
    kinds: Any,
    places: Any,
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
        int64[f]: what each field is, and its row in `values` or `spans`.
    follows
        int64[f + 1]: the field that came after each the last time, after none last.
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
    for row in range(len(ends)):
        end = ends[row]
        at = blank(data, begin)
        begin, previous, has = end, count, 0
        plain[row] = False
        if byte(data, at) != 123:
            continue
        at = blank(data, at + 1)
        while byte(data, at) == 34:
            at += 1
            field = follows[previous]
            if not is_key(data, at, keys[field], sizes[field]):
                field = NO_FIELD
                for one in range(count):
                    if is_key(data, at, keys[one], sizes[one]):
                        field = one
                        follows[previous] = one
                        break
            kind = NO_FIELD
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
            if first == 34:
                at += 1
                close = closing(data, at)
                if close < 0 or kind == SENSOR:
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
                if at < 0 or kind in (DEVICE, TAG):
                    break
                if kind == SENSOR:
                    values[places[field], row] = double(digits, power, negative)
                elif kind == TIME:
                    ns = since_1970(digits, power, negative, whole, unit)
                    if ns == NO_TIME:
                        break
                    time[row] = ns
                    has |= HAS_TIME
            elif first == 110 and _is_null(data, at):
                if kind in (DEVICE, TIME):
                    break
                at += 4
                if kind == SENSOR:
                    values[places[field], row] = np.nan
                elif kind == TAG:
                    spans[places[field], row, 1] = spans[places[field], row, 0]
            else:
                break
            at = blank(data, at)
            after = byte(data, at)
            at += 1
            if after == 44:
                at = blank(data, at)
                continue
            # A message that was cut off may have been read on in the next one.
            if after == 125 and at <= end and blank(data, at) >= end:
                plain[row] = has & wanted == wanted
            break
