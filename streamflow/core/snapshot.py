"""Batches as plain trees of arrays and strings, for snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from streamflow.core.batch import Batch, Codes, Words


def _words_to_tree(words: Words) -> dict[str, Any]:
    compact = words.compact()
    return {"codes": compact.codes, "vocabulary": list(compact.vocabulary)}


def _words_from_tree(tree: dict[str, Any]) -> Words:
    return Words(tree["codes"], tree["vocabulary"])


def batch_to_tree(batch: Batch, rank: NDArray[Any]) -> dict[str, Any]:
    """The batch with device code c written as `rank[c]`."""
    return {
        "device": rank[batch.device],
        "time": batch.time,
        "arrived": batch.arrived,
        "columns": dict(batch.columns),
        "tags": {name: _words_to_tree(tag) for name, tag in batch.tags.items()},
        "quality": {name: flags for name, flags in batch.quality.items() if flags.any()},
    }


def batch_from_tree(tree: dict[str, Any], devices: Sequence[str]) -> Batch:
    """The batch again, over the vocabulary `devices`."""
    device: Codes = tree["device"]
    tags = {name: _words_from_tree(tag) for name, tag in tree["tags"].items()}
    return Batch(
        devices, device, tree["time"], tree["arrived"], tree["columns"], tags, tree["quality"]
    )
