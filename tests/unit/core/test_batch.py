from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from streamflow import Batch, Quality, Words

NAN = float("nan")


def batch(*rows: tuple[str, int, float], site: str | None = "north") -> Batch:
    dicts = [{"device": d, "time": t, "arrived": t + 5, "t": v, "site": site} for d, t, v in rows]
    return Batch.of(dicts, ["t"], ["site"])


ABA = batch(("a", 1, 10.0), ("b", 2, 20.0), ("a", 3, 30.0))


def test_of_takes_what_is_absent_as_missing() -> None:
    made = Batch.of([{"device": "a", "time": 1}], ["t"], ["site"])
    assert list(made.rows()) == [{"device": "a", "time": 1, "site": None, "t": None}]


def test_of_a_reading_without_arrival_arrived_at_its_event_time() -> None:
    assert Batch.of([{"device": "a", "time": 7}], []).arrived.tolist() == [7]


def test_of_no_rows_still_has_its_columns_and_tags() -> None:
    none = Batch.of([], ["t"], ["site"])
    assert len(none) == 0
    assert list(none.columns) == ["t"]
    assert list(none.tags) == ["site"]
    assert list(none.rows()) == []


def test_it_is_frozen() -> None:
    with pytest.raises(AttributeError):
        ABA.time = ABA.time  # type: ignore[misc]


def test_it_cannot_be_hashed_for_it_compares_by_value() -> None:
    with pytest.raises(TypeError):
        hash(ABA)


def test_equal_is_equal_row_by_row_whatever_the_vocabulary() -> None:
    wide = ABA.replace(devices=["b", "x", "a"], device=np.array([2, 0, 2], np.int32))
    assert wide == ABA


def test_nan_equals_nan_but_not_a_number() -> None:
    assert batch(("a", 1, NAN)) == batch(("a", 1, NAN))
    assert batch(("a", 1, NAN)) != batch(("a", 1, 0.0))


@pytest.mark.parametrize(
    "other",
    [
        batch(("a", 1, 10.0), ("b", 2, 20.0), ("a", 3, 31.0)),
        batch(("a", 1, 10.0), ("b", 2, 20.0), ("c", 3, 30.0)),
        batch(("a", 1, 10.0), ("b", 2, 20.0), ("a", 4, 30.0)),
        batch(("a", 1, 10.0), ("b", 2, 20.0)),
        batch(("a", 1, 10.0), ("b", 2, 20.0), ("a", 3, 30.0), site="south"),
        ABA.mark("t", np.array([True, False, False]), Quality.IMPUTED),
        ABA.reject(np.array([True, False, False]), "why"),
        None,
    ],
)
def test_not_equal_when_anything_in_a_row_differs(other: Any) -> None:
    assert other != ABA


def test_take_by_mask_keeps_everything_of_the_readings_taken() -> None:
    marked = ABA.mark("t", np.array([False, True, False]), Quality.IMPUTED)
    rejected = marked.reject(np.array([False, True, False]), "late")
    (row,) = rejected.take(np.array([False, True, False])).rows()
    assert row == {
        "device": "b",
        "time": 2,
        "site": "north",
        "t": 20.0,
        "quality": {"t": ["imputed"]},
        "reason": "late",
    }


def test_take_by_positions_may_reorder_and_keeps_arrivals() -> None:
    turned = ABA.take(np.array([2, 0]))
    assert turned.time.tolist() == [3, 1]
    assert turned.arrived.tolist() == [8, 6]


def test_take_leaves_the_batch_as_it_was() -> None:
    before = list(ABA.rows())
    ABA.take(np.array([0]))
    assert list(ABA.rows()) == before


def test_groups_are_by_device_and_in_order_within_one() -> None:
    order, start, device = ABA.groups
    assert order.tolist() == [0, 2, 1]
    assert start.tolist() == [0, 2, 3]
    assert [ABA.devices[code] for code in device] == ["a", "b"]


def test_groups_of_no_readings() -> None:
    order, start, device = Batch.of([], ["t"]).groups
    assert (order.tolist(), start.tolist(), device.tolist()) == ([], [0], [])


def test_replace_keeps_cached_groups_while_devices_stay() -> None:
    cached = ABA.groups
    assert ABA.with_columns({"x": ABA["t"]}).groups is cached
    assert ABA.mark("t", np.array([True, True, True]), 1).groups is cached


def test_replace_drops_cached_groups_when_devices_change() -> None:
    assert len(ABA.groups.device) == 2
    one = ABA.replace(device=np.zeros(3, np.int32))
    assert one.groups.device.tolist() == [0]
    assert ABA.take(np.array([0])).groups.order.tolist() == [0]


def test_replaced_columns_are_seen_only_in_the_new_batch() -> None:
    new = ABA.with_columns({"t": ABA["t"] + 1, "x": ABA["t"]})
    assert new["t"].tolist() == [11.0, 21.0, 31.0]
    assert list(new.columns) == ["t", "x"]
    assert list(ABA.columns) == ["t"]


def test_marks_add_up_and_do_not_reach_back() -> None:
    first = ABA.mark("t", np.array([True, True, False]), Quality.INVALID)
    both = first.mark("t", np.array([False, True, False]), Quality.IMPUTED)
    assert both.flags("t").tolist() == [1, 9, 0]
    assert first.flags("t").tolist() == [1, 1, 0]
    assert ABA.flags("t").tolist() == [0, 0, 0]


