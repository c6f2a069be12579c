from __future__ import annotations

import numpy as np

from streamflow import Batch
from streamflow.core.index import NEVER, Index


def of(devices: list[str], *names: str) -> Batch:
    """A batch over a vocabulary that others may share."""
    device = np.array([devices.index(name) for name in names], np.int32)
    time = np.zeros(len(names), np.int64)
    return Batch(devices, device, time, time, {})


def located(index: Index, batch: Batch) -> list[str]:
    rows, _ = index.locate(batch)
    return [index.names[row] for row in rows.tolist()]


def test_each_device_gets_one_row_whatever_the_vocabulary() -> None:
    index = Index()
    first, new = index.locate(of(["a", "b"], "a", "b", "a"))
    assert (first.tolist(), new) == ([0, 1, 0], [0, 1])
    again, new = index.locate(of(["b", "c", "a"], "a", "c", "b"))
    assert (again.tolist(), new) == ([0, 2, 1], [2])
    assert len(index) == 3


def test_new_devices_are_told_once_and_in_order_of_arrival() -> None:
    devices = ["a", "b", "c"]
    index = Index()
    _, new = index.locate(of(devices, "c", "a", "c"))
    assert [index.names[row] for row in new] == ["c", "a"]
    assert index.locate(of(devices, "a", "c"))[1] == []


def test_a_vocabulary_may_grow_after_it_was_first_seen() -> None:
    index, devices = Index(), ["a"]
    index.locate(of(devices, "a"))
    devices += ["b", "c", "d"]
    assert located(index, of(devices, "d", "a", "b")) == ["d", "a", "b"]


def test_more_vocabularies_than_it_remembers_are_still_right() -> None:
    index = Index()
    vocabularies = [[f"d{i}", "shared"] for i in range(40)]
    for _ in range(3):
        for i, devices in enumerate(vocabularies):
            assert located(index, of(devices, "shared", f"d{i}")) == ["shared", f"d{i}"]
    assert len(index) == 41


def test_many_devices_make_room() -> None:
    names = [f"d{i}" for i in range(500)]
    index = Index()
    assert located(index, of(names, *names)) == names
    assert len(index.seen) >= 500


def test_an_erased_device_is_unknown_and_its_row_goes_to_the_next() -> None:
    index, devices = Index(), ["a", "b", "c"]
    index.locate(of(devices, "a", "b", "c"))
    index.erase([1])
    assert (index.row("b"), len(index)) == (None, 2)
    assert index.rows().tolist() == [0, 2]
    rows, new = index.locate(of(["x"], "x"))
    assert (rows.tolist(), new) == ([1], [1])
    assert index.names == ["a", "x", "c"]


def test_rows_are_reused_from_the_lowest() -> None:
    index = Index()
    for name in "abcd":
        index.add(name)
    index.erase([3, 0, 2])
    assert [index.add(name) for name in "xyz"] == [0, 2, 3]


def test_a_known_vocabulary_does_not_lead_to_an_erased_row() -> None:
    index, devices = Index(), ["a", "b"]
    index.locate(of(devices, "a", "b"))
    index.erase([0])
    index.add("x")
    assert located(index, of(devices, "a", "b")) == ["a", "b"]
    assert index.row("a") == 2


def test_names_handed_out_before_an_erasure_stay_as_they_were() -> None:
    index = Index()
    index.locate(of(["a", "b"], "a", "b"))
    before = index.names
    index.erase([0])
    index.add("x")
    assert before == ["a", "b"]
    assert index.names == ["x", "b"]


def test_restore_starts_over() -> None:
    index = Index()
    index.add("old")
    index.restore(["a", "b"], [5, 6])
    assert (index.row("old"), index.row("b"), len(index)) == (None, 1, 2)
    assert index.seen[:2].tolist() == [5, 6]
    assert index.add("c") == 2


def test_among_many_devices_a_row_is_reused_only_when_many_are_free() -> None:
    names = [f"d{i}" for i in range(100)]
    index = Index()
    index.locate(of(names, *names))
    before = index.names
    index.erase([7])
    assert index.names is before
    assert index.add("x") == 100
    index.erase(list(range(10, 25)))
    assert index.names is not before
    assert before[7] == "d7"
    assert [index.add(name) for name in ("y", "z")] == [7, 10]


def test_a_device_that_comes_back_before_its_row_is_free_is_new() -> None:
    names = [f"d{i}" for i in range(100)]
    index = Index()
    index.locate(of(names, *names))
    index.seen[:100] = 5
    index.erase([7])
    assert (len(index), index.row("d7"), index.seen[7]) == (99, None, NEVER)
    assert 7 not in index.rows()
    rows, new = index.locate(of(names, "d6", "d7", "d8", "d7"))
    assert (rows.tolist(), new) == ([6, 100, 8, 100], [100])
    assert index.locate(of(names, "d7"))[1] == []


def test_the_devices_known_are_those_of_the_rows_in_use() -> None:
    names = [f"d{i}" for i in range(20)]
    index = Index()
    index.locate(of(names, *names))
    assert index.devices() == names
    index.erase([0, 19])
    index.add("x")
    assert index.devices() == [index.names[row] for row in index.rows()]
    assert set(index.devices()) == {*names[1:19], "x"}


def test_a_list_of_devices_is_not_the_index_s_own() -> None:
    index = Index()
    index.add("a")
    known = index.devices()
    index.add("b")
    assert known == ["a"]


def test_a_name_that_a_vocabulary_holds_twice_is_one_device() -> None:
    devices = ["a", "b", "a"]
    time = np.zeros(3, np.int64)
    index = Index()
    rows, new = index.locate(Batch(devices, np.arange(3, dtype=np.int32), time, time, {}))
    assert (rows.tolist(), new) == ([0, 1, 0], [0, 1])


def test_devices_that_come_and_go_take_no_more_rows_than_a_few_spare_ones() -> None:
    index = Index()
    for turn in range(50):
        names = [f"{turn}-{i}" for i in range(100)]
        rows, _ = index.locate(of(names, *names))
        index.erase(rows[:90].tolist())
        assert located(index, of(names, *names[90:])) == names[90:]
        index.erase([row for name in names[90:] if (row := index.row(name)) is not None])
    assert len(index) == 0
    assert len(index.names) <= 120
