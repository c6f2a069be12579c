"""Overview: what a state directory holds. Read at any time, also while a flow runs on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamflow.core.state import Tree
from streamflow.engine.balance import Balance
from streamflow.engine.shardtree import held_count, size
from streamflow.engine.statedir import FLEET_STEP, SHARDS_STEP, StateDir


@dataclass
class StepOverview:
    """What a step keeps, in numbers.

    Parameters
    ----------
    kind, version, recipe
        Its class, the version of its state, and its estimator.
    codec
        The library version that wrote its objects; "" if it keeps none.
    objects, held
        How many objects and held readings it keeps.
    bytes
        Their size and that of its fields, as saved.
    """

    kind: str
    version: int
    recipe: str
    codec: str = ""
    objects: int = 0
    held: int = 0
    bytes: int = 0

    def add(self, tree: Tree, step: str) -> None:
        """Count what it keeps in one more shard."""
        own = tree["steps"][step]
        if own["objects"]["rows"]:
            self.codec = own["objects"]["version"]
        self.objects += len(own["objects"]["rows"])
        self.held += held_count(tree, step)
        self.bytes += size([own["columns"], own["objects"]["data"], own["held"]])


@dataclass(frozen=True)
class Overview:
    """What a state directory holds.

    Parameters
    ----------
    flow, generation
        Whose state it is, and how often a flow was started on it.
    process
        The process that has locked it, by its number; None if none has.
    epoch
        What came before this epoch is durable.
    written
        When the newest snapshot was written, as its row in the store tells, ns UTC; None if
        there is none.
    devices
        How many devices it remembers.
    disk
        Bytes of the store's files.
    steps
        step -> what it keeps.
    positions
        (source, partition) -> where it would go on.
    balance
        The sum over the shards.
    """

    flow: str
    generation: int
    process: str | None
    epoch: int
    written: int | None
    devices: int
    disk: int
    steps: Mapping[str, StepOverview]
    positions: Mapping[tuple[str, str], Any]
    balance: Balance


def overview(folder: Path) -> Overview:
    """Look at a state directory; StateError if it has none, or it is damaged."""
    state = StateDir(folder)
    process = state.holder()
    manifest = state.manifest()
    store = state.checked_store()
    steps = {
        step: StepOverview(own["kind"], own["version"], own["recipe"])
        for step, own in manifest.steps.items()
    }
    positions = {}
    devices, written, balance = 0, None, Balance()
    for snap in store.snaps():
        written = max(snap.written, written or 0)
        if snap.step == SHARDS_STEP:
            tree = snap.value
            devices += len(tree["devices"])
            balance.add(Balance.from_tree(tree["balance"]))
            for step in tree["steps"].keys() & steps.keys():
                steps[step].add(tree, step)
        elif snap.step != FLEET_STEP and isinstance(snap.value, dict):  # a source's
            positions[snap.step, snap.key] = snap.value["position"]
    return Overview(
        manifest.flow,
        manifest.generation,
        process,
        store.resume_epoch(),
        written,
        devices,
        sum(path.stat().st_size for path in store.files()),
        steps,
        positions,
        balance,
    )
