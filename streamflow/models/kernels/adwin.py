"""drift.ADWIN: a window of adaptive length, kept as exponentially growing buckets.

River's is written in Rust; its state is opaque, and read and written here by the layout that its
`__getstate__` has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log, sqrt
from struct import Struct
from typing import Any, Self

import numpy as np
from river import drift

from streamflow.core.batch import Codes, Values
from streamflow.core.kernel import inlined, kernel
from streamflow.core.memory import Field
from streamflow.errors import StateError
from streamflow.models.kernels.base import CannotCompileError, Fields, Watcher

LEVELS = 32
"""Buckets of 1, 2, 4 ... readings. The last level's two oldest buckets are forgotten when it is
full, after 10 000 million readings without a drift."""
MOST_BUCKETS = 254
"""Of a size: one more, before two are merged, is counted in a byte."""
_HEAD = Struct("<dIQdddddd4IQ")
_BUCKET = Struct("<QQ")


@inlined
def _drop_oldest(total, spread, count, levels, sums, row, most):  # type: ignore[no-untyped-def]
    """Forget the oldest bucket of the window."""
    last = int(levels[row]) - 1
    first = last * (most + 1)
    size = 2.0**last
    part = total[row, first]
    sums[row, 0] -= size
    sums[row, 1] -= part
    apart = part / size - sums[row, 1] / sums[row, 0]
    between = size * sums[row, 0] * apart * apart / (size + sums[row, 0])
    sums[row, 2] -= spread[row, first] + between
    count[row, last] -= 1
    for k in range(first, first + int(count[row, last])):
        total[row, k], spread[row, k] = total[row, k + 1], spread[row, k + 1]
    if count[row, last] == 0:
        levels[row] = last


@inlined
def _add(total, spread, count, levels, sums, row, most, value):  # type: ignore[no-untyped-def]
    """Add a value as a bucket of its own; where a level is over-full, merge its two oldest."""
    sums[row, 0] += 1.0
    if sums[row, 0] > 1.0:
        before = sums[row, 0] - 1.0
        apart = value - sums[row, 1] / before
        sums[row, 2] += before * apart * apart / sums[row, 0]
    sums[row, 1] += value
    if levels[row] == 0:
        levels[row] = 1
    total[row, count[row, 0]], spread[row, count[row, 0]] = value, 0.0
    count[row, 0] += 1
    level = 0
    while count[row, level] == most + 1:
        first = level * (most + 1)
        if level + 1 == count.shape[1]:
            _drop_oldest(total, spread, count, levels, sums, row, most)
            _drop_oldest(total, spread, count, levels, sums, row, most)
            break
        if level + 1 == levels[row]:
            levels[row] += 1
        size = 2.0**level
        apart = total[row, first] / size - total[row, first + 1] / size
        between = size * size * apart * apart / (size + size)
        to = first + most + 1 + int(count[row, level + 1])
        total[row, to] = total[row, first] + total[row, first + 1]
        spread[row, to] = spread[row, first] + spread[row, first + 1] + between
        count[row, level + 1] += 1
        count[row, level] -= 2
        for k in range(first, first + int(count[row, level])):
            total[row, k], spread[row, k] = total[row, k + 2], spread[row, k + 2]
        level += 1


@inlined
def _old_differs(total, count, levels, sums, row, most, delta, shortest):  # type: ignore[no-untyped-def]
    """Whether some older part of the window has another mean than the rest."""
    old, old_total = 0.0, 0.0
    new, new_total = sums[row, 0], sums[row, 1]
    confidence = log(2.0 * log(sums[row, 0]) / delta)
    variance = sums[row, 2] / sums[row, 0]
    for level in range(levels[row] - 1, -1, -1):
        size = 2.0**level
        for k in range(count[row, level]):
            if level == 0 and k == count[row, level] - 1:
                return False
            part = total[row, level * (most + 1) + k]
            old += size
            new -= size
            old_total += part
            new_total -= part
            if old < shortest or new < shortest:
                continue
            apart = abs(old_total / old - new_total / new)
            mean = 1.0 / (old - shortest + 1.0) + 1.0 / (new - shortest + 1.0)
            if apart > sqrt(2.0 * mean * variance * confidence) + 2.0 / 3.0 * confidence * mean:
                return True
    return False


@kernel
def _run(total, spread, count, levels, sums, tick, found, chosen, rows, x, out):  # type: ignore[no-untyped-def]
    delta, clock, most, shortest, grace = chosen
    for i in range(len(rows)):
        row = rows[i]
        if found[row]:
            count[row, :] = 0
            sums[row, :] = 0.0
            levels[row], tick[row], found[row] = 0, 0, False
        _add(total, spread, count, levels, sums, row, most, x[i])
        tick[row] += 1
        if tick[row] % clock == 0 and sums[row, 0] > grace:
            while _old_differs(total, count, levels, sums, row, most, delta, shortest):
                found[row] = True
                _drop_oldest(total, spread, count, levels, sums, row, most)
        out[i] = 1.0 if found[row] else 0.0


@dataclass(frozen=True)
class Adwin(Watcher):
    """River's ADWIN (Bifet & Gavalda, 2007).

    State: the sum and the spread (sum of squared deviations) of each bucket, the oldest of a level
    first; how many there are in each level; width, sum and spread of the window; readings since
    the last drift, and whether the last reading was found to be one.
    """

    river: Any = field(compare=False)
    fields: dict[str, Field] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        buckets = (LEVELS * (self.river.max_buckets + 1),)
        self.fields["total"] = Field(np.float64, 0.0, buckets)
        self.fields["spread"] = Field(np.float64, 0.0, buckets)
        self.fields["count"] = Field(np.uint8, 0, (LEVELS,))
        self.fields["levels"] = Field(np.int8)
        self.fields["window"] = Field(np.float64, 0.0, (3,))
        self.fields["tick"] = Field(np.uint32)
        self.fields["found"] = Field(np.bool_)

    @classmethod
    def of(cls, river: drift.ADWIN, sensors: tuple[str, ...]) -> Self:  # noqa: ARG003
        """The kernel of a drift detector."""
        if river.max_buckets > MOST_BUCKETS:
            raise CannotCompileError(f"ADWIN has more than {MOST_BUCKETS} buckets of a size")
        return cls(river.clone())

    def run(self, state: Fields, rows: Codes, values: Values, drift: Values) -> None:
        """River's `update` and `drift_detected`."""
        own = self.river
        ends = (float(own.min_window_length), float(own.grace_period))
        chosen = (float(own.delta), own.clock, own.max_buckets, *ends)
        _run(*(state[name] for name in self.fields), chosen, rows, values, drift)

    def export(self, state: Fields, row: int, sensors: Sequence[str]) -> Any:
        """One device's drift detector."""
        out = self.river.clone()
        head = list(_HEAD.unpack_from(out._helper.__getstate__()))
        levels = int(state["levels"][row])
        if not levels:
            return out
        width, total, spread = state["window"][row].tolist()
        counts = state["count"][row].tolist()
        head[5:9] = total, spread, width, width
        head[9:13] = sum(counts), sum(counts), int(state["tick"][row]), int(state["found"][row])
        head[13] = levels
        most = self.river.max_buckets
        parts = [_HEAD.pack(*head)]
        for level in range(levels):
            inside = slice(level * (most + 1), level * (most + 1) + counts[level])
            parts.append(_BUCKET.pack(most, counts[level]))
            for name in ("total", "spread"):
                numbers = np.zeros(most + 1)
                numbers[: counts[level]] = state[name][row, inside]
                parts += [(most + 1).to_bytes(8, "little"), numbers.tobytes()]
        tail = out._helper.__getstate__()[-28:]
        out._helper.__setstate__(b"".join([*parts, tail]))
        out._drift_detected = bool(state["found"][row])
        return out

    def take_over(self, state: Fields, row: int, sensors: Sequence[str], river: Any) -> None:
        """A drift detector's window."""
        saved = river._helper.__getstate__()
        head = _HEAD.unpack_from(saved)
        levels, most = head[13], self.river.max_buckets
        if levels > LEVELS:
            raise StateError(f"this ADWIN's window has {levels} levels of buckets, over {LEVELS}")
        state["window"][row] = head[7], head[5], head[6]
        state["tick"][row], state["levels"][row] = head[11], levels
        state["found"][row] = river.drift_detected
        at, size = _HEAD.size, 8 * (most + 1)
        for level in range(levels):
            _, count = _BUCKET.unpack_from(saved, at)
            inside = slice(level * (most + 1), (level + 1) * (most + 1))
            at += _BUCKET.size + 8
            state["total"][row, inside] = np.frombuffer(saved, "<f8", most + 1, at)
            state["spread"][row, inside] = np.frombuffer(saved, "<f8", most + 1, at + size + 8)
            state["count"][row, level] = count
            at += 2 * size + 8
