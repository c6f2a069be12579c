"""What a sink takes, as bytes and back: for items that wait for their epoch to be durable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from streamflow.core.batch import Batch, Words
from streamflow.core.connect import DeadLetter
from streamflow.core.event import Event
from streamflow.core.snapshot import batch_from_tree, batch_to_tree
from streamflow.engine.pack import pack, unpack


def freeze(item: Batch | Sequence[Event] | Sequence[DeadLetter] | str) -> bytes:
    """A batch, events or dead letters as bytes."""
    if isinstance(item, Batch):
        words = Words(item.device, item.devices).compact()
        rank = np.arange(len(item.devices), dtype=np.int32)
        rank[item.device] = words.codes
        tree: Any = {"names": list(words.vocabulary), "batch": batch_to_tree(item, rank)}
        if item.reason is not None:
            tree["reason"] = item.reason.list()
        return pack(tree)
    events = [list(thing) for thing in item if isinstance(thing, Event)]
    return pack({"events": events} if events else {"dead": [dict(vars(one)) for one in item]})


def thaw(data: bytes) -> Batch | list[Event] | list[DeadLetter]:
    """The item again."""
    tree = unpack(data)
    if "batch" in tree:
        batch = batch_from_tree(tree["batch"], tree["names"])
        return batch.replace(reason=Words.of(tree["reason"])) if "reason" in tree else batch
    if "events" in tree:
        return [Event(*values) for values in tree["events"]]
    return [DeadLetter(**fields) for fields in tree["dead"]]
