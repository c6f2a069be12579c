"""Where compiled kernels are kept: where Numba keeps them, and readable where it cannot write.

Numba looks for a folder that it can write to: NUMBA_CACHE_DIR, `__pycache__` beside the source,
the user's cache. On a read-only system there is none, and it would compile at every start, though
the kernels may lie there, put by `streamflow warm` when the image was built.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from numba.core.caching import CompileResultCacheImpl, FunctionCache


class _Reads:
    """A place that need not be writable."""

    def ensure_cache_path(self) -> None:
        """Raise OSError if it does not exist."""
        os.listdir(self.get_cache_path())  # type: ignore[attr-defined]


_READABLE: Any = [
    type(f"Reads{where.__name__.lstrip('_')}", (_Reads, where), {})
    for where in CompileResultCacheImpl._locator_classes
]


class _Readable(CompileResultCacheImpl):
    _locator_classes = _READABLE


class ReadOnlyCache(FunctionCache):
    """Loads what is there; what is compiled anew is not kept. RuntimeError if there is no place."""

    _impl_class = _Readable

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]

    def save_overload(self, signature: Any, data: Any) -> None:
        """Nowhere."""
