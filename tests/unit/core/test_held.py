from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamflow import Batch, Words
from streamflow.core.held import Held

DEVICES = ["a", "b"]


def batch(
    *times: int, site: str | None = None, flags: int | None = None, devices: Any = None
) -> Batch:
    n = len(times)
    words = Words(np.zeros(n, np.int32), [site]) if site else Words(np.full(n, -1, np.int32), [])
    quality = {} if flags is None else {"t": np.full(n, flags, np.uint16)}
    time = np.array(times, np.int64)
    device = np.zeros(n, np.int32) if devices is None else np.array(devices, np.int32)
    return Batch(DEVICES, device, time, time + 5, {"t": time / 2}, {"site": words}, quality)


def test_readings_keep_columns_tags_and_flags_whatever_came_before_or_after() -> None:
    held = Held()
    first, second = held.put(batch(1, 2, site="north")), held.put(batch(3, site="south", flags=4))
    third = held.put(batch(4))
    out = held.take(np.concatenate([third, second, first]), DEVICES)
    assert out.time.tolist() == [4, 3, 1, 2]
    assert out.arrived.tolist() == [9, 8, 6, 7]
    assert out["t"].tolist() == [2.0, 1.5, 0.5, 1.0]
    assert out.tags["site"].list() == [None, "south", "north", "north"]
    assert out.flags("t").tolist() == [0, 4, 0, 0]


def test_a_slot_that_was_freed_keeps_nothing_of_its_last_reading() -> None:
    held = Held()
    held.take(held.put(batch(1, site="north", flags=4)), DEVICES)
    out = held.take(held.put(batch(2)), DEVICES)
    assert out.tags["site"].list() == [None]
    assert out.quality == {}


def test_words_are_forgotten_once_no_slot_has_them() -> None:
    held = Held()
    kept = held.put(batch(0, site="kept"))
    for i in range(1000):
        slots = held.put(batch(i, site=f"id {i}"))
        assert held.take(slots, DEVICES).tags["site"].list() == [f"id {i}"]
    known = held.look(kept, DEVICES).tags["site"]
    assert known.list() == ["kept"]
    assert len(known.vocabulary) < 200


def test_a_vocabulary_may_grow_while_it_is_used() -> None:
    held, words = Held(), ["north"]
    one = batch(1)
    held.put(one.replace(tags={"site": Words(np.array([0], np.int32), words)}))
    words.append("south")
    slots = held.put(one.replace(tags={"site": Words(np.array([1], np.int32), words)}))
    assert held.look(slots, DEVICES).tags["site"].list() == ["south"]


def test_room_is_given_back_after_a_peak() -> None:
    held = Held()
    slots = held.put(batch(*range(10_000)))
    assert len(held.time) >= 10_000
    held.free(slots)
    assert (len(held), len(held.time)) == (0, 0)
    assert held.take(held.put(batch(7)), DEVICES).time.tolist() == [7]


def test_the_oldest_arrival_is_that_of_those_still_held() -> None:
    held = Held()
    slots = held.put(batch(3, 1, 2))
    assert held.oldest() == 6
    held.free(slots[1:2])
    assert held.oldest() == 7
    held.free(slots[[0, 2]])
    assert held.oldest() is None


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_it_is_a_list_from_which_any_may_be_taken(data: st.DataObject) -> None:
    held, listed, now = Held(), {}, 0
    for _ in range(data.draw(st.integers(1, 12))):
        n = data.draw(st.integers(1, 90))
        slots = held.put(batch(*range(now, now + n), devices=[i % 2 for i in range(n)]))
        listed |= dict(zip(slots.tolist(), range(now, now + n), strict=True))
        now += n
        gone = data.draw(st.lists(st.sampled_from(sorted(listed)), unique=True, max_size=100))
        out = held.take(np.array(gone, np.intp), DEVICES)
        assert out.time.tolist() == [listed.pop(slot) for slot in gone]
        assert len(held) == len(listed)
        assert held.time[held.slots()].tolist() == sorted(listed.values())
        of_b = held.of(np.array([1]))
        assert sorted(of_b.tolist()) == sorted(s for s in listed if held.device[s] == 1)


def test_links_survive_growth() -> None:
    held = Held()
    slots = held.put(batch(1, 2))
    held.links[slots] = [[7, 8], [9, 10]]
    held.put(batch(*range(500)))
    assert held.links[slots].tolist() == [[7, 8], [9, 10]]


def test_columns_come_out_in_the_order_they_came_in() -> None:
    names = [f"c{i}" for i in range(20)]
    row = {"device": "a", "time": 0} | dict.fromkeys(names, 1.0)
    held = Held()
    out = held.take(held.put(Batch.of([row], names)), ["a"])
    assert list(out.columns) == names
