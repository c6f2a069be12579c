"""anomaly.HalfSpaceTrees: masses along the path of a reading through random trees.

A tree's structure follows from the parameters and from which sensors the first learned reading
had, so all devices of a kind share it; only the masses are a device's own. Masses are small
integers, one byte for windows up to 255. A path touches one node a level, and of each node two
masses: one to score by, one to learn in. They lie side by side, in blocks of five levels to a cache
line, so that a path of nine nodes touches two lines, not eighteen; and the lines of the next
reading are asked for while this one is scored.
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
from streamflow.core.kernel import inlined, kernel
from streamflow.core.memory import LINE, Field
from streamflow.errors import StateError
from streamflow.models.kernels.base import CannotCompileError, Detector, Fields, Inputs
from streamflow.models.kernels.prefetch import prefetch

MOST_SENSORS = 62
"""Which sensors a device's first reading had is kept as bits of an int64."""


@inlined
def _leaves(features, thresholds, at, height, x, i, out):  # type: ignore[no-untyped-def]
    """The leaf of each tree that a reading with all sensors falls into.

    All trees a level at a time, and without a branch: their steps overlap, and none is guessed
    wrong. Unsigned numbers, for of a signed index Numba asks whether it counts from the end.
    """
    one = np.uint64(1)
    branches = (one << np.uint64(height)) - one
    for t in range(len(out)):
        out[t] = 0
    for _ in range(height):
        start = np.uint64(at)
        for t in range(len(out)):
            place = start + out[t]
            left = np.uint64(x[i, features[place]] < thresholds[place])
            out[t] = out[t] + out[t] + one + one - left
            start += branches
    for t in range(len(out)):
        out[t] -= branches


@inlined
def _walk(features, thresholds, at, height, x, here, i, own, base, place, more):  # type: ignore[no-untyped-def]
    """The leaf that a reading falls into; where a sensor is missing, by the heavier child.

    On the way `more` is added to each mass.
    """
    node = 0
    for _ in range(height):
        own[base + place[node]] += more
        sensor = features[at + node]
        left = 2 * node + 1
        if here[i, sensor]:
            node = left if x[i, sensor] < thresholds[at + node] else left + 1
        elif own[base + place[left]] < own[base + place[left + 1]]:
            node = left + 1
        else:
            node = left
    own[base + place[node]] += more
    return node - (2**height - 1)


@inlined
def _pass(own, path, leaf, base, reference, latest, limit, more):  # type: ignore[no-untyped-def]
    """A tree's part of the score; on the way `more` is added to the masses that are learned in."""
    total, counts = np.int64(0), np.int64(1)
    for depth in range(path.shape[1]):
        at = base + path[leaf, depth]
        r = np.int64(own[at + reference])
        total += (r * counts) << depth
        counts = counts if r >= limit else np.int64(0)
        own[at + latest] += more
    return total


