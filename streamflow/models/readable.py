"""What a model has learned, in words and numbers, for people who look at it."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

_DEPTH = 5
"""Objects in objects are followed so far."""
_ENTRIES = 20
"""Of a mapping so many entries are shown."""
_FIRST = 5
"""Of numbers so many are shown."""


def readable(thing: Any) -> Any:
    """What an object has learned, as plain values; its parameters are left out.

    Its attributes and the properties of its class, those of the objects in it, too; numbers in a
    row by their count, range and first few; what is neither of these is left out or counted.

    >>> from river import preprocessing
    >>> scaler = preprocessing.MinMaxScaler()
    >>> scaler.learn_one({"t": 20.5})
    >>> readable(scaler)
    {'min': {'t': 'Min: 20.5'}, 'max': {'t': 'Max: 20.5'}}
    """
    return _object(thing, _DEPTH, set())


def recipe(thing: Any) -> str:
    """How an object was made, on one line.

    >>> from river import stats
    >>> recipe(stats.Quantile(0.9))
    'Quantile: None'
    """
    try:
        return " ".join(repr(thing).split())
    except Exception:  # noqa: BLE001  River's fails on an object with a class inside
        return f"{type(thing).__name__} (...)"


def numbers(values: Any) -> Any:
    """Numbers by their shape, range (of those that are finite) and first few; one as it is.

    >>> numbers([20.5, float("nan"), 21.5])
    {'shape': [3], 'min': 20.5, 'max': 21.5, 'first': [20.5, None, 21.5]}
    """
    array = np.asarray(values)
    if not array.ndim:
        return _plain(array.item())
    finite = array[np.isfinite(array)]
    return {
        "shape": list(array.shape),
        "min": finite.min().item() if finite.size else None,
        "max": finite.max().item() if finite.size else None,
        "first": [_plain(value) for value in array.ravel()[:_FIRST].tolist()],
    }


def _plain(value: Any) -> Any:
    """A value that JSON can hold."""
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else str(value)
    return value


def _object(thing: Any, depth: int, met: set[int]) -> dict[str, Any]:
    met.add(id(thing))
    out = {}
    for name, value in _attributes(thing):
        found = _value(value, depth, met)
        if found is not None:
            out[name] = found
    return out


def _value(value: Any, depth: int, met: set[int]) -> Any:
    """In words and numbers; None for what has been met before, or says nothing."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return _plain(value)
    if isinstance(value, Mapping) or hasattr(value, "items"):
        entries = [(str(k), _value(v, depth, met)) for k, v in list(value.items())[:_ENTRIES]]
        more = {"...": f"{len(value) - _ENTRIES} more"} if len(value) > _ENTRIES else {}
        return {k: v for k, v in entries if v is not None} | more or None
    if isinstance(value, (Collection, np.ndarray)):
        values = list(value)
        if values and all(isinstance(v, (bool, int, float, np.number)) for v in values):
            return numbers(values)
        return f"{len(values)} x {type(values[0]).__name__}" if values else None
    if callable(value) or id(value) in met or not depth:
        return None
    text = repr(value)
    if "\n" not in text and text[:1] != "<" and not text.endswith("()"):
        return text
    return _object(value, depth - 1, met) or None


def _attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    from river.compose import Pipeline

    if isinstance(thing, Pipeline):
        yield from ((str(name), step) for name, step in thing.steps.items())
        return
    chosen = inspect.signature(type(thing).__init__).parameters
    for name in [*getattr(thing, "__dict__", ()), *getattr(type(thing), "__slots__", ())]:
        value = getattr(thing, name, None)
        if name not in chosen or hasattr(value, "__dict__"):
            yield name.lstrip("_"), value
    for name, _ in inspect.getmembers_static(type(thing), lambda kind: isinstance(kind, property)):
        # A property may raise while too little has been learned.
        with suppress(Exception):
            value = getattr(thing, name)
            if not name.startswith("_") and isinstance(value, (int, float)):
                yield name, value
