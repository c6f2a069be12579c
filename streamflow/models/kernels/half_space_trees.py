"""anomaly.HalfSpaceTrees: masses along the path of a reading through random trees.

A tree's structure follows from the parameters and from which sensors the first learned reading
had, so all devices of a kind share it; only the masses are a device's own. A node's mass is that of
the leaves below it, so the leaves' are kept: small integers, one byte for windows up to 255. They
are learned for a whole window before they are scored by, so what the path to each leaf adds to a
score is worked out once a window. To score and to learn then touches two cache lines a tree; those
of the next reading are asked for while this one is scored.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streamflow.core.batch import Codes, Mask, Values
from streamflow.core.kernel import inlined, kernel, part
from streamflow.core.memory import Field
from streamflow.errors import StateError
from streamflow.models.kernels.base import CannotCompileError, Detector, Fields, Inputs
from streamflow.models.kernels.prefetch import prefetch

MOST_SENSORS = 62
"""Which sensors a device's first reading had is kept as bits of an int64."""


@inlined
def _leaves(features, thresholds, at, height, x, i, out, turn):  # type: ignore[no-untyped-def]
    """The leaf of each tree that a reading with all sensors falls into: `out[turn]`.

    All trees a level at a time, and without a branch: their steps overlap, and none is guessed
    wrong. Unsigned numbers, for of a signed index Numba asks whether it counts from the end.
    """
    one = np.uint64(1)
    branches = (one << np.uint64(height)) - one
    for t in range(out.shape[1]):
        out[turn, t] = 0
    for _ in range(height):
        start = np.uint64(at)
        for t in range(out.shape[1]):
            node = out[turn, t]
            place = start + node
            left = np.uint64(x[i, features[place]] < thresholds[place])
            out[turn, t] = node + node + one + one - left
            start += branches
    for t in range(out.shape[1]):
        out[turn, t] -= branches


@part
def _walk(features, thresholds, at, height, x, here, i, mass, row, first):  # type: ignore[no-untyped-def]
    """The leaf that a reading falls into; where a sensor is missing, by the heavier child."""
    node, leaf, size = 0, 0, 1 << height
    for _ in range(height):
        sensor = features[at + node]
        size >>= 1
        if here[i, sensor]:
            right = not x[i, sensor] < thresholds[at + node]
        else:
            left = first + leaf
            right = _sum(mass, row, left, size) < _sum(mass, row, left + size, size)
        node = 2 * node + 1 + right
        leaf += size * right
    return leaf


@part
def _sum(mass, row, first, size):  # type: ignore[no-untyped-def]
    total = np.int64(0)
    for k in range(first, first + size):
        total += np.int64(mass[row, k])
    return total


