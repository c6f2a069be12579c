"""Keys: the fields that a scan looks for, as it compares them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from streamflow.core.kernel import part
from streamflow.core.schema import Schema
from streamflow.formats.scan.words import word
from streamflow.formats.struct import Path

DEVICE, TIME, SENSOR, TAG, OBJECT = range(5)
MOST_OBJECTS = 63
"""Which of them a message has shown is kept as bits of an int64."""
NO_FIELD = -1
HAS_DEVICE, HAS_TIME = 1, 2


class Keys:
    """The keys that payloads are to tell.

    Parameters
    ----------
    schema
        What the flow wants.
    paths
        Where each field stands.
    told
        The fields that the transport tells.
    after
        What stands behind each key in a message, and is compared with it.
    """

    def __init__(
        self, schema: Schema, paths: Mapping[str, Path], told: frozenset[str], after: bytes
    ) -> None:
        kinds = {schema.device: DEVICE, schema.time: TIME} | dict.fromkeys(schema.numeric, SENSOR)
        kinds |= dict.fromkeys(schema.tags, TAG)
        place = {name: k for k, name in enumerate(schema.numeric)}
        place |= {name: k for k, name in enumerate(schema.tags, 1)}
        self.fields = [name for name in kinds if name not in told]
        objects: dict[Path, int] = {(): 0}
        entries: list[tuple[str, int, int, int]] = []  # key, kind, place, object around
        for name in self.fields:
            path = paths[name]
            for depth in range(1, len(path)):
                if path[:depth] not in objects:
                    number = objects[path[:depth]] = len(objects)
                    entries.append((path[depth - 1], OBJECT, number, objects[path[: depth - 1]]))
            entries.append((path[-1], kinds[name], place.get(name, 0), objects[path[:-1]]))
        table = np.array([entry[1:] for entry in entries], np.int64).reshape(-1, 3)
        self.kinds, self.places, self.nodes = table.T.copy()
        self.follows = np.arange(1, len(entries) + len(objects) + 1) % max(len(entries), 1)
        raw = [key.encode() + after for key, *_ in entries]
        self.sizes = np.array([len(one) for one in raw])
        words = -(-int(self.sizes.max(initial=1)) // 8)
        padded = b"".join(one.ljust(8 * words, b"\0") for one in raw)
        self.keys = np.frombuffer(padded, np.uint64).reshape(-1, words)
        needs = {schema.device: HAS_DEVICE, schema.time: HAS_TIME}
        self.wanted = sum(has for name, has in needs.items() if name not in told)
        self.usable = len(entries) > 0 and len(objects) <= MOST_OBJECTS
        """Whether a scan can look for them."""


@part
def is_key(data: Any, at: int, key: Any, size: int) -> Any:
    """Whether this key, of so many bytes, stands there."""
    i = 0
    while size >= 8:
        if word(data, at + 8 * i) != key[i]:
            return False
        size -= 8
        i += 1
    return size == 0 or (word(data, at + 8 * i) ^ key[i]) << np.uint64(64 - 8 * size) == 0
