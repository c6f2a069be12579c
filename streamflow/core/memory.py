"""Memory: what a stage declares to remember about ONE device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

Columns = dict[str, NDArray[Any]]
LINE = 64
"""Bytes of a cache line."""


@dataclass(frozen=True)
class Field:
    """One thing remembered: a NumPy dtype, a shape per device, a default.

    A `derived` field follows from the configuration and the device's name: it is filled by
    `Stage.on_devices` and never saved.
    """

    dtype: DTypeLike
    default: float | int | bool = 0
    shape: tuple[int, ...] = ()
    derived: bool = False

    def make(self, rows: int) -> NDArray[Any]:
        """`rows` fresh rows; if a row is a number of whole cache lines, it begins on one."""
        shape, dtype = (rows, *self.shape), np.dtype(self.dtype)
        if self.default == 0 and self.shape and dtype.itemsize * prod(self.shape) % LINE == 0:
            size = dtype.itemsize * prod(shape)
            raw = np.zeros(size + LINE, np.uint8)
            start = -raw.ctypes.data % LINE
            return raw[start : start + size].view(dtype).reshape(shape)
        if self.default == 0:
            return np.zeros(shape, dtype)
        return np.full(shape, self.default, dtype)


class Codec(Protocol):
    """How an object that is not an array is saved, and by which library version."""

    version: str

    def dump(self, thing: Any) -> bytes:
        """The object as bytes."""

    def load(self, data: bytes, version: str) -> Any:
        """The object again; raises StateError if `version` cannot be read."""

    def size(self, thing: Any) -> int:
        """Bytes it takes in memory, about."""


@dataclass(frozen=True)
class Memory:
    """What a stage remembers about one device; the engine owns, saves and erases it.

    Parameters
    ----------
    fields
        name -> `Field`, or a plain default: `{"mean": 0.0, "count": 0}`.
    version
        Raised when a field changes its meaning. A new field with a default needs no new version.
    upgrades
        version -> function from that version's columns to the next version's.
    codec
        Given if the stage keeps one object per device, such as a River model.
    holds
        True if the stage holds readings back.
    fleet
        As `fields`, but once for all devices of the shard: `State.fleet`, arrays of one row. Only
        for what must look across devices; it is saved, and no device's erasure changes it.

    Examples
    --------
    >>> Memory({"mean": 0.0, "count": 0}).bytes_per_device
    16
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1
    upgrades: Mapping[int, Callable[[Columns], Columns]] = field(default_factory=dict)
    codec: Codec | None = None
    holds: bool = False
    fleet: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in ("fields", "fleet"):
            typed = {
                name: spec if isinstance(spec, Field) else Field(np.asarray(spec).dtype, spec)
                for name, spec in getattr(self, key).items()
            }
            object.__setattr__(self, key, typed)

    @property
    def bytes_per_device(self) -> int:
        """Bytes of all fields for one device; objects and held readings come on top."""
        return sum(spec.make(1).nbytes for spec in self.fields.values())
