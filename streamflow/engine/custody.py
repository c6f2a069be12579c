"""Custody: devices taken out of a state directory, on a stopped flow."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from streamflow.core.batch import Batch
from streamflow.core.connect import DeadLetter
from streamflow.core.event import Event
from streamflow.engine.fleet import without as without_devices
from streamflow.engine.frozen import freeze, thaw
from streamflow.engine.letterbox import ERASED, erase_devices, names
from streamflow.engine.shardtree import unknown, without
from streamflow.engine.statedir import FLEET_STEP, SHARDS_STEP, StateDir

Thawed = Batch | list[Event] | list[DeadLetter]


@dataclass
class Erasure:
    """What went with the devices.

    Parameters
    ----------
    held
        Readings that steps held back; they count as rejected, "erased".
    waiting
        Rows and events that waited for delivery.
    letters
        Rejected readings kept beside the state.
    blanked
        Dead letters, kept or waiting for delivery, that named one of the devices.
    """

    held: int = 0
    waiting: int = 0
    letters: int = 0
    blanked: int = 0


def erase(folder: Path, devices: Sequence[str]) -> Erasure:
    """Take devices out of the state as if they had never been seen, and out of its files.

    What sinks have written is not touched. Raises FlowError, and changes nothing, if a device is
    unknown; StateError if a flow runs on the state.
    """
    state = StateDir(folder)
    state.manifest()
    state.acquire()
    try:
        store = state.checked_store()
        store.settle()
        erasure = Erasure()
        known: set[str] = set()
        values: dict[tuple[str, str], Any] = {}
        for snap in store.snaps():
            if snap.step == SHARDS_STEP:
                tree = snap.value
                known.update(tree["devices"])
                left = without(tree, devices)
                erasure.held += tree["balance"]["held"] - left["balance"]["held"]
                values[snap.step, snap.key] = left
            elif snap.step == FLEET_STEP:
                values[snap.step, snap.key] = without_devices(snap.value, devices)
            elif isinstance(snap.value, list):  # a sink's; a source's is a dict
                resume, waiting, number = snap.value
                cleared = [_cleared(item, devices, erasure) for item in map(thaw, waiting)]
                # One that is empty now keeps its place: a queue counts them.
                values[snap.step, snap.key] = [resume, [freeze(i) for i in cleared], number]
        for device in devices:
            if device not in known:
                raise unknown(folder, device, known)
        store.replace(values, {})
        erasure.letters, blanked = erase_devices(folder, devices)
        erasure.blanked += blanked
        return erasure
    finally:
        state.release()


def _cleared(item: Thawed, devices: Collection[str], erasure: Erasure) -> Thawed:
    """What is left of a thing that waits for delivery."""
    if isinstance(item, Batch):
        rows = item.take(np.array([item.name(i) not in devices for i in range(len(item))], bool))
        erasure.waiting += len(item) - len(rows)
        return rows
    left: list[Any] = []
    for thing in item:
        if isinstance(thing, Event):
            gone = thing.device in devices
            erasure.waiting += gone
            left += [] if gone else [thing]
        else:
            told = "\n".join([thing.reason, *thing.fields.values()])
            named = names(thing.payload + b"\n" + told.encode(), devices)
            erasure.blanked += named
            blank = replace(thing, payload=ERASED.encode(), reason=ERASED, fields={})
            left.append(blank if named else thing)
    return left
