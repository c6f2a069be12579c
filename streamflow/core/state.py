"""State: what one step of one shard remembers. Saved, restored and erased here, once for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow.core.batch import Batch, Mask, Rows
from streamflow.core.event import Event, event_id
from streamflow.core.held import Held
from streamflow.core.index import Index
from streamflow.core.memory import Columns, Memory
from streamflow.core.snapshot import batch_from_tree, batch_to_tree
from streamflow.errors import StateError

Tree = dict[str, Any]
"""Plain dicts, lists, strings, numbers, bytes and arrays: nothing of ours."""


class Table:
    """The fields of a `Memory` for every row of an index, struct of arrays."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.columns: Columns = {name: spec.make(16) for name, spec in memory.fields.items()}

    def grow(self, rows: int) -> None:
        """Make room for `rows` rows."""
        for name, spec in self.memory.fields.items():
            old = self.columns[name]
            if len(old) < rows:
                new = spec.make(max(rows, 2 * len(old)))
                new[: len(old)] = old
                self.columns[name] = new

    def erase(self, rows: Rows) -> None:
        """Back to the defaults."""
        for name, spec in self.memory.fields.items():
            self.columns[name][rows] = spec.make(1)[0]

    def snapshot(self, rows: Rows) -> Tree:
        """The rows given, without derived fields."""
        fields = self.memory.fields.items()
        return {name: self.columns[name][rows] for name, spec in fields if not spec.derived}

    def restore(self, step: str, saved: Columns, version: int, rows: int) -> None:
        """Take over saved columns, upgraded to this version of the memory."""
        if version < self.memory.version:
            # An upgrade may write into what it is given.
            saved = {name: column.copy() for name, column in saved.items()}
        for old in range(version, self.memory.version):
            if old not in self.memory.upgrades:
                raise StateError(f"step {step!r}: no upgrade from state version {old} to {old + 1}")
            saved = self.memory.upgrades[old](saved)
        if version > self.memory.version:
            raise StateError(
                f"step {step!r}: its state has version {version}, newer than this program's "
                f"{self.memory.version}; run the newer program, or --forget {step}"
            )
        for name, spec in self.memory.fields.items():
            fresh = spec.make(max(rows, 16))
            if name in saved:
                if saved[name].dtype != fresh.dtype or saved[name].shape[1:] != fresh.shape[1:]:
                    raise StateError(
                        f"step {step!r}: {name!r} was saved as {saved[name].dtype} "
                        f"{saved[name].shape[1:]}, and is now {fresh.dtype} {fresh.shape[1:]}; "
                        f"undo the change, or --forget {step}"
                    )
                fresh[:rows] = saved[name]
            self.columns[name] = fresh


class State:
    """All that one step of one shard remembers; handed to the stage with every batch.

    `state["mean"]` is the array of a field over all devices of the shard, indexed by
    `batch.device`; fetch it anew with every batch, for it grows.
    """

    def __init__(self, flow: str, step: str, memory: Memory, index: Index) -> None:
        self.flow = flow
        self.step = step
        self.memory = memory
        self.index = index
        self.table = Table(memory)
        self._fleet = Table(Memory(memory.fleet))
        self.objects: dict[int, Any] = {}
        self.buffer = Held()
        self.created = 0
        self.merged = 0
        self.faults = 0

    @property
    def fleet(self) -> Columns:
        """What the shard remembers of all its devices together, in row 0 of each array."""
        return self._fleet.columns

    def __getitem__(self, field: str) -> NDArray[Any]:
        return self.table.columns[field]

    def event(
        self,
        kind: str,
        row: int,
        time: int,
        fields: Mapping[str, Any],
        *,
        opened: int | None = None,
    ) -> Event:
        """An event about a device, given by its row; an episode keeps the id of its opening."""
        device = self.index.names[row]
        id_ = event_id(self.flow, self.step, device, time if opened is None else opened)
        return Event(id_, kind, self.step, device, time, fields)

    def hold(self, batch: Batch) -> Rows:
        """Hold readings back; the slots of `buffer` they are in."""
        return self.buffer.put(batch)

    @property
    def held(self) -> Batch | None:
        """The readings held back, in order of arrival: a copy, so ask for it once."""
        if not len(self.buffer):
            return None
        return self.buffer.look(self.buffer.slots(), self.index.names)

    def release(self, rows: Mask | Rows) -> Batch | None:
        """Take readings out, by a mask or by positions in `held`, in the order wanted; or None."""
        slots = self.buffer.slots()[rows]
        return self.buffer.take(slots, self.index.names) if len(slots) else None

    def take(self, slots: Rows) -> Batch:
        """Take readings out by their slots."""
        return self.buffer.take(slots, self.index.names)

    @property
    def held_count(self) -> int:
        """How many readings are held back."""
        return len(self.buffer)

    def erase(self, rows: Sequence[int]) -> int:
        """Forget devices, as the index has; the number of their readings that were held."""
        erased = np.asarray(rows, np.intp)
        self.table.erase(erased)
        if self.objects:
            for row in rows:
                self.objects.pop(row, None)
        gone = self.buffer.of(erased)
        self.buffer.free(gone)
        return len(gone)

    def snapshot(self, rows: Rows) -> Tree:
        """Everything remembered, renumbered so that `rows[i]` becomes row i."""
        rank = np.zeros(len(self.index.names), np.int32)
        rank[rows] = np.arange(len(rows), dtype=np.int32)
        codec, held = self.memory.codec, self.held
        kept = (
            sorted((int(rank[row]), thing) for row, thing in self.objects.items()) if codec else []
        )
        return {
            "version": self.memory.version,
            "columns": self.table.snapshot(rows),
            "objects": {
                "version": codec.version if codec else "",
                "rows": [row for row, _ in kept],
                "data": [codec.dump(thing) for _, thing in kept] if codec else [],
            },
            "held": None if held is None else batch_to_tree(held, rank),
            "fleet": self._fleet.snapshot(np.zeros(1, np.intp)),
        }

    def restore(self, saved: Tree) -> None:
        """Take over a snapshot, by copying; the index has been restored before."""
        self.table.restore(self.step, saved["columns"], saved["version"], len(self.index.names))
        self._fleet.restore(self.step, saved["fleet"], 1, 1)
        objects = saved["objects"]
        if objects["rows"]:
            if self.memory.codec is None:
                raise StateError(
                    f"step {self.step!r}: its state holds objects, but the step keeps none now; "
                    f"--forget {self.step}"
                )
            load, version = self.memory.codec.load, objects["version"]
            pairs = zip(objects["rows"], objects["data"], strict=True)
            self.objects = {row: load(data, version) for row, data in pairs}
        if saved["held"] is not None:
            self.buffer.put(batch_from_tree(saved["held"], self.index.names))

    def bytes(self) -> int:
        """Bytes of its arrays in memory."""
        return sum(column.nbytes for column in self.table.columns.values())
