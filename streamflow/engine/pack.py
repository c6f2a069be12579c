"""Snapshots as bytes: a MessagePack tree with arrays in it, and a checksum. No pickle."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import msgspec
import numpy as np

from streamflow.errors import StateError

_MAGIC = b"SF1\n"
_ARRAY = 1


def _encode(thing: Any) -> Any:
    if isinstance(thing, np.ndarray):
        whole = np.ascontiguousarray(thing)
        head = msgspec.msgpack.encode((whole.dtype.str, whole.shape))
        return msgspec.msgpack.Ext(_ARRAY, len(head).to_bytes(4, "little") + head + whole.tobytes())
    if isinstance(thing, np.generic):
        return thing.item()
    raise StateError(f"a snapshot cannot hold a {type(thing).__name__}: {thing!r}")


def _decode(code: int, data: memoryview) -> Any:
    if code != _ARRAY:
        raise StateError(f"a snapshot holds a thing of unknown kind {code}")
    size = int.from_bytes(data[:4], "little")
    dtype, shape = msgspec.msgpack.decode(data[4 : 4 + size])
    return np.frombuffer(data[4 + size :], np.dtype(dtype)).reshape(shape).copy()


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_encode)
_DECODER = msgspec.msgpack.Decoder(ext_hook=_decode, strict=False)


def pack(tree: Any) -> bytes:
    """A tree of dicts, lists, strings, numbers, bytes and arrays as bytes.

    >>> unpack(pack({"mean": np.array([1.5, 2.5])}))["mean"].tolist()
    [1.5, 2.5]
    """
    body = _ENCODER.encode(tree)
    return _MAGIC + crc32(body).to_bytes(4, "little") + body


def unpack(data: bytes) -> Any:
    """The tree again; StateError if a byte of it has changed."""
    body = memoryview(data)[8:]
    if data[:4] != _MAGIC or crc32(body).to_bytes(4, "little") != data[4:8]:
        raise StateError("a snapshot is damaged: its checksum does not fit")
    return _DECODER.decode(body)
