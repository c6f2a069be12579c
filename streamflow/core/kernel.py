"""Kernels: functions over arrays that Numba compiles. Imported only by what has some."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from numba import njit

from streamflow.core.kernel_cache import ReadOnlyCache

MADE: list[Any] = []
"""All kernels of this process."""


def kernel(function: Callable[..., None]) -> Any:
    """Compile a function with Numba: no GIL, kept on disk, numbers to the bit (no fast math)."""
    how: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        made = njit(cache=True, **how)(function)
    except RuntimeError:  # nowhere to write; or typed at a prompt, where there is no file at all
        made = njit(**how)(function)
        with suppress(RuntimeError):
            made._cache = ReadOnlyCache(function)
    MADE.append(made)
    return made


def inlined(function: Callable[..., Any]) -> Any:
    """A part of kernels, compiled as if it stood where it is called."""
    return njit(nogil=True, error_model="numpy", inline="always")(function)


def part(function: Callable[..., Any]) -> Any:
    """A function that kernels call.

    Numba looks for changes in a kernel's own file only: touch that when a part elsewhere changes.
    """
    return njit(nogil=True, error_model="numpy")(function)
