"""The pickle that Bytewax puts around a snapshot: plain values in, plain values out.

Bytewax pickles what a step's `snapshot()` returns; ours return bytes, numbers, strings and lists.
To read them back outside Bytewax, the unpickler here refuses to look up any class or function:
it can build plain values and nothing else.
"""

from __future__ import annotations

import io
import pickle
from typing import Any, NoReturn

from streamflow.errors import StateError


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> NoReturn:
        raise StateError(f"the recovery store holds a {module}.{name}; it holds plain values only")


def from_plain(data: bytes) -> Any:
    """The value; StateError if it is anything but plain, or damaged."""
    try:
        return _PlainUnpickler(io.BytesIO(data)).load()
    except StateError:
        raise
    except Exception as error:  # damaged bytes can raise whatever they like
        raise StateError(f"a snapshot is damaged: {error}") from error


def to_plain(value: Any) -> bytes:
    """The value as Bytewax would write it."""
    return pickle.dumps(value, protocol=4)
