"""Snapshots as bytes: a MessagePack tree, its arrays behind it, and a checksum. No pickle.

magic (4) | CRC-32 of the rest (4) | length of the tree (8) | tree | arrays

An array stands in the tree as its dtype, its shape and where its bytes begin; each begins at a
multiple of 8, counted from the start. Arrays are copied once, from where they are into the result.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamflow.errors import StateError

_MAGIC = b"SF2\n"
_HEAD = 16
"""Bytes before the tree."""
_ARRAY = 1


def pack(tree: Any) -> bytes:
    """A tree of dicts, lists, strings, numbers, bytes and arrays as bytes.

    >>> unpack(pack({"mean": np.array([1.5, 2.5])}))["mean"].tolist()
    [1.5, 2.5]
    """
    arrays: list[NDArray[np.uint8]] = []
    used = 0

    def encode(thing: Any) -> Any:
        nonlocal used
        if isinstance(thing, np.generic):
            return thing.item()
        if not isinstance(thing, np.ndarray) or thing.dtype.kind in "OV":
            raise StateError(f"a snapshot cannot hold a {type(thing).__name__}: {thing!r}")
        whole = np.ascontiguousarray(thing)
        head = msgspec.msgpack.encode((whole.dtype.str, thing.shape, used))
        arrays.append(whole.reshape(-1).view(np.uint8))
        used += whole.nbytes + _gap(whole.nbytes)
        return msgspec.msgpack.Ext(_ARRAY, head)

    body = msgspec.msgpack.Encoder(enc_hook=encode).encode(tree)
    parts: list[Any] = [len(body).to_bytes(8, "little"), body, bytes(_gap(len(body)))]
    for array in arrays:
        parts += [array, bytes(_gap(len(array)))]
    checksum = 0
    for part in parts:
        checksum = crc32(part, checksum)
    return b"".join([_MAGIC, checksum.to_bytes(4, "little"), *parts])


def unpack(data: bytes) -> Any:
    """The tree again; StateError if a byte of it has changed.

    Its arrays are read-only views of `data`: copy what is to outlive it or to change.
    """
    if not intact(data):
        raise StateError("a snapshot is damaged: its checksum does not fit")
    size = int.from_bytes(data[8:_HEAD], "little")
    arrays = memoryview(data)[_HEAD + size + _gap(size) :]

    def decode(code: int, head: memoryview) -> Any:
        if code != _ARRAY:
            raise StateError(f"a snapshot holds a thing of unknown kind {code}")
        name, shape, start = msgspec.msgpack.decode(head)
        dtype = np.dtype(name)
        count = int(np.prod(shape, dtype=np.int64))
        return np.frombuffer(arrays[start:], dtype, count).reshape(shape)

    tree = memoryview(data)[_HEAD : _HEAD + size]
    return msgspec.msgpack.Decoder(ext_hook=decode, strict=False).decode(tree)


def intact(data: bytes) -> bool:
    """Whether these are bytes that `pack` gave."""
    return data[:4] == _MAGIC and crc32(memoryview(data)[8:]).to_bytes(4, "little") == data[4:8]


def _gap(size: int) -> int:
    """Bytes up to the next multiple of 8."""
    return -size % 8
