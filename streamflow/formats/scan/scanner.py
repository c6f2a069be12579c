"""Scanner: decodes what is plain with the scan, and leaves the rest to another decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from streamflow.core.batch import Batch, Mask, Words
from streamflow.core.connect import Decoded, Decoder, Messages, Trouble
from streamflow.core.schema import Schema
from streamflow.formats.columns import Columns
from streamflow.formats.scan.flat import (
    DEVICE,
    HAS_DEVICE,
    HAS_TIME,
    OBJECT,
    SENSOR,
    TAG,
    TIME,
    scan,
)
from streamflow.formats.scan.names import Names
from streamflow.formats.scan.words import PADDING
from streamflow.formats.struct import Path


class Scanner:
    """Decodes JSON messages that are plain objects; another decoder has those that are not.

    Plain is what the scan reads to the same bits: keys and texts in ASCII without escapes, a
    device that is a text, a time in ISO 8601 or a number since 1970, sensors that are numbers or
    null.

    Parameters
    ----------
    columns
        Of the partition, shared with the other decoder.
    paths
        Where each field stands.
    rest
        For the messages that are not plain.
    """

    def __init__(self, columns: Columns, paths: Mapping[str, Path], rest: Decoder) -> None:
        self._columns, self._paths, self._rest = columns, paths, rest
        self._names = Names()
        self._keys: dict[frozenset[str], _Keys] = {}

    def decode(self, messages: Messages, dead: Trouble) -> Decoded:
        """All readings of the messages, in order."""
        told = frozenset(messages.fields)
        keys = self._keys.get(told)
        if keys is None:
            keys = self._keys[told] = _Keys(self._columns.schema, self._paths, told)
        if any(None in messages.fields[name] for name in told):
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

    def _scan(self, payloads: Sequence[bytes], keys: _Keys) -> tuple[dict[str, Any], Mask]:
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
        scan(
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


class _Keys:
    """The keys that payloads are to tell, as the scan compares them.

    Parameters
    ----------
    told
        The fields that the transport tells.
    """

    def __init__(self, schema: Schema, paths: Mapping[str, Path], told: frozenset[str]) -> None:
        kinds = {schema.device: DEVICE, schema.time: TIME} | dict.fromkeys(schema.numeric, SENSOR)
        kinds |= dict.fromkeys(schema.tags, TAG)
        place = {name: k for k, name in enumerate(schema.numeric)}
        place |= {name: k for k, name in enumerate(schema.tags, 1)}
        self.fields = [name for name in kinds if name not in told]
        objects: dict[Path, int] = {(): 0}
        entries: list[tuple[str, int, int, int]] = []
        """Key, kind, place, number of the object around."""
        for name in self.fields:
            path = paths[name]
            for depth in range(1, len(path)):
                if path[:depth] not in objects:
                    number = objects[path[:depth]] = len(objects)
                    entries.append((path[depth - 1], OBJECT, number, objects[path[: depth - 1]]))
            entries.append((path[-1], kinds[name], place.get(name, 0), objects[path[:-1]]))
        quoted = [key.encode() + b'"' for key, *_ in entries]
        self.sizes = np.array([len(one) for one in quoted])
        words = -(-int(self.sizes.max(initial=1)) // 8)
        padded = b"".join(one.ljust(8 * words, b"\0") for one in quoted)
        self.keys = np.frombuffer(padded, np.uint64).reshape(-1, words)
        table = np.array([entry[1:] for entry in entries], np.int64).reshape(-1, 3)
        self.kinds, self.places, self.nodes = table.T.copy()
        self.follows = np.arange(1, len(entries) + len(objects) + 1) % len(entries)
        needs = {schema.device: HAS_DEVICE, schema.time: HAS_TIME}
        self.wanted = sum(has for name, has in needs.items() if name not in told)


def _merged(one: Decoded, other: Decoded) -> Decoded:
    """Both, in the order of their messages."""
    message = np.concatenate([one.message, other.message])
    order = np.argsort(message, kind="stable")
    return Decoded(Batch.concat([one.batch, other.batch]).take(order), message[order])