def test_rows_show_quality_only_where_a_value_is_not_good() -> None:
    marked = ABA.mark("t", np.array([False, True, False]), Quality.OUT_OF_RANGE)
    shown = [row.get("quality") for row in marked.rows()]
    assert shown == [None, {"t": ["out_of_range"]}, None]


def test_a_rejected_reading_keeps_its_first_reason() -> None:
    once = ABA.reject(np.array([True, False, False]), "first")
    twice = once.reject(np.array([True, True, False]), "second")
    assert twice.reason is not None
    assert twice.reason.list() == ["first", "second", None]
    assert once.reason is not None
    assert once.reason.list() == ["first", None, None]


def test_reject_each_gives_each_its_own_reason() -> None:
    rejected = ABA.reject_each({0: "x", 2: "y", 1: "x"})
    assert rejected.reason is not None
    assert rejected.reason.list() == ["x", "x", "y"]
    assert ABA.reject_each({}).reason is None


def test_cut_is_the_batch_in_two() -> None:
    head, tail = ABA.cut(1)
    assert (len(head), len(tail)) == (1, 2)
    assert Batch.concat([head, tail]) == ABA


def test_concat_over_one_vocabulary_keeps_codes() -> None:
    head, tail = ABA.cut(2)
    whole = Batch.concat([head, tail])
    assert whole.devices is ABA.devices
    assert whole == ABA


def test_concat_over_vocabularies_of_their_own() -> None:
    one, other = batch(("b", 1, 1.0), ("a", 2, 2.0)), batch(("c", 3, 3.0), ("b", 4, 4.0))
    whole = Batch.concat([one, other])
    assert [whole.name(i) for i in range(4)] == ["b", "a", "c", "b"]
    assert len(set(whole.device.tolist())) == 3
    assert whole.arrived.tolist() == [6, 7, 8, 9]


def test_concat_fills_flags_and_reasons_that_one_part_lacks() -> None:
    marked = batch(("a", 1, 1.0)).mark("t", np.array([True]), Quality.INVALID)
    rejected = batch(("b", 2, 2.0)).reject(np.array([True]), "late")
    whole = Batch.concat([marked, rejected, batch(("c", 3, 3.0))])
    assert whole.flags("t").tolist() == [1, 0, 0]
    assert whole.reason is not None
    assert whole.reason.list() == [None, "late", None]


def test_concat_of_one_is_itself() -> None:
    assert Batch.concat([ABA]) is ABA


def test_pickled_it_is_equal_and_keeps_what_rows_do_not_show() -> None:
    marked = ABA.mark("t", np.array([True, False, False]), Quality.INVALID)
    back = pickle.loads(pickle.dumps(marked.reject(np.array([False, True, False]), "late")))
    assert back == marked.reject(np.array([False, True, False]), "late")
    assert back.arrived.tolist() == marked.arrived.tolist()


def test_pickled_it_carries_only_the_names_it_uses() -> None:
    wide = Batch.of(
        [{"device": f"d{i}", "time": i, "site": f"s{i}"} for i in range(9)], [], ["site"]
    )
    back = pickle.loads(pickle.dumps(wide.take(np.array([7, 3, 7]))))
    assert list(back.devices) == ["d7", "d3"]
    assert list(back.tags["site"].vocabulary) == ["s7", "s3"]
    assert [back.name(i) for i in range(3)] == ["d7", "d3", "d7"]


def test_an_empty_batch_survives_pickling() -> None:
    back = pickle.loads(pickle.dumps(ABA.take(np.array([], np.intp))))
    assert len(back) == 0
    assert list(back.devices) == []


def test_words_know_missing_from_empty() -> None:
    words = Words.of(["", None, "a"])
    assert words.list() == ["", None, "a"]
    assert [words.at(i) for i in range(3)] == ["", None, "a"]


def test_compact_words_are_in_order_of_first_use_and_keep_missing() -> None:
    words = Words(np.array([3, -1, 1, 3], np.int32), ["a", "b", "c", "d"])
    compact = words.compact()
    assert list(compact.vocabulary) == ["d", "b"]
    assert compact.codes.tolist() == [0, -1, 1, 0]
    assert compact.list() == words.list()


def test_compact_of_missing_words_only() -> None:
    compact = Words(np.array([-1, -1], np.int32), ["a"]).compact()
    assert (compact.list(), list(compact.vocabulary)) == ([None, None], [])


def test_concat_words_share_one_vocabulary() -> None:
    whole = Words.concat([Words.of(["a", None]), Words.of(["b", "a"]), Words.of([])])
    assert whole.list() == ["a", None, "b", "a"]
    assert list(whole.vocabulary) == ["a", "b"]


def test_concat_heals_a_vocabulary_that_has_a_word_twice() -> None:
    doubled = Words(np.array([0, 1], np.int32), ["a", "a"])
    whole = Words.concat([doubled, Words.of(["a"])])
    assert len(set(whole.codes.tolist())) == 1


def test_readings_are_found_by_the_names_of_their_devices() -> None:
    rows = [{"device": name, "time": i, "t": 0.0} for i, name in enumerate("bab")]
    batch = Batch.of(rows, sensors=["t"])
    found = {name: at.tolist() for name, at in batch.by_device().items()}
    assert list(found.items()) == [("a", [1]), ("b", [0, 2])]
    assert batch.take(batch.device < 0).by_device() == {}
