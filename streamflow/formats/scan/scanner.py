"""Scanner: decodes what is plain with the scan, and leaves the rest to another decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from streamflow.core.batch import Batch, Mask, Words
from streamflow.core.connect import Decoded, Decoder, Messages, Trouble
from streamflow.formats.columns import Columns
from streamflow.formats.scan.keys import HAS_DEVICE, HAS_TIME, Keys
from streamflow.formats.scan.names import Names
from streamflow.formats.scan.words import PADDING
from streamflow.formats.struct import Path


class Scanner:
    """Decodes messages that are plain objects; another decoder has those that are not.

    Plain is what the scan reads to the same bits: texts in ASCII without escapes, a device that is
    a text, a time in ISO 8601, a number since 1970 or a timestamp of MessagePack, sensors that are
    numbers or null; in MessagePack, no objects or arrays.

    Parameters
    ----------
    columns
        Of the partition, shared with the other decoder.
    paths
        Where each field stands.
    rest
        For the messages that are not plain.
    scan
        `flat.scan` or `packed.scan`.
    after
        What stands behind a key in a message, and is compared with it: the closing quote of JSON.
        Without it, the scan knows how long a key is.
    """

    def __init__(
        self,
        columns: Columns,
        paths: Mapping[str, Path],
        rest: Decoder,
        scan: Any,
        after: bytes = b"",
    ) -> None:
        self._columns, self._paths, self._rest = columns, paths, rest
        self._read, self._after = scan, after
        schema = columns.schema
        self._tellable = frozenset((schema.device, schema.time, *schema.tags))
        self._names = Names()
        self._keys: dict[frozenset[str], Keys] = {}

    def decode(self, messages: Messages, dead: Trouble) -> Decoded:
        """All readings of the messages, in order."""
        told = self._tellable.intersection(messages.fields)
        keys = self._keys.get(told)
        if keys is None:
            keys = self._keys[told] = Keys(self._columns.schema, self._paths, told, self._after)
        if not keys.usable or any(None in messages.fields[name] for name in told):
            return self._rest.decode(messages, dead)
        fields, plain = self._scan(messages.payloads, keys)
        read = self._columns.build(fields, np.flatnonzero(plain), messages, dead)
        if plain.all():
            return read
        odd = np.flatnonzero(~plain)
        found = self._rest.decode(
            messages.take(odd.tolist()), lambda i, *why: dead(int(odd[i]), *why)
        )
        rest = Decoded(found.batch, odd[found.message])
        return _merged(read, rest) if len(read.batch) else rest

    def _scan(self, payloads: Sequence[bytes], keys: Keys) -> tuple[dict[str, Any], Mask]:
        """The fields of those that are plain, and which are."""
        n, schema = len(payloads), self._columns.schema
        joined = b"".join([*payloads, PADDING])
        ends = np.fromiter(map(len, payloads), np.int64, n).cumsum()
        device, time = np.empty(n, np.int32), np.empty(n, np.int64)
        values = np.full((len(schema.numeric), n), np.nan)
        spans = np.zeros((1 + len(schema.tags), n, 2), np.int64)
        plain = np.empty(n, bool)
        names, times = self._names, self._columns.times
        names.update(self._columns.devices)
        self._read(
            np.frombuffer(joined, np.uint8),
            ends,
            *(keys.keys, keys.sizes, keys.kinds, keys.places, keys.nodes, keys.follows),
            keys.wanted,
            *(times.texts, times.utc, times.unit),
            *(names.table, names.text, names.start, names.size),
            *(device, time, values, spans, plain),
        )
        fields: dict[str, Any] = {}
        if keys.wanted & HAS_DEVICE:
            new = np.flatnonzero(plain & (device < 0))
            for row, (first, end) in zip(new.tolist(), spans[0, new].tolist(), strict=True):
                device[row] = self._columns.code(joined[first:end].decode())
            plain &= device >= 0
        rows = slice(None) if plain.all() else np.flatnonzero(plain)
        if keys.wanted & HAS_DEVICE:
            fields[schema.device] = device[rows]
        if keys.wanted & HAS_TIME:
            fields[schema.time] = time[rows].view("datetime64[ns]")
        fields |= {name: values[k, rows] for k, name in enumerate(schema.numeric)}
        for k, tag in enumerate(schema.tags, 1):
            if tag in keys.fields:
                where = spans[k, rows].tolist()
                fields[tag] = Words.of([joined[a:b].decode() or None for a, b in where])
        return fields, plain


def _merged(one: Decoded, other: Decoded) -> Decoded:
    """Both, in the order of their messages."""
    message = np.concatenate([one.message, other.message])
    order = np.argsort(message, kind="stable")
    return Decoded(Batch.concat([one.batch, other.batch]).take(order), message[order])
