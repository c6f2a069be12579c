"""Maintenance: says which readings lie in a maintenance window of their device."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np

from streamflow.core.batch import Batch
from streamflow.core.memory import Field, Memory
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.errors import FlowError
from streamflow.formats.times import TimeParser
from streamflow.stages.overrides import unseen

COLUMN = "maintenance"
"""1 in a window; `Detect` does not learn there."""
_ALL = "*"
_HEADER = ("device", "start", "end")
Window = tuple[int, int, int]
"""Start and end, ns UTC, and the line of the file."""


@dataclass(frozen=True)
class Maintenance(Stage):
    """Add the column `maintenance`: 1 at readings with start <= event time < end, else 0.

    `Detect` scores these readings and does not learn them; what stands before this step, and has
    a memory of its own, does not know of them.

    Parameters
    ----------
    windows
        The path of a CSV file with the columns device,start,end and, if you like, others such as
        reason. The device `*` is all. Times that name no zone are in the flow's time zone. It is
        read when the flow is built.

    Raises
    ------
    FlowError
        For a file that cannot be read, a window that ends before it starts, and two of one
        device that overlap; with the line.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from streamflow import Flow
    >>> rows = [{"device": "a", "time": f"2026-01-01T0{hour}:00Z", "t": 20.0} for hour in range(4)]
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "windows.csv"
    ...     _ = path.write_text("device,start,end\\na,2026-01-01T01:00Z,2026-01-01T03:00Z\\n")
    ...     flow = Flow("doc", sensors=["t"]) | Maintenance(path)
    ...     flow.replay(rows).rows["maintenance"].tolist()
    [0.0, 1.0, 1.0, 0.0]
    """

    windows: str | Path
    _table: Mapping[str, Sequence[Window]] = field(default_factory=dict, init=False, repr=False)

    @property
    def adds(self) -> Sequence[str]:
        """`maintenance`."""
        return (COLUMN,)

    def bind(self, schema: Schema) -> Self:
        """Read the windows."""
        path = Path(self.windows)
        place = f"step {self.step!r}: {path}"
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                table = _read(place, csv.DictReader(file), TimeParser(schema))
        except OSError as error:
            raise FlowError(f"{place}: it cannot be read: {error.strerror}") from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise FlowError(f"{place} is not CSV in UTF-8: {error}") from None
        bound = replace(self)
        object.__setattr__(bound, "_table", table)
        return bound

    @cached_property
    def memory(self) -> Memory:
        """Where a device's own windows are among all."""
        return Memory({"own": Field(np.int64, shape=(2,), derived=True)})

    def remarks(self, seen: Collection[str]) -> Sequence[str]:
        """Windows of devices that were not seen."""
        return unseen(self.step, "windows", [name for name in self._table if name != _ALL], seen)

    def on_devices(self, names: Sequence[str], rows: Sequence[int], state: State) -> None:
        """Look up each device's windows."""
        for name, row in zip(names, rows, strict=True):
            state["own"][row] = self._places.get(name, (0, 0))

    def on_batch(self, batch: Batch, state: State) -> Batch:
        """Search each reading's time among the windows of all, and of its device."""
        from streamflow.stages.windows import inside

        out = np.zeros(len(batch))
        if self._table:
            of_all = self._places.get(_ALL, (0, 0))
            inside(*self._edges, of_all, state["own"], batch.device, batch.time, out)
        return batch.with_columns({COLUMN: out})

    @cached_property
    def _edges(self) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        """Starts and ends [2, windows], device by device, sorted."""
        windows = [window[:2] for own in self._table.values() for window in own]
        return np.array(windows, np.int64).reshape(-1, 2).T.copy()

    @cached_property
    def _places(self) -> Mapping[str, tuple[int, int]]:
        """Device -> the first of its windows, and one behind the last."""
        places, at = {}, 0
        for device, own in self._table.items():
            places[device] = (at, at + len(own))
            at += len(own)
        return places


def _read(
    place: str, rows: csv.DictReader[str], times: TimeParser
) -> Mapping[str, Sequence[Window]]:
    if not set(_HEADER) <= set(rows.fieldnames or ()):
        raise FlowError(f"{place}, line 1: the columns are {','.join(_HEADER)}")
    table: dict[str, list[Window]] = {}
    for device, window in _windows(place, rows, times):
        table.setdefault(device, []).append(window)
    for device, own in table.items():
        own.sort()
        for before, after in pairwise(own):
            if after[0] < before[1]:
                raise FlowError(
                    f"{place}, line {max(before[2], after[2])}: this window of {device!r} overlaps "
                    f"that of line {min(before[2], after[2])}; make them one"
                )
    return table


def _windows(
    place: str, rows: csv.DictReader[str], times: TimeParser
) -> Iterator[tuple[str, Window]]:
    for row in rows:
        at = f"{place}, line {rows.line_num}"
        if None in row or None in row.values():
            raise FlowError(f"{at}: it has more or fewer fields than the header")
        if not row["device"]:
            raise FlowError(f"{at}: it names no device; * is all")
        edges = []
        for key in ("start", "end"):
            try:
                edges.append(times.one(row[key]))
            except ValueError as error:
                raise FlowError(f"{at}: {key}: {error}") from None
        if not edges[0] < edges[1]:
            raise FlowError(f"{at}: it ends at {row['end']}, not after its start {row['start']}")
        yield row["device"], (edges[0], edges[1], rows.line_num)
