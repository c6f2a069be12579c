"""anomaly.HalfSpaceTrees: masses along the path of a reading through random trees.

A tree's structure follows from the parameters and from which sensors the first learned reading
had, so all devices of a kind share it; only the masses are a device's own. Masses are small
integers, one byte for windows up to 255. A path touches one node a level; nodes are laid out in
blocks of six levels to a cache line, so that a path of nine nodes touches two lines, not nine, and
the lines of the next reading are asked for while this one is scored.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streamflow.core.batch import Codes, Mask, Values
from streamflow.core.memory import Field
from streamflow.errors import StateError
from streamflow.models.kernels.base import (
    CannotCompileError,
    Detector,
    Fields,
    Inputs,
    kernel,
)
from streamflow.models.kernels.prefetch import prefetch

LINE = 64
"""Bytes of a cache line."""
MOST_SENSORS = 62
"""Which sensors a device's first reading had is kept as bits of an int64."""


@njit(cache=True, nogil=True, inline="always")
def _leaf(feature, threshold, at, height, x, here, mass, row, side, place):  # type: ignore[no-untyped-def]
    """The leaf that a reading falls into; where a sensor is missing, by the heavier child."""
    node = 0
    for _ in range(height):
        sensor = feature[at + node]
        left = 2 * node + 1
        if here[sensor]:
            node = left if x[sensor] < threshold[at + node] else left + 1
        elif mass[row, side + place[left]] < mass[row, side + place[left + 1]]:
            node = left + 1
        else:
            node = left
    return node


