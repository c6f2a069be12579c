"""A shard's snapshot as a plain tree, asked and changed with no flow at hand.

{"devices": names, "seen": int64[n], "now": ns, "balance": counts, "steps": {step: {"version",
"columns": {field: array[n, ...]}, "objects": {"version", "rows", "data"}, "held": batch or None}}}
where row i is `devices[i]`, as `Shard.snapshot` and `State.snapshot` write it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from streamflow.core.batch import Batch
from streamflow.core.snapshot import batch_from_tree, batch_to_tree
from streamflow.core.state import Tree
from streamflow.engine.balance import Balance
from streamflow.errors import FlowError

_MANY = 5000
"""Among more names than this nobody looks for one that is alike: it takes too long."""


def pick(tree: Tree, rows: Sequence[int]) -> Tree:
    """The tree with these devices only, renumbered; the balance stays that of all."""
    number = {row: i for i, row in enumerate(rows)}
    rank = np.full(len(tree["devices"]), -1, np.int32)
    rank[list(rows)] = np.arange(len(rows), dtype=np.int32)
    steps = {}
    for step, old in tree["steps"].items():
        objects = old["objects"]
        pairs = zip(objects["rows"], objects["data"], strict=True)
        kept = [(number[row], data) for row, data in pairs if row in number]
        held = held_by(tree, step)
        held = held and held.take(rank[held.device] >= 0)
        steps[step] = {
            **old,
            "columns": {name: column[list(rows)] for name, column in old["columns"].items()},
            "objects": {
                **objects,
                "rows": [i for i, _ in kept],
                "data": [data for _, data in kept],
            },
            "held": batch_to_tree(held, rank) if held else None,
        }
    devices = [tree["devices"][row] for row in rows]
    return {**tree, "devices": devices, "seen": tree["seen"][list(rows)], "steps": steps}


def without(tree: Tree, devices: Collection[str]) -> Tree:
    """The tree as if these devices had never been seen; what was held of them is rejected.

    >>> tree = {"devices": ["a", "b"], "seen": np.array([5, 7]), "now": 7, "steps": {},
    ...         "balance": Balance(readings=2, out=2).tree()}
    >>> without(tree, ["a"])["devices"]
    ['b']
    """
    left = pick(tree, [i for i, name in enumerate(tree["devices"]) if name not in devices])
    balance = Balance.from_tree(tree["balance"])
    balance.forget(devices)
    for step in tree["steps"]:
        gone = held_count(tree, step) - held_count(left, step)
        if gone:
            balance.held -= gone
            balance.reject(step, "erased", gone)
    return {**left, "balance": balance.tree()}


def held_by(tree: Tree, step: str) -> Batch | None:
    """The readings that a step holds back."""
    held = tree["steps"][step]["held"]
    return None if held is None else batch_from_tree(held, tree["devices"])


def held_count(tree: Tree, step: str) -> int:
    """How many readings a step holds back."""
    held = tree["steps"][step]["held"]
    return 0 if held is None else len(held["time"])


def size(tree: Any) -> int:
    """Bytes of what a tree holds: arrays, strings and bytes as they are, 8 for a number.

    >>> size({"mean": np.zeros(3), "rows": [0, 1], "data": [b"abc"]})
    43
    """
    if isinstance(tree, np.ndarray):
        return tree.nbytes
    if isinstance(tree, (bytes, str)):
        return len(tree)
    if isinstance(tree, dict):
        return sum(map(size, tree.values()))
    if isinstance(tree, list):
        return sum(map(size, tree))
    return 0 if tree is None else 8


def unknown(folder: Path, device: str, known: Collection[str]) -> FlowError:
    """The error about a device that no shard remembers; there may be a million others.

    >>> print(unknown(Path("state"), "pump1", ["pump-1", "fan"]))
    state does not remember device 'pump1'; did you mean 'pump-1'?
    """
    close = get_close_matches(device, known if len(known) <= _MANY else [], 1)
    if close:
        hint = f"did you mean {close[0]!r}?"
    elif known:
        hint = f"it remembers {len(known):,}, such as {', '.join(map(repr, sorted(known)[:3]))}"
    else:
        hint = "it remembers none"
    return FlowError(f"{folder} does not remember device {device!r}; {hint}")
