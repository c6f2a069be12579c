"""Expiry: a device that was silent for longer than the flow's ttl starts anew."""

from __future__ import annotations

import numpy as np

from streamflow.core.batch import Batch, Codes, Times
from streamflow.core.index import NEVER, Index


def first_return(batch: Batch, rows: Codes, seen: Times, ttl: int) -> int | None:
    """The first reading whose device had been silent for more than `ttl` ns, if there is one.

    `rows` are the devices' rows, `seen` when each row was last heard of.
    """
    order = np.argsort(rows, kind="stable")
    device, arrived = rows[order], batch.arrived[order]
    before = np.empty_like(arrived)
    before[1:] = arrived[:-1]
    first = np.ones(len(order), bool)
    first[1:] = device[1:] != device[:-1]
    before[first] = seen[device[first]]
    before = np.where(before == NEVER, arrived, before)
    late = order[arrived - before > ttl]
    return int(late.min()) if len(late) else None


def silent(index: Index, now: int, ttl: int) -> list[str]:
    """The devices not heard of since `now - ttl`."""
    rows = index.rows()
    seen = index.seen[rows]
    return [index.names[row] for row in rows[(seen != NEVER) & (seen < now - ttl)]]
