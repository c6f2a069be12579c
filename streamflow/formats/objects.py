"""Objects: where the fields of a flow stand in messages that are objects, nested or not.

Shared by the formats whose messages are objects: JSON, MessagePack, Avro.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, repeat
from operator import attrgetter
from typing import Any

import numpy as np

from streamflow.core.batch import Rows
from streamflow.core.connect import Trouble
from streamflow.core.schema import Schema
from streamflow.errors import FlowError, suggest
from streamflow.formats.struct import Path, StructType

WHOLE = "."
"""As `readings`: the message itself is the array."""
_READINGS = "\0readings"


class Objects:
    """Takes the fields out of objects.

    Parameters
    ----------
    schema
        What the flow wants.
    paths
        Field -> where it stands, keys with dots between; a field that is not named stands at the
        top, under its own name.
    readings
        Where a message holds an array of readings: keys with dots between, or ".". What a reading
        does not say, the object around the array says for all of them.
    what
        What messages are called in a reason: "a JSON".
    time
        The types that a time may have.

    Examples
    --------
    >>> from streamflow import Sensor
    >>> schema = Schema("device", "time", {"t": Sensor()})
    >>> objects = Objects(schema, {"t": "data.t"}, "", "a JSON")
    >>> thing = objects.untyped({"device": "a", "time": 0, "data": {"t": 4.5}}, print)
    >>> objects.columns([thing], np.arange(1), print)[0]
    {'device': ['a'], 'time': [0], 't': array([4.5])}
    """

    def __init__(
        self,
        schema: Schema,
        paths: Mapping[str, str],
        readings: str,
        what: str,
        time: Any = str | int | float | None,
    ) -> None:
        self._what, self._several, self._sensors = what, readings, schema.numeric
        names = schema.fields
        at = {name: (name,) for name in names} | _paths(paths, names)
        self.paths: Mapping[str, Path] = at
        """Where each field stands."""
        self._array = () if readings == WHOLE else _keys("readings", readings) if readings else None
        typed: dict[str, Any] = dict.fromkeys(names, str | None)
        typed |= {schema.time: time} | dict.fromkeys(schema.numeric, float | None)
        self._typed = self._types(at, typed)
        self._loose = self._types(at, dict.fromkeys(names, Any) | {schema.time: _loose(time)})
        # The attributes of the two are the same.
        reading, around = self._typed
        self._getters = {name: attrgetter(reading.attributes[name]) for name in names}
        outer = around.attributes if around else {}
        self._around = {name: attrgetter(outer[name]) for name in names if name in outer}
        self._readings = attrgetter(outer[_READINGS]) if around else None

    def _types(
        self, at: Mapping[str, Path], types: Mapping[str, Any]
    ) -> tuple[StructType, StructType | None]:
        """Of a reading, and of the object around an array of them, if there is one."""
        reading = StructType({name: (path, types[name]) for name, path in at.items()})
        array = self._array
        if not array:
            return reading, None
        # What stands where the array does, on its way or in it is no field of the object around.
        leaves: dict[str, tuple[Path, Any]] = {
            name: (path, types[name])
            for name, path in at.items()
            if array[: len(path)] != path[: len(array)]
        }
        return reading, StructType({**leaves, _READINGS: (array, reading.array | None)})

    @property
    def typed(self) -> Any:
        """The type of the usual message, for a typed decoder."""
        return self._type(self._typed)

    @property
    def loose(self) -> Any:
        """The same, with fields of any type."""
        return self._type(self._loose)

    def _type(self, types: tuple[StructType, StructType | None]) -> Any:
        reading, around = types
        if around:
            return around.type
        return reading.array if self._several else reading.type

    def untyped(self, thing: Any, lost: Callable[..., None]) -> Any:
        """What a typed decoder would have given of a decoded message; None if it is none."""
        reading, around = self._loose
        if self._array != () and not isinstance(thing, dict):
            lost(f"it is {self._kind(thing)}, not an object")
            return None
        if self._array is None:
            return reading.of(thing)
        parent, found = {}, thing
        for key in self._array:
            parent, found = found, found.get(key) if isinstance(found, dict) else None
        if found is None and around:
            return around.of(thing)
        if not isinstance(found, list):
            place = f"{self._several}: " if around else ""
            lost(f"{place}it is {self._kind(found)}, not an array of readings")
            return None
        readings = []
        for number, one in enumerate(found, 1):
            if isinstance(one, dict):
                readings.append(reading.of(one))
            else:
                kind = self._kind(one)
                lost(f"reading {number} of {len(found)} is {kind}, not an object", None)
        if around is None:
            return readings
        parent[self._array[-1]] = readings
        return around.of(thing)

    def columns(
        self, things: Sequence[Any], rows: Rows, dead: Trouble
    ) -> tuple[dict[str, Any], Rows]:
        """The fields of what a decoder gave, and the message of each reading.

        Parameters
        ----------
        things
            Of the type `typed` or `loose`.
        rows
            The message of each.
        dead
            Told of those that hold no array of readings.
        """
        if self._array is None:
            return {name: self._values(name, things) for name in self._getters}, rows
        groups = list(map(self._readings, things)) if self._readings else things
        if None in groups:
            kept = [k for k, group in enumerate(groups) if group is not None]
            for k in sorted({*range(len(groups))}.difference(kept)):
                dead(int(rows[k]), f"it has no readings: nothing stands at {self._several!r}")
            groups, things = [groups[k] for k in kept], [things[k] for k in kept]
            rows = rows[kept]
        readings, count = spread(groups)
        fields = {}
        for name, get in self._getters.items():
            values = list(map(get, readings))
            outer = self._around.get(name)
            if outer is not None and None in values:
                values = _filled(values, list(map(outer, things)), count)
            fields[name] = values
        return fields, np.repeat(rows, count)

    def _values(self, name: str, things: Sequence[Any]) -> Any:
        get = self._getters[name]
        if name in self._sensors:
            try:  # none of them missing: without a list between
                return np.fromiter(map(get, things), np.float64, len(things))
            except (TypeError, ValueError, OverflowError):
                pass
        return list(map(get, things))

    def _kind(self, thing: Any) -> str:
        names = {list: "array", dict: "object", str: "string", bool: "boolean", type(None): "null"}
        names |= {int: "number", float: "number", bytes: "string of bytes"}
        return f"{self._what} {names.get(type(thing), 'extension')}"


def spread(groups: Sequence[Sequence[Any]]) -> tuple[list[Any], Rows]:
    """The members of all groups, and how many each has.

    >>> spread([["a", "b"], [], ["c"]])
    (['a', 'b', 'c'], array([2, 0, 1]))
    """
    count = np.fromiter(map(len, groups), np.intp, len(groups))
    return list(chain.from_iterable(groups)), count


def _filled(values: list[Any], around: list[Any], count: Rows) -> list[Any]:
    if all(value is None for value in around):
        return values
    wide = chain.from_iterable(map(repeat, around, count.tolist()))
    return [outer if own is None else own for own, outer in zip(values, wide, strict=True)]


def _loose(time: Any) -> Any:
    """Any type; but decoders hand on what `time` names as it is, where it is more than JSON has."""
    return Any if time == str | int | float | None else time | bool | list[Any] | dict[Any, Any]


def _paths(paths: Mapping[str, str], names: Sequence[str]) -> dict[str, Path]:
    for name in paths:
        if name not in names:
            raise FlowError(
                f"paths= names {name!r}, which is no field of the flow; {suggest(name, names)}"
            )
    return {name: _keys(f"paths={{{name!r}: ...}}", path) for name, path in paths.items()}


def _keys(option: str, path: str) -> Path:
    if not isinstance(path, str) or not all(path.split(".")):
        raise FlowError(f"{option}: {path!r} is no path; write keys with dots between: data.bar")
    return tuple(path.split("."))
