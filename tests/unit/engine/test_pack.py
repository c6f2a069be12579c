from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamflow.engine.pack import pack, unpack
from streamflow.errors import StateError

TREE: dict[str, Any] = {
    "names": ["a", "ü", ""],
    "blob": b"\x00\xff",
    "nothing": None,
    "deep": [{"count": 3, "share": 0.1, "on": True}],
    "odd": np.arange(3, dtype=np.uint8),
    "mean": np.array([[1.5, np.nan], [-0.0, np.inf]]),
}


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 5)),
        np.zeros((3, 0), np.int32),
        np.array(2.5),
        np.arange(6).reshape(2, 3).T,
        np.arange(10, dtype=np.int16)[::3],
        np.array([True, False, True]),
        np.array(["ab", "c"]),
        np.arange(3, dtype=">i4"),
    ],
    ids=lambda array: f"{array.dtype.str}{array.shape}",
)
def test_an_array_comes_back_with_its_type_and_shape(array: Any) -> None:
    again = unpack(pack([7, array, "x"]))[1]
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    assert np.array_equal(again, array)
    assert again.flags.aligned


def test_a_tree_comes_back_as_it_was() -> None:
    again = unpack(pack(TREE))
    plain = ("names", "blob", "nothing", "deep")
    assert {name: again[name] for name in plain} == {name: TREE[name] for name in plain}
    assert again["odd"].tolist() == [0, 1, 2]
    assert again["mean"].tobytes() == TREE["mean"].tobytes()


def test_numbers_of_numpy_become_plain_ones() -> None:
    again = unpack(pack([np.float64(1.5), np.int32(7), np.bool_(True)]))
    assert again == [1.5, 7, True]
    assert [type(thing) for thing in again] == [float, int, bool]


def test_no_byte_can_change_or_go_missing_unnoticed() -> None:
    data = pack(TREE)
    for i in range(len(data)):
        changed = bytearray(data)
        changed[i] ^= 0x10
        for damaged in (bytes(changed), data[:i]):
            with pytest.raises(StateError, match="damaged"):
                unpack(damaged)


@pytest.mark.parametrize(
    "thing",
    [object(), 1j, np.array([object()]), np.zeros(2, [("mean", "f8"), ("n", "i4")])],
    ids=["object", "complex", "array of objects", "array of records"],
)
def test_what_could_not_be_read_back_is_refused(thing: Any) -> None:
    with pytest.raises(StateError, match="cannot hold"):
        pack({"thing": thing})


def test_what_is_unpacked_cannot_be_written() -> None:
    array = unpack(pack(np.arange(3)))
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
