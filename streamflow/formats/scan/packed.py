"""The scan of MessagePack: maps without objects of them, message after message."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamflow.core.kernel import kernel
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
from streamflow.formats.scan.moment import NO_DAY, NO_TIME, clock, day, of_double, of_integer
from streamflow.formats.scan.names import find
from streamflow.formats.scan.values import (
    FAR,
    NIL,
    extension,
    is_ascii,
    number,
    pairs,
    past,
    string,
    timestamp,
)
from streamflow.formats.scan.words import byte, word


@kernel
def scan(
    data: Any,
    ends: Any,
    keys: Any,
    sizes: Any,
    kinds: Any,
    places: Any,
    nodes: Any,  # noqa: ARG001
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
    """Read the messages that are plain, and say which they are: as `flat.scan` does.

    Parameters
    ----------
    keys, sizes
        uint64[f, w]: the key of each field, with nothing behind it; int64[f]: their bytes.
    data, ends, kinds, ...
        As for `flat.scan`; all fields stand in the message itself.
    """
    count, begin = len(kinds), 0
    date, date_end, midnight = np.uint64(0), np.uint64(0), NO_DAY
    for row in range(len(ends)):
        end = ends[row]
        at, left = pairs(data, begin)
        begin, previous, has = end, count, 0
        plain[row] = False
        # Nothing is read that begins past the end; what ends past it stops the loop.
        while left > 0 and at < end:
            left -= 1
            at, close = string(data, at)
            if close > end:
                at = FAR
                break
            size = close - at
            field = follows[previous]
            if size != sizes[field] or not is_key(data, at, keys[field], size):
                field = NO_FIELD
                for one in range(count):
                    if size == sizes[one] and is_key(data, at, keys[one], size):
                        field = one
                        follows[previous] = one
                        break
            at = close
            if field < 0:
                at = past(data, at)
                continue
            previous, kind, place = field, kinds[field], places[field]
            if byte(data, at) == NIL:
                if kind == SENSOR:
                    values[place, row] = np.nan
                elif kind == TAG:
                    spans[place, row, 1] = spans[place, row, 0]
                else:
                    at = FAR
                at += 1
            elif kind == SENSOR:
                at, _, _, values[place, row] = number(data, at)
            elif kind in (DEVICE, TAG):
                first, at = string(data, at)
                if at > end or not is_ascii(data, first, at):
                    at = FAR
                    break
                if kind == DEVICE:
                    device[row] = find(data, first, at - first, table, names, name_start, name_size)
                    has |= HAS_DEVICE
                spans[place, row, 0] = first
                spans[place, row, 1] = at
            elif kind == TIME:
                ns = NO_TIME
                first, close = string(data, at)
                if close != FAR:
                    if texts and close <= end and close - first >= 19:
                        eight, two = word(data, first), word(data, first + 8) & np.uint64(0xFFFF)
                        if eight != date or two != date_end:
                            date, date_end, midnight = eight, two, day(data, first)
                        ns = clock(data, first + 10, close, naive)
                        if ns != NO_TIME:
                            ns = ns + midnight if midnight != NO_DAY else NO_TIME
                else:
                    first, close = extension(data, at)
                    if close == FAR:
                        close, whole, integer, real = number(data, at)
                        ns = of_integer(integer, unit) if whole else of_double(real, unit)
                    elif close <= end:
                        ns = timestamp(data, first, close)
                if ns == NO_TIME:
                    at = FAR
                    break
                time[row] = ns
                has |= HAS_TIME
                at = close
        plain[row] = left == 0 and at == end and has & wanted == wanted