@njit(cache=True, nogil=True, inline="always")
def _learn_path(feature, threshold, at, height, x, here, mass, row, side, place):  # type: ignore[no-untyped-def]
    """Walk to the leaf, adding one to each mass on the way."""
    node = 0
    for _ in range(height):
        mass[row, side + place[node]] += 1
        sensor = feature[at + node]
        left = 2 * node + 1
        if here[sensor]:
            node = left if x[sensor] < threshold[at + node] else left + 1
        elif mass[row, side + place[left]] < mass[row, side + place[left + 1]]:
            node = left + 1
        else:
            node = left
    mass[row, side + place[node]] += 1


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
    nodes = 2 ** (height + 1) - 1
    stride = trees * slots
    leaves = np.zeros(trees, np.int64)
    ahead = np.zeros(trees, np.int64)
    ahead_row = -1
    n = len(rows)
    for i in range(n):
        row = rows[i]
        learn = may[i] and good[i].any()
        if learn and variant[row] < 0:
            for j in range(good.shape[1]):
                keys[row] |= np.int64(good[i, j]) << j
            for k in range(len(masks)):
                if masks[k] == keys[row]:
                    variant[row] = k
        kind = variant[row]
        latest = int(side[row]) * stride
        reference = stride - latest
        known = ahead_row == i
        if known:
            leaves[:] = ahead
        # Ask for what the next reading will touch.
        ahead_row = -1
        if i + 1 < n:
            after = rows[i + 1]
            other = variant[after]
            if other >= 0:
                whole = True
                for j in range(x.shape[1]):
                    whole = whole and here[i + 1, j]
                if whole:
                    ahead_row = i + 1
                    for t in range(trees):
                        at = (other * trees + t) * nodes
                        leaf = _leaf(
                            features,
                            thresholds,
                            at,
                            height,
                            x[i + 1],
                            here[i + 1],
                            mass,
                            after,
                            0,
                            place,
                        )
                        ahead[t] = leaf
                        near, far = t * slots, t * slots + place[leaf]
                        prefetch(mass, after, near)
                        prefetch(mass, after, far)
                        prefetch(mass, after, stride + near)
                        prefetch(mass, after, stride + far)
        if not filled[row]:
            out[i] = 0.0
        else:
            total = np.int64(0)
            for t in range(trees):
                if not known:
                    at = (kind * trees + t) * nodes
                    leaves[t] = _leaf(
                        features,
                        thresholds,
                        at,
                        height,
                        x[i],
                        here[i],
                        mass,
                        row,
                        latest + t * slots,
                        place,
                    )
                base = reference + t * slots
                up = leaves[t] + 1
                for depth in range(height + 1):
                    r = np.int64(mass[row, base + place[(up >> (height - depth)) - 1]])
                    total += r << depth
                    if r < limit:
                        break
            out[i] = 1.0 - total / top
        if learn:
            same = known and kind >= 0
            for j in range(x.shape[1]):
                same = same and good[i, j] and y[i, j] == x[i, j]
            for t in range(trees):
                if same:
                    up = leaves[t] + 1
                    for depth in range(height + 1):
                        mass[row, latest + t * slots + place[(up >> (height - depth)) - 1]] += 1
                else:
                    _learn_path(
                        features,
                        thresholds,
                        (kind * trees + t) * nodes,
                        height,
                        y[i],
                        good[i],
                        mass,
                        row,
                        latest + t * slots,
                        place,
                    )
            count[row] += 1
            if count[row] == window:
                # What was learned becomes the reference; the old reference is wiped to learn in.
                mass[row, reference : reference + stride] = 0
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
        levels = int(np.log2(LINE // np.dtype(dtype).itemsize + 1))
        place, length = blocked(self.river.height, levels)
        slots = -(-length // LINE) * LINE
        self._layout[:] = [place, slots]
        # Sets of sensors, and the trees for each: one tuple, replaced whole, for the shards of
        # several threads share it.
        self._grown[:] = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
        self.fields["mass"] = Field(dtype, 0, (2 * self.river.n_trees * slots,))
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
        place, slots = self._layout
        river = self.river
        shape = (place, river.n_trees, river.height, slots, river.window_size)
        limits = (0.1 * river.window_size, self._top)
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

    def _grow(self, keys: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        names = [s for j, s in enumerate(self.sensors) if keys >> j & 1]
        grown = self.river.clone()
        grown.learn_one(dict.fromkeys(names, 0.5))
        nodes = 2 ** (self.river.height + 1) - 1
        features = np.zeros((self.river.n_trees, nodes), np.int64)
        thresholds = np.zeros((self.river.n_trees, nodes))
        for t, tree in enumerate(grown.trees):
            row = [tree]
            for node in range(2**self.river.height - 1):
                branch = row[node]
                features[t, node] = self.sensors.index(branch.feature)
                thresholds[t, node] = branch.threshold
                row += branch.children
        return features, thresholds

    def export(self, state: Fields, row: int, sensors: Sequence[str]) -> Any:
        """One device's forest."""
        out = self.river.clone()
        keys = int(state["keys"][row])
        if not keys:
            return out
        out.learn_one(dict.fromkeys([s for j, s in enumerate(sensors) if keys >> j & 1], 0.5))
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
        place, slots = self._layout
        stride = self.river.n_trees * slots
        for t, tree in enumerate(river.trees):
            for number, node in enumerate(_heap(tree, self.river.height)):
                at = t * slots + place[number]
                state["mass"][row, at], state["mass"][row, stride + at] = node.l_mass, node.r_mass

    def _keys_of(self, river: Any) -> int:
        """Which sensors a forest was grown for: all, or those that its splits look at."""
        splits = self._splits(river)
        used = {feature for feature, _ in splits}
        for names in (list(self.sensors), [s for s in self.sensors if s in used]):
            grown = self.river.clone()
            grown.learn_one(dict.fromkeys(names, 0.5))
            if self._splits(grown) == splits:
                return sum(1 << self.sensors.index(name) for name in names)
        raise StateError(
            "this forest's trees are not those that its parameters and seed grow: it cannot be "
            "taken over"
        )

    def _splits(self, forest: Any) -> list[tuple[str, float]]:
        height = self.river.height
        nodes = [node for tree in forest.trees for node in _heap(tree, height)[: 2**height - 1]]
        return [(node.feature, node.threshold) for node in nodes]

    def _nodes(self, state: Fields, row: int, forest: Any) -> Any:
        place, slots = self._layout
        stride = self.river.n_trees * slots
        latest = int(state["side"][row]) * stride
        reference = stride - latest
        mass = state["mass"][row]
        for t, tree in enumerate(forest.trees):
            for number, node in enumerate(_heap(tree, self.river.height)):
                at = t * slots + place[number]
                yield (mass[reference + at], mass[latest + at]), node


def _heap(tree: Any, height: int) -> list[Any]:
    """A tree's nodes in heap order."""
    row = [tree]
    for number in range(2**height - 1):
        row += row[number].children
    return row
