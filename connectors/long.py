"""Long: data in the long format, in which each row is one value of the sensor that it names.

`long.rows(files.csv("log.csv"), by="sensor")` goes around any source.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from streamflow import (
    Decoded,
    Format,
    Json,
    Message,
    Messages,
    Position,
    Reader,
    Schema,
    Sensor,
    Source,
)
from streamflow.errors import FlowError


def rows(source: Source, *, by: str = "name", value: str = "value", name: str = "") -> Long:
    """A source whose rows are of one sensor each. See `Long`."""
    return Long(source, by, value, name=name)


@dataclass(frozen=True)
class Long(Source):
    """A source of rows such as device, time, name, value: a reading with that sensor alone.

    Rows of sensors that the flow does not know are passed over, as extra fields are elsewhere. A
    sensor is known by its other names (`Sensor(names=...)`), too. `Resample` brings together what
    a device's sensors sent.

    Parameters
    ----------
    source
        Where the rows come from.
    by, value
        The fields of the sensor's name and of its value.

    Raises
    ------
    FlowError
        If a field is missing in the source, or is its device or time.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from streamflow import Flow
    >>> from streamflow_connectors import files, long
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "log.csv"
    ...     _ = path.write_text("device,time,name,value\\np1,0,bar,4.1\\np1,0,rpm,900\\n")
    ...     flow = Flow("doc", sensors=["bar", "rpm"]) | long.rows(files.csv(path))
    ...     rows = flow.replay().rows
    >>> rows["bar"].tolist(), rows["rpm"].tolist()
    ([4.1, nan], [nan, 900.0])
    """

    source: Source
    by: str = "name"
    value: str = "value"

    @property
    def step(self) -> str:
        """The step's name: by default that of the source."""
        return self.name or self.source.step

    @property
    def format(self) -> Format:
        """The source's, then sorted by sensor."""
        return _LongFormat(self.source.format or Json(), self.by, self.value)

    @property
    def pace(self) -> float:
        """The source's."""
        return self.source.pace

    @property
    def promise(self) -> str:
        """The source's."""
        return self.source.promise

    @property
    def window(self) -> int:
        """The source's."""
        return self.source.window

    @property
    def caveats(self) -> Sequence[str]:
        """The source's."""
        return self.source.caveats

    def check(self, schema: Schema) -> None:
        """Raise FlowError unless the source can be opened, and has the two fields."""
        self.source.check(_narrow(schema, self.by, self.value))

    def probe(self) -> str:
        """The source's."""
        return self.source.probe()

    def partitions(self) -> Sequence[str]:
        """The source's."""
        return self.source.partitions()

    def open(self, partition: str, position: Position) -> Reader | Iterator[Message | None]:
        """Read the source's partition."""
        return self.source.open(partition, position)


def _narrow(schema: Schema, by: str, value: str) -> Schema:
    """What the rows look like: one sensor, and a tag with its name."""
    if by == value or {by, value} & {schema.device, schema.time}:
        raise FlowError(f"long: by={by!r} and value={value!r} are fields beside device and time")
    tags = tuple(dict.fromkeys((*(tag for tag in schema.tags if tag != value), by)))
    return replace(schema, sensors={value: Sensor()}, tags=tags, columns=())


@dataclass(frozen=True)
class _LongFormat:
    inner: Format
    by: str
    value: str

    def decoder(self, schema: Schema) -> _LongDecoder:
        """The decoder of the rows, with what sorts them."""
        rows = self.inner.decoder(_narrow(schema, self.by, self.value))
        return _LongDecoder(rows, schema, self.by, self.value)


class _LongDecoder:
    """Puts each value into the column of its sensor."""

    def __init__(self, rows: Any, schema: Schema, by: str, value: str) -> None:
        self._rows, self._schema, self._by, self._value = rows, schema, by, value
        self._number = {
            name: j
            for j, (own, sensor) in enumerate(schema.sensors.items())
            for name in (*sensor.names, own)
        }

    def decode(self, messages: Messages, dead: Any) -> Decoded:
        """All readings of the messages of which the flow knows the sensor, in order."""
        batch, message = self._rows.decode(messages, dead)
        tag = batch.tags[self._by]
        known = np.array([*(self._number.get(w, -1) for w in tag.vocabulary), -1], np.intp)
        number = known[tag.codes]
        kept = number >= 0
        batch, number = batch.take(kept), number[kept]
        values, flags = batch[self._value], batch.flags(self._value)
        columns, quality = {}, {}
        for j, sensor in enumerate(self._schema.sensors):
            own = number == j
            columns[sensor] = np.where(own, values, np.nan)
            if flags[own].any():
                quality[sensor] = np.where(own, flags, 0).astype(np.uint16)
        tags = {tag: batch.tags[tag] for tag in self._schema.tags if tag in batch.tags}
        return Decoded(batch.replace(columns=columns, quality=quality, tags=tags), message[kept])
