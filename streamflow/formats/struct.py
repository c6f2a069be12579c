"""Struct types: an object's fields at their paths, as a decoder can fill them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import GenericAlias
from typing import Any

import msgspec

from streamflow.errors import FlowError

Path = tuple[str, ...]
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*').fullmatch


class StructType:
    """A msgspec struct with a field for each leaf, nested as the paths are.

    Parameters
    ----------
    leaves
        Name -> its path in the object, and its type.

    Examples
    --------
    >>> kind = StructType({"t": (("data", "t"), float | None), "at": (("at",), int | None)})
    >>> one = msgspec.json.decode(b'{"data": {"t": 4.5}}', type=kind.type)
    >>> kind.attributes, one.f0.f0, one.f1
    ({'t': 'f0.f0', 'at': 'f1'}, 4.5, None)
    """

    def __init__(self, leaves: Mapping[str, tuple[Path, Any]]) -> None:
        nodes: dict[str, dict[str, tuple[Path, Any]]] = {}
        for name, (path, type_) in leaves.items():
            nodes.setdefault(path[0], {})[name] = (path[1:], type_)
        for key in nodes:
            if not _PLAIN(key):
                raise FlowError(
                    f"no field can stand at {key!r}: a key has no quotes, backslashes or control "
                    f"characters; give it another path"
                )
        self.attributes: dict[str, str] = {}
        """Name -> the attribute that holds it, with dots between."""
        self._parts: dict[str, StructType | None] = {}
        fields: list[tuple[str, Any, Any]] = []
        # Fields go by number, for a sensor may be called anything.
        for number, (key, held) in enumerate(nodes.items()):
            attribute = f"f{number}"
            if all(path for path, _ in held.values()):
                inner = StructType(held)
                self._parts[key] = inner
                self.attributes |= {n: f"{attribute}.{a}" for n, a in inner.attributes.items()}
                fields.append((attribute, inner.type, msgspec.field(default_factory=inner.type)))
            elif len(held) > 1:
                raise FlowError(
                    f"the fields {', '.join(held)} stand at one place: {key!r} is either a value "
                    f"of one of them, or an object"
                )
            else:
                ((name, (_, type_)),) = held.items()
                self._parts[key] = None
                self.attributes[name] = attribute
                fields.append((attribute, type_, None))
        rename = {f"f{number}": key for number, key in enumerate(nodes)}
        self.type: Any = msgspec.defstruct("Message", fields, rename=rename, gc=False)
        self.array: Any = GenericAlias(list, (self.type,))

    def of(self, thing: Mapping[Any, Any]) -> Any:
        """The struct of an object that was decoded without types."""
        values = []
        for key, part in self._parts.items():
            value = thing.get(key)
            values.append(part.of(value if isinstance(value, dict) else {}) if part else value)
        return self.type(*values)
