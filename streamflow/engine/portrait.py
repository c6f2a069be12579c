"""Portrait: what every step remembers of one device, for people to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamflow.core.event import iso
from streamflow.core.index import NEVER
from streamflow.core.state import Tree
from streamflow.engine.manifest import Manifest
from streamflow.engine.shardtree import held_by, pick, unknown
from streamflow.engine.statedir import SHARDS_STEP, StateDir
from streamflow.errors import StateError
from streamflow.models.codec import RiverCodec
from streamflow.models.readable import numbers, readable


@dataclass(frozen=True)
class Model:
    """An object that a step keeps for a device.

    Parameters
    ----------
    recipe
        How it was made.
    codec
        The library version that wrote it.
    bytes
        Its size as saved.
    learned
        What it has learned, as `readable` tells; None if it cannot be loaded here.
    problem
        Why not.
    """

    recipe: str
    codec: str
    bytes: int
    learned: Mapping[str, Any] | None
    problem: str | None


@dataclass(frozen=True)
class Memory:
    """What one step remembers of a device: fields, a model, readings held back."""

    kind: str
    version: int
    fields: Mapping[str, Any]
    model: Model | None
    held: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Portrait:
    """What a flow remembers of a device.

    Parameters
    ----------
    flow, device, shard
        Whose, of which, and where it lives.
    epoch
        The epoch of the snapshot that tells.
    seen
        When its last reading arrived, ns UTC; None if the snapshot does not know.
    steps
        step -> what it remembers.
    """

    flow: str
    device: str
    shard: str
    epoch: int
    seen: int | None
    steps: Mapping[str, Memory]


def portrait(folder: Path, device: str) -> Portrait:
    """Look up a device in a state directory; FlowError, with a suggestion, if it is unknown."""
    state = StateDir(folder)
    manifest = state.manifest()
    known: list[str] = []
    for snap in state.checked_store().snaps():
        if snap.step != SHARDS_STEP:
            continue
        tree = snap.value
        if device not in tree["devices"]:
            known += tree["devices"]
            continue
        own = pick(tree, [tree["devices"].index(device)])
        seen = int(own["seen"][0])
        steps = {step: _memory(own, step, manifest) for step in own["steps"]}
        place = (manifest.flow, device, snap.key, snap.epoch)
        return Portrait(*place, None if seen == NEVER else seen, steps)
    raise unknown(folder, device, known)


def _memory(tree: Tree, step: str, manifest: Manifest) -> Memory:
    """What a step remembers of the only device of a tree."""
    saved = tree["steps"][step]
    told = manifest.steps[step]
    data = saved["objects"]["data"]
    held = held_by(tree, step)
    return Memory(
        told["kind"],
        saved["version"],
        {name: numbers(column[0]) for name, column in saved["columns"].items()},
        _model(told["recipe"], saved["objects"]["version"], data[0]) if data else None,
        [{**row, "time": iso(row["time"])} for row in held.rows()] if held else [],
    )


def _model(recipe: str, codec: str, data: bytes) -> Model:
    try:
        learned, problem = readable(RiverCodec().load(data, codec)), None
    except StateError as error:
        learned, problem = None, str(error)
    return Model(recipe, codec, len(data), learned, problem)
