"""Observed: what two River objects have learned, compared to the bit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from struct import pack
from types import FunctionType, MethodType
from typing import Any

_BESIDE = "_tree_nodes"
"""What River keeps beside the trees themselves, to be quick."""
_CODE = (FunctionType, MethodType, partial, type)


def same(x: Any, y: Any) -> bool:
    """Whether two numbers are alike to the bit; any NaN equals any NaN.

    >>> same(0.0, -0.0), same(1, 1.0), same(float("nan"), float("nan"))
    (False, True, True)
    """
    if isinstance(x, float) and isinstance(y, float):
        return pack("d", x) == pack("d", y) or (x != x and y != y)
    return bool(x == y)


def difference(one: Any, other: Any) -> str | None:
    """The first attribute in which two objects differ, in words; None if there is none.

    >>> from river import stats
    >>> one, other = stats.Mean(), stats.Mean()
    >>> one.update(3)
    >>> difference(one, other)
    'get() is 3.0, and 0.0'
    """
    return _differs("", one, other)


def _differs(path: str, one: Any, other: Any) -> str | None:
    if isinstance(one, (str, bytes, int, float, type(None))):
        return None if same(one, other) else f"{path} is {one!r}, and {other!r}"
    if isinstance(one, Mapping):
        for key in dict.fromkeys([*one, *other]):
            found = _differs(f"{path}[{key!r}]", _entry(one, key), _entry(other, key))
            if found:
                return found
        return None
    if isinstance(one, Collection):
        if len(one) != len(other):
            return f"{path} has {len(one)} entries, and {len(other)}"
        pairs = enumerate(zip(one, other, strict=True))
        found_in = (_differs(f"{path}[{i}]", x, y) for i, (x, y) in pairs)
        return next((found for found in found_in if found), None)
    if type(one) is not type(other):
        return f"{path} is a {type(one).__name__}, and a {type(other).__name__}"
    if isinstance(one, _CODE) or _opaque(one):
        return None
    if hasattr(one, "get") and not same(one.get(), other.get()):
        return f"{path}.get() is {one.get()!r}, and {other.get()!r}".lstrip(".")
    for name in _attributes(one):
        inner = f"{path}.{name}" if path else name
        found = _differs(inner, getattr(one, name), getattr(other, name))
        if found:
            return found
    return None


def _entry(mapping: Mapping[Any, Any], key: Any) -> Any:
    """An entry, or what stands for a missing one: River makes some on looking them up."""
    if key in mapping or not hasattr(mapping, "default_factory"):
        return mapping.get(key, 0)
    return mapping.default_factory()


def _attributes(thing: Any) -> list[str]:
    if hasattr(thing, "steps"):
        return ["steps"]
    names = [*getattr(thing, "__dict__", ()), *getattr(thing, "__slots__", ())]
    if any(_opaque(getattr(thing, name)) for name in names):
        names += [name for name, kind in vars(type(thing)).items() if isinstance(kind, property)]
    return [name for name in names if name != _BESIDE]


def _opaque(thing: Any) -> bool:
    """Whether it is in Rust: then only its owner says what is in it."""
    return type(thing).__module__.startswith("river._river_rust")
