"""Expiry: a device that was silent for longer than the flow's ttl starts anew."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from streamflow.core.batch import Batch, Codes, Mask, Rows, Times
from streamflow.core.index import NEVER, Index


class Returns(NamedTuple):
    """Readings after a long silence, in order: where they are, which are a device's first here."""

    at: Rows
    first: Mask


def returns(batch: Batch, rows: Codes, seen: Times, ttl: int) -> Returns | None:
    """The readings whose device had been silent for more than `ttl` ns, if there are any.

    `rows` are the devices' rows, `seen` when each row was last heard of.
    """
    arrived, heard = batch.arrived, seen[rows]
    heard = np.where(heard == NEVER, arrived, heard)
    if arrived.max() - min(heard.min(), arrived.min()) <= ttl:
        return None
    order = np.argsort(rows, kind="stable")
    device, arrived = rows[order], arrived[order]
    first = np.ones(len(order), bool)
    first[1:] = device[1:] != device[:-1]
    before = np.empty_like(arrived)
    before[1:] = arrived[:-1]
    before[first] = heard[order][first]
    late = np.flatnonzero(arrived - before > ttl)
    late = late[np.argsort(order[late])]
    return Returns(order[late], first[late]) if len(late) else None


def silent(index: Index, now: int, ttl: int) -> list[str]:
    """The devices not heard of since `now - ttl`."""
    seen = index.seen[: len(index.names)]
    rows = np.flatnonzero((seen != NEVER) & (seen < now - ttl))
    return [index.names[row] for row in rows.tolist()]
