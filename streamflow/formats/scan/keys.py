"""Keys: the fields that a scan looks for, as it compares them."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamflow.core.kernel import part
from streamflow.core.schema import Schema
from streamflow.formats.scan.words import word

DEVICE, TIME, SENSOR, TAG = range(4)
NO_FIELD = -1
HAS_DEVICE, HAS_TIME = 1, 2


class Keys:
    """The keys that payloads are to tell.

    Parameters
    ----------
    schema
        What the flow wants.
    told
        The fields that the transport tells.
    after
        What stands behind each key in a message, and is compared with it.
    """

    def __init__(self, schema: Schema, told: frozenset[str], after: bytes) -> None:
        kinds = {schema.device: DEVICE, schema.time: TIME} | dict.fromkeys(schema.numeric, SENSOR)
        kinds |= dict.fromkeys(schema.tags, TAG)
        place = {name: k for k, name in enumerate(schema.numeric)}
        place |= {name: k for k, name in enumerate(schema.tags, 1)}
        self.fields = [name for name in kinds if name not in told]
        self.kinds = np.array([kinds[name] for name in self.fields])
        self.places = np.array([place.get(name, 0) for name in self.fields])
        self.follows = np.append(np.arange(1, len(self.fields)), [0, 0])
        raw = [name.encode() + after for name in self.fields]
        self.sizes = np.array([len(one) for one in raw])
        words = -(-int(self.sizes.max(initial=1)) // 8)
        padded = b"".join(one.ljust(8 * words, b"\0") for one in raw)
        self.keys = np.frombuffer(padded, np.uint64).reshape(-1, words)
        needs = {schema.device: HAS_DEVICE, schema.time: HAS_TIME}
        self.wanted = sum(has for name, has in needs.items() if name not in told)


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
