"""Deduplicate: a reading that has come before is set aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streamflow.core.batch import Batch, Mask, Values
from streamflow.core.memory import Field, Memory
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.errors import FlowError, suggest

Keys = NDArray[np.uint64]
_NEVER = np.iinfo(np.int64).min
_MOST = 65_536


@dataclass(frozen=True)
class Deduplicate(Stage):
    """Reject a reading as "duplicate" if it is one of the last `window` of its device again.

    Two readings are the same if they have the same id; or, without `by`, the same time and the
    same value of every sensor, bit for bit. Tags do not count then: they may say by which way a
    reading came.

    The window is a number of readings, not a time: only so is it exact with a memory that is
    bounded, however fast a device sends. Within it every repetition is found, and none that is
    not: what is compared are 128 bits, which two different readings share with a probability of
    3e-39. What is rejected does not move the window on.

    Parameters
    ----------
    window
        How many of a device's readings are remembered, 16 bytes each. As many as may come between
        a reading and its repetition: those that were under way when a connection broke.
    by
        The tag or column that holds a message's id. A reading without one passes.

    Raises
    ------
    FlowError
        If there is no such tag or column, or the window holds nothing or more than 65,536.

    Examples
    --------
    >>> from streamflow import Flow
    >>> flow = Flow("doc", sensors=["t"]) | Deduplicate()
    >>> rows = [{"device": "a", "time": i, "t": t} for i, t in [(1, 5.0), (2, 5.0), (1, 5.0)]]
    >>> result = flow.replay(rows)
    >>> len(result.rows), [(row["time"] // 10**9, row["reason"]) for row in result.rejected]
    (2, [(1, 'duplicate')])
    """

    window: int = 64
    by: str | None = None
    sensors: tuple[str, ...] = field(default=(), init=False, repr=False)

    @property
    def uses(self) -> Sequence[str]:
        """The column of the id."""
        return (self.by,) if self.by else ()

    @cached_property
    def memory(self) -> Memory:
        """The keys of the last readings, in a ring."""
        return Memory(
            {
                "seen": Field(np.uint64, shape=(self.window, 2)),
                "count": 0,
                "newest": Field(np.int64, _NEVER),
            }
        )

    def bind(self, schema: Schema) -> Self:
        """Check the window; find what holds the id."""
        if not (isinstance(self.window, int) and 1 <= self.window <= _MOST):
            raise FlowError(
                f"step {self.step!r}: window={self.window!r}; a number of readings, 1 to {_MOST:,}"
            )
        known = (*schema.columns, *schema.tags)
        if self.by is not None and self.by not in known:
            raise FlowError(
                f"step {self.step!r}: by names {self.by!r}, which is no tag and no column here; "
                f"{suggest(self.by, known)}"
            )
        bound = replace(self)
        object.__setattr__(bound, "sensors", tuple(schema.sensors))
        return bound

    def on_batch(self, batch: Batch, state: State) -> Batch:
        """Make a key of each reading, and look it up."""
        from streamflow.stages.repeats import repeated

        again = np.zeros(len(batch), bool)
        if self.by is None:
            keys, known, order = self._content(batch), np.ones(len(batch), bool), batch.time
        else:
            keys, known = _ids(batch, self.by)
            order = np.zeros(len(batch), np.int64)
        memory = (state["seen"], state["count"], state["newest"])
        repeated(*memory, batch.device, order, keys, known, again)
        return batch.reject(again, "duplicate") if again.any() else batch

    def _content(self, batch: Batch) -> Keys:
        from streamflow.stages.repeats import absorb

        keys = np.zeros((len(batch), 2), np.uint64)
        absorb(batch.time.view(np.uint64), keys)
        for sensor in self.sensors:
            absorb(_bits(batch[sensor]), keys)
        return keys


def _bits(values: Values) -> Keys:
    """The bits of values; a missing one is missing, whichever NaN it is."""
    missing = np.isnan(values)
    plain = np.where(missing, np.nan, values) if missing.any() else np.ascontiguousarray(values)
    return plain.view(np.uint64)


def _ids(batch: Batch, by: str) -> tuple[Keys, Mask]:
    """The key of each reading's id, and whether it has one."""
    from streamflow.stages.repeats import absorb, digest

    if by not in batch.tags:
        keys = np.zeros((len(batch), 2), np.uint64)
        absorb(_bits(batch[by]), keys)
        return keys, ~np.isnan(batch[by])
    words = batch.tags[by].compact()
    start = np.cumsum([0, *map(len, words.vocabulary)])
    text = "".join(words.vocabulary).encode("utf-32-le", "surrogatepass")
    keys = np.zeros((len(words.vocabulary) + 1, 2), np.uint64)
    digest(np.frombuffer(text, np.uint32), start, keys[:-1])
    return keys[words.codes], words.codes >= 0