@part
def _weigh(masses, shares, trees, height, reference, limit):  # type: ignore[no-untyped-def]
    """What each leaf adds to a score.

    That is mass * 2^depth of each node on its path, down to the first whose mass is below the
    limit; halved, and without the root's, whose mass is the window.
    """
    leaves = 1 << height
    sums = np.empty(2 * leaves, masses.dtype)
    parts = np.empty(2 * leaves, shares.dtype)
    for t in range(trees):
        first = (2 * t + reference) * leaves
        sums[leaves:] = masses[first : first + leaves]
        row = leaves
        while row > 1:
            below, own = sums[row : 2 * row], sums[row // 2 : row]
            row //= 2
            for k in range(row):
                own[k] = below[2 * k] + below[2 * k + 1]
        parts[1] = 0
        for depth in range(height):
            row = 1 << depth
            own, below = sums[row : 2 * row], sums[2 * row : 4 * row]
            part, more = parts[row : 2 * row], parts[2 * row : 4 * row]
            for k in range(row):
                if own[k] < limit:
                    below[2 * k] = below[2 * k + 1] = 0
                more[2 * k] = part[k] + (below[2 * k] << depth)
                more[2 * k + 1] = part[k] + (below[2 * k + 1] << depth)
        shares[t * leaves : (t + 1) * leaves] = parts[leaves:]


@kernel
def _restore(mass, share, side, filled, rows, trees, height, limit):  # type: ignore[no-untyped-def]
    for row in rows:
        if filled[row]:
            _weigh(mass[row], share[row], trees, height, 1 - int(side[row]), limit)


@kernel
def _run(  # type: ignore[no-untyped-def]
    mass,
    share,
    side,
    filled,
    count,
    variant,
    keys,
    masks,
    features,
    thresholds,
    trees,
    height,
    window,
    limit,
    top,
    rows,
    x,
    here,
    y,
    good,
    may,
    out,
):
    leaves = 1 << height
    width = np.uint64(leaves)
    leaf = np.zeros((2, trees), np.uint64)
    n, sensors = len(rows), x.shape[1]
    looked = False
    for i in range(n):
        row, turn = np.uint64(rows[i]), np.uint64(i & 1)
        kind, latest, known = variant[row], np.uint64(side[row]), looked
        learn = False
        for j in range(sensors):
            learn |= may[i] and good[i, j]
        if learn and kind < 0:
            for j in range(sensors):
                keys[row] |= np.int64(good[i, j]) << j
            for k in range(len(masks)):
                if masks[k] == keys[row]:
                    kind = k
            variant[row] = kind
        # Ask for what the next reading will touch.
        looked = i + 1 < n and variant[rows[i + 1]] >= 0
        if looked:
            for j in range(sensors):
                looked = looked and here[i + 1, j]
        if looked:
            after, other = np.uint64(rows[i + 1]), turn ^ np.uint64(1)
            at = variant[after] * trees * (leaves - 1)
            _leaves(features, thresholds, at, height, x, np.uint64(i + 1), leaf, other)
            place, base = np.uint64(side[after]) * width, np.uint64(0)
            for t in range(trees):
                prefetch(mass, after, place + leaf[other, t])
                prefetch(share, after, base + leaf[other, t])
                place += width + width
                base += width
        out[i] = 0.0
        # Of a reading without any sensor nobody asks the score: it is there to be learned.
        some = known
        for j in range(sensors):
            some = some or here[i, j]
        if filled[row] and some:
            total, base = np.int64(0), np.uint64(0)
            for t in range(trees):
                if not known:
                    at, first = (kind * trees + t) * (leaves - 1), (2 * t + int(latest)) * leaves
                    leaf[turn, t] = _walk(
                        features, thresholds, at, height, x, here, i, mass, row, first
                    )
                total += np.int64(share[row, base + leaf[turn, t]])
                base += width
            out[i] = 1.0 - (2 * total + trees * window) / top
        if learn:
            same = known
            for j in range(sensors):
                same = same and good[i, j] and y[i, j] == x[i, j]
            if not same:
                for t in range(trees):
                    at, first = (kind * trees + t) * (leaves - 1), (2 * t + int(latest)) * leaves
                    leaf[turn, t] = _walk(
                        features, thresholds, at, height, y, good, i, mass, row, first
                    )
            place = latest * width
            for t in range(trees):
                mass[row, place + leaf[turn, t]] += 1
                place += width + width
            count[row] += 1
            if count[row] == window:
                # What was learned becomes the reference; the old one is wiped to learn in.
                _weigh(mass[row], share[row], trees, height, int(latest), limit)
                for t in range(trees):
                    first = (2 * t + 1 - int(latest)) * leaves
                    mass[row, first : first + leaves] = 0
                side[row] = 1 - side[row]
                filled[row] = True
                count[row] = 0


_GROWING = threading.Lock()


@dataclass(frozen=True, eq=False)
class Forest(Detector):
    """River's HalfSpaceTrees: 1 - (sum of mass * 2^depth along the paths) / (the most it can be).

    State: two masses a node (of the last full window, and of the one being filled, which change
    places), how many readings are in the window, and which sensors the first reading had.
    """

    river: Any
    sensors: tuple[str, ...]
    fields: dict[str, Field] = field(default_factory=dict, init=False)
    _grown: list[Any] = field(default_factory=list, init=False)

    @classmethod
    def of(cls, river: Any, sensors: tuple[str, ...]) -> Self:
        """The kernel of a detector."""
        if river.seed is None:
            raise CannotCompileError("HalfSpaceTrees has no seed")
        if min(river.height, river.n_trees, river.window_size) < 1:
            raise CannotCompileError("HalfSpaceTrees with a height, trees or window of 0")
        if len(sensors) > MOST_SENSORS:
            raise CannotCompileError(f"HalfSpaceTrees has more than {MOST_SENSORS} sensors")
        return cls(river.clone(), sensors)

    def __post_init__(self) -> None:
        window, leaves = self.river.window_size, 2**self.river.height
        whole = self.river.n_trees * leaves
        # Sets of sensors, and the trees for each: one tuple, replaced whole, for the shards of
        # several threads share it.
        self._grown[:] = [(np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0))]
        self.fields["mass"] = Field(np.uint8 if window <= 255 else np.uint32, 0, (2 * whole,))
        most = np.min_scalar_type(window * (leaves - 1))
        self.fields["share"] = Field(np.promote_types(most, np.uint16), 0, (whole,), derived=True)
        self.fields["side"] = Field(np.uint8)
        self.fields["filled"] = Field(np.bool_)
        self.fields["count"] = Field(np.int32)
        self.fields["keys"] = Field(np.int64)
        self.fields["variant"] = Field(np.int16, -1, derived=True)

    @cached_property
    def _top(self) -> float:
        """The largest sum of masses; River computes it anew each time."""
        return float(self.river._max_score)

    def restored(self, state: Fields, rows: Sequence[int]) -> None:
        """Find each device's trees again, and what their leaves add to a score."""
        for row in rows:
            keys = int(state["keys"][row])
            state["variant"][row] = self._variant(keys) if keys else -1
        names = ("mass", "share", "side", "filled")
        shape = (self.river.n_trees, self.river.height, self._limit)
        _restore(*(state[name] for name in names), np.asarray(rows, np.int64), *shape)

    @property
    def _limit(self) -> int:
        """A mass is an integer: below the limit is below the integer above it."""
        limit: int = ceil(0.1 * self.river.window_size)
        return limit

    def run(
        self, state: Fields, rows: Codes, seen: Inputs, good: Inputs, may: Mask, scores: Values
    ) -> None:
        """Grow the trees that first readings need; River's `score_one`, then `learn_one`."""
        fresh = state["variant"][rows] < 0
        if fresh.any():
            for keys in np.unique(self._bits(good)[fresh & may]).tolist():
                if keys:
                    self._variant(keys)
        names = ("mass", "share", "side", "filled", "count", "variant", "keys")
        river = self.river
        _run(
            *(state[name] for name in names),
            *self._grown[0],
            *(river.n_trees, river.height, river.window_size, self._limit, self._top),
            *(rows, seen.values, seen.present, good.values, good.present),
            *(may, scores),
        )

    def _bits(self, given: Inputs) -> NDArray[np.int64]:
        weights = 1 << np.arange(len(self.sensors), dtype=np.int64)
        bits: NDArray[np.int64] = given.present @ weights
        return bits

    def _variant(self, keys: int) -> int:
        """The number of the trees for a set of sensors; River itself grows them."""
        with _GROWING:
            masks, features, thresholds = self._grown[0]
            known = np.flatnonzero(masks == keys)
            if len(known):
                return int(known[0])
            new = self._grow(keys)
            self._grown[0] = (
                np.append(masks, keys),
                np.append(features, new[0]),
                np.append(thresholds, new[1]),
            )
            return len(masks)

    def _grow(self, keys: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        grown = self.river.clone()
        grown.learn_one(dict.fromkeys(self._names(keys), 0.5))
        return self._splits(grown)

    def _names(self, keys: int) -> list[str]:
        return [sensor for j, sensor in enumerate(self.sensors) if keys >> j & 1]

    def _splits(self, forest: Any) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Of each branch, by which sensor and at what value it parts; ValueError if of no sensor
        of ours."""
        branches = 2**self.river.height - 1
        features = np.zeros((self.river.n_trees, branches), np.uint8)
        thresholds = np.zeros((self.river.n_trees, branches))
        for t, tree in enumerate(forest.trees):
            for number, branch in enumerate(_heap(tree, self.river.height)[:branches]):
                features[t, number] = self.sensors.index(branch.feature)
                thresholds[t, number] = branch.threshold
        return features.ravel(), thresholds.ravel()

    def export(self, state: Fields, row: int, sensors: Sequence[str]) -> Any:
        """One device's forest."""
        out = self.river.clone()
        keys = int(state["keys"][row])
        if not keys:
            return out
        out.learn_one(dict.fromkeys(self._names(keys), 0.5))
        out.counter = int(state["count"][row])
        out._first_window = not bool(state["filled"][row])
        latest = int(state["side"][row])
        for tree, sides in zip(out.trees, self._masses(state, row), strict=True):
            for node, mass in zip(_heap(tree, self.river.height), _sums(sides).T, strict=True):
                node.l_mass, node.r_mass = int(mass[latest]), int(mass[1 - latest])
        return out

    def _masses(self, state: Fields, row: int) -> NDArray[Any]:
        """Of a device's leaves, [trees, 2, leaves]."""
        masses: NDArray[Any] = state["mass"][row].reshape(self.river.n_trees, 2, -1)
        return masses

    def take_over(self, state: Fields, row: int, sensors: Sequence[str], river: Any) -> None:
        """A trained forest's masses; its trees must be those that its parameters and seed grow."""
        if not river.trees:
            return
        keys = self._keys_of(river)
        state["keys"][row] = keys
        state["count"][row], state["filled"][row] = river.counter, not river._first_window
        state["side"][row] = 0
        for tree, sides in zip(river.trees, self._masses(state, row), strict=True):
            leaves = _heap(tree, self.river.height)[2**self.river.height - 1 :]
            sides[:] = [node.l_mass for node in leaves], [node.r_mass for node in leaves]
        self.restored(state, [row])

    def _keys_of(self, river: Any) -> int:
        """Which sensors a forest was grown for: all, or those that its splits look at."""
        with suppress(ValueError):
            own = self._splits(river)
            used = sum(1 << j for j in set(own[0].tolist()))
            for keys in ((1 << len(self.sensors)) - 1, used):
                variant, size = self._variant(keys), len(own[0])
                _, features, thresholds = self._grown[0]
                there = slice(variant * size, (variant + 1) * size)
                if (features[there] == own[0]).all() and (thresholds[there] == own[1]).all():
                    return keys
        raise StateError(
            "this forest's trees are not those that its parameters and seed grow: it cannot be "
            "taken over"
        )


def _sums(leaves: NDArray[Any]) -> NDArray[np.int64]:
    """The masses of all nodes in heap order, from those of the leaves: both [2, nodes]."""
    rows = [leaves.astype(np.int64)]
    while rows[0].shape[1] > 1:
        rows.insert(0, rows[0][:, ::2] + rows[0][:, 1::2])
    return np.concatenate(rows, axis=1)


def _heap(tree: Any, height: int) -> list[Any]:
    """A tree's nodes in heap order."""
    row = [tree]
    for number in range(2**height - 1):
        row += row[number].children
    return row