@kernel
def _run(  # type: ignore[no-untyped-def]
    mass,
    side,
    filled,
    count,
    variant,
    keys,
    masks,
    features,
    thresholds,
    place,
    path,
    trees,
    height,
    slots,
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
    branches = 2**height - 1
    size = np.uint64(slots)
    leaves = np.zeros(trees, np.uint64)
    ahead = np.zeros(trees, np.uint64)
    n = len(rows)
    looked = False
    for i in range(n):
        row = rows[i]
        own = mass[row]
        learn = may[i] and good[i].any()
        if learn and variant[row] < 0:
            for j in range(good.shape[1]):
                keys[row] |= np.int64(good[i, j]) << j
            for k in range(len(masks)):
                if masks[k] == keys[row]:
                    variant[row] = k
        kind = variant[row]
        latest = np.uint64(side[row])
        reference = np.uint64(1) - latest
        known = looked
        leaves, ahead = ahead, leaves
        # Ask for what the next reading will touch.
        looked = i + 1 < n and variant[rows[i + 1]] >= 0
        if looked:
            for j in range(x.shape[1]):
                looked = looked and here[i + 1, j]
        if looked:
            after = rows[i + 1]
            at = variant[after] * trees * branches
            _leaves(features, thresholds, at, height, x, i + 1, ahead)
            base = np.uint64(0)
            for t in range(trees):
                prefetch(mass, after, base)
                prefetch(mass, after, base + path[ahead[t], height])
                base += size
        if not known and kind >= 0:
            for t in range(trees):
                at, base = (kind * trees + t) * branches, t * slots + int(latest)
                leaves[t] = _walk(features, thresholds, at, height, x, here, i, own, base, place, 0)
        same = known and learn
        for j in range(x.shape[1]):
            same = same and good[i, j] and y[i, j] == x[i, j]
        if filled[row] or same:
            total, base, more = np.int64(0), np.uint64(0), 1 if same else 0
            for t in range(trees):
                total += _pass(own, path, leaves[t], base, reference, latest, limit, more)
                base += size
            out[i] = 1.0 - total / top
        if not filled[row]:
            out[i] = 0.0
        if learn:
            if not same:
                for t in range(trees):
                    at, base = (kind * trees + t) * branches, t * slots + int(latest)
                    _walk(features, thresholds, at, height, y, good, i, own, base, place, 1)
            count[row] += 1
            if count[row] == window:
                # What was learned becomes the reference; the old reference is wiped to learn in.
                for k in range(int(reference), trees * slots, 2):
                    own[k] = 0
                side[row] = 1 - side[row]
                filled[row] = True
                count[row] = 0


def blocked(height: int, levels: int) -> tuple[NDArray[np.int64], int]:
    """Where each node of a binary tree (in heap order) lies, and how long the whole is.

    The upper `levels` levels come first, filling one line; below each of their last nodes hangs
    a block that is laid out in the same way, at a power of two.

    >>> blocked(2, 2)[0].tolist()
    [0, 1, 2, 4, 5, 6, 7]
    """
    place = np.zeros(2 ** (height + 1) - 1, np.int64)
    end = 0
    roots = [0]
    left = height + 1
    while left > 0:
        depth = min(levels, left)
        size = 1 << (2**depth - 1).bit_length() if depth > 1 or left > 1 else 1
        below = []
        for root in roots:
            row, at = [root], end
            for _ in range(depth):
                for node in row:
                    place[node] = at
                    at += 1
                row = [child for node in row for child in (2 * node + 1, 2 * node + 2)]
            below += row
            end += size
        roots, left = below, left - depth
    return place, end


def _paths(place: NDArray[np.int64], height: int) -> NDArray[np.uint64]:
    """Where the nodes on the way to each leaf lie, from the root down."""
    leaf = np.arange(2**height)[:, None] + 2**height
    nodes = (leaf >> np.arange(height, -1, -1)) - 1
    paths: NDArray[np.uint64] = place[nodes].astype(np.uint64)
    return paths


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
    _layout: list[Any] = field(default_factory=list, init=False)

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
        dtype = np.uint8 if self.river.window_size <= 255 else np.uint32
        pairs = LINE // (2 * np.dtype(dtype).itemsize)
        place, length = blocked(self.river.height, int(np.log2(pairs + 1)))
        slots = 2 * -(-length // pairs) * pairs
        self._layout[:] = [2 * place, slots, _paths(2 * place, self.river.height)]
        # Sets of sensors, and the trees for each: one tuple, replaced whole, for the shards of
        # several threads share it.
        self._grown[:] = [(np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0))]
        self.fields["mass"] = Field(dtype, 0, (self.river.n_trees * slots,))
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
        """Find each device's trees again, from which sensors its first reading had."""
        for row in rows:
            keys = int(state["keys"][row])
            state["variant"][row] = self._variant(keys) if keys else -1

    def run(
        self, state: Fields, rows: Codes, seen: Inputs, good: Inputs, may: Mask, scores: Values
    ) -> None:
        """Grow the trees that first readings need; River's `score_one`, then `learn_one`."""
        fresh = state["variant"][rows] < 0
        if fresh.any():
            for keys in np.unique(self._bits(good)[fresh & may]).tolist():
                if keys:
                    self._variant(keys)
        names = ("mass", "side", "filled", "count", "variant", "keys")
        place, slots, paths = self._layout
        river = self.river
        shape = (place, paths, river.n_trees, river.height, slots, river.window_size)
        # A mass is an integer: below the limit is below the integer above it.
        limits = (ceil(0.1 * river.window_size), self._top)
        given = (seen.values, seen.present, good.values, good.present)
        _run(
            *(state[name] for name in names),
            *self._grown[0],
            *shape,
            *limits,
            rows,
            *given,
            may,
            scores,
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
        for masses, node in self._nodes(state, row, out):
            node.r_mass, node.l_mass = (int(mass) for mass in masses)
        return out

    def take_over(self, state: Fields, row: int, sensors: Sequence[str], river: Any) -> None:
        """A trained forest's masses; its trees must be those that its parameters and seed grow."""
        if not river.trees:
            return
        keys = self._keys_of(river)
        state["keys"][row], state["variant"][row] = keys, self._variant(keys)
        state["count"][row], state["filled"][row] = river.counter, not river._first_window
        state["side"][row] = 0
        place, slots, _ = self._layout
        mass = state["mass"][row]
        for t, tree in enumerate(river.trees):
            for number, node in enumerate(_heap(tree, self.river.height)):
                at = t * slots + place[number]
                mass[at], mass[at + 1] = node.l_mass, node.r_mass

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

    def _nodes(self, state: Fields, row: int, forest: Any) -> Any:
        place, slots, _ = self._layout
        latest = int(state["side"][row])
        mass = state["mass"][row]
        for t, tree in enumerate(forest.trees):
            for number, node in enumerate(_heap(tree, self.river.height)):
                at = t * slots + place[number]
                yield (mass[at + 1 - latest], mass[at + latest]), node


def _heap(tree: Any, height: int) -> list[Any]:
    """A tree's nodes in heap order."""
    row = [tree]
    for number in range(2**height - 1):
        row += row[number].children
    return row
