"""Cohort: a device that joins begins with the model of one of its kind that knows more."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from itertools import pairwise

import numpy as np

from streamflow.core.batch import Batch, Mask, Rows, Values
from streamflow.core.memory import Field
from streamflow.core.state import State

FIELDS = {
    "joined": Field(np.bool_, False),
    "cohort": Field(np.uint64),
    "own": Field(np.int64),
}
"""Whether a device is known, the hash of its tag (0: it had none), readings of its own scored."""


def joins(
    batch: Batch, state: State, tag: str, evidence: int
) -> Iterator[tuple[Batch, int | None]]:
    """Cut a batch before the first reading of each device that may begin with another's model.

    Gives each piece with the row of the device that joins with its first reading, if one does. A
    batch in which none joins, or none could lend its model, is one piece.
    """
    at = _first_readings(batch, state)
    if not len(at):
        yield batch, None
        return
    words, rows = batch.tags[tag], batch.device[at]
    state["joined"][rows] = True
    state["cohort"][rows] = [_hash(words.at(int(i))) for i in at]
    may_know = state["own"] + np.bincount(batch.device, minlength=len(state["own"]))
    lenders = np.unique(state["cohort"][(may_know >= evidence) & state["joined"]])
    helped = np.isin(state["cohort"][rows], lenders[lenders != 0])
    cuts = sorted({0, len(batch), *at[helped].tolist()})
    joining = dict(zip(at[helped].tolist(), rows[helped].tolist(), strict=True))
    for start, end in pairwise(cuts):
        yield batch.take(np.arange(start, end)), joining.get(start)


def lender(state: State, row: int, evidence: int) -> int | None:
    """The device of the same cohort that has learned most from readings of its own, if enough."""
    same = (state["cohort"] == state["cohort"][row]) & (state["own"] >= evidence)
    able = np.flatnonzero(same)
    if not len(able):
        return None
    most: list[int] = able[state["own"][able] == state["own"][able].max()].tolist()
    return min(most, key=state.index.names.__getitem__)


def count_own(batch: Batch, state: State, scored: Mask, evidence: int) -> Values:
    """Count the readings that had a score; 1 where a device had fewer than `evidence` before."""
    order, start, device = batch.groups
    before = np.concatenate([[0], np.cumsum(scored[order])])
    within = before[:-1] - np.repeat(before[start[:-1]], np.diff(start))
    learning = np.empty(len(batch))
    learning[order] = state["own"][batch.device[order]] + within < evidence
    state["own"][device] += before[start[1:]] - before[start[:-1]]
    return learning


def _first_readings(batch: Batch, state: State) -> Rows:
    """Positions of the first readings of devices that are not known, in order."""
    new = np.flatnonzero(~state["joined"][batch.device])
    _, first = np.unique(batch.device[new], return_index=True)
    return np.sort(new[first])


def _hash(word: str | None) -> int:
    if word is None:
        return 0
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest()) or 1
