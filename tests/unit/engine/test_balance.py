from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from streamflow.engine.balance import Balance


def full() -> Balance:
    return Balance(
        received=10,
        decoded=8,
        dead=2,
        readings=8,
        created=2,
        out=3,
        merged=1,
        held=1,
        redelivered=1,
        rejected=Counter({("map", "late"): 3, ("detect", "x"): 1}),
        flagged=Counter({("t", "invalid"): 5}),
    )


def test_a_balance_adds_up_in_both_lines() -> None:
    assert Balance().adds_up
    assert full().adds_up


@pytest.mark.parametrize(
    "field",
    ["received", "decoded", "dead", "redelivered", "readings", "created", "out", "merged", "held"],
)
@pytest.mark.parametrize("by", [1, -1])
def test_one_more_or_less_anywhere_is_noticed(field: str, by: int) -> None:
    balance = full()
    setattr(balance, field, getattr(balance, field) + by)
    assert not balance.adds_up
    assert balance.lines()[-1] == "THE BALANCE DOES NOT ADD UP"


def test_a_rejected_reading_more_is_noticed() -> None:
    balance = full()
    balance.reject("map", "late")
    assert not balance.adds_up


def test_it_is_told_in_words_and_leaves_out_what_is_nothing() -> None:
    assert full().lines() == [
        "messages  10 received = 8 decoded + 2 dead",
        "readings  8 in + 2 created = 3 out + 1 merged + 4 rejected + 1 held + 1 redelivered",
    ]
    assert Balance().lines() == ["messages  0 received = 0 decoded", "readings  0 in = 0 out"]


def test_shares_of_shards_add_up() -> None:
    total = Balance()
    for _ in range(2):
        total.add(full())
    assert (total.received, total.out, total.rejected["map", "late"]) == (20, 6, 6)
    assert total.flagged == {("t", "invalid"): 10}
    assert total.adds_up


def test_adding_leaves_the_other_as_it_was() -> None:
    other, total = full(), Balance()
    total.add(other)
    total.reject("map", "late")
    assert other.rejected["map", "late"] == 3


def test_it_survives_json() -> None:
    tree: Any = json.loads(json.dumps(full().tree()))
    assert Balance.from_tree(tree) == full()


def test_a_tree_does_not_change_when_the_balance_does() -> None:
    balance = full()
    tree = balance.tree()
    balance.reject("map", "late")
    assert Balance.from_tree(tree) == full()


def test_reasons_without_end_do_not_fill_memory_and_are_all_counted() -> None:
    balance = Balance()
    for i in range(1000):
        balance.reject("map", f"value {i} is odd")
    assert balance.rejected.total() == 1000
    assert len(balance.rejected) < 200
    assert balance.rejected["map", "other reasons"] > 800


def test_the_worst_devices_are_named_with_what_was_wrong_with_them() -> None:
    balance = Balance()
    balance.flag("bar", "out_of_range", {"p1": 7, "p2": 1})
    balance.flag("bar", "imputed", {"p1": 2})
    balance.reject("reorder", "late", 3, device="p2")
    assert balance.quality() == [
        "flagged   bar: 8 out_of_range, 2 imputed",
        "rejected  reorder: 3 late",
        "worst     p1: bar: 7 out_of_range, 2 imputed",
        "worst     p2: reorder: 3 late; bar: 1 out_of_range",
    ]
    again = Balance.from_tree(json.loads(json.dumps(balance.tree())))
    assert again.by_device == balance.by_device
    assert again.quality() == balance.quality()


def test_the_worst_device_is_kept_among_any_number_of_others() -> None:
    balance = Balance()
    for i in range(20_000):
        balance.flag("bar", "stuck", {f"p{i}": 1, "bad": 1})
    assert len(balance.by_device) <= 1_000
    assert balance.by_device["bad", "bar", "stuck"] == 20_000
    assert balance.flagged["bar", "stuck"] == 40_000


def test_what_many_things_are_wrong_with_is_told_in_few_lines() -> None:
    balance = Balance()
    for i in range(50):
        balance.flag(f"s{i}", "stuck", {f"p{i}": i + 1})
        balance.flag("s0", f"kind {i}", {"p0": 1})
    assert len(balance.quality()) == 10
    assert any("and 46 more" in line for line in balance.quality())


def test_a_forgotten_device_leaves_no_name() -> None:
    balance = Balance()
    balance.flag("bar", "stuck", {"p1": 2, "p2": 1})
    balance.forget(["p1"])
    assert "p1" not in json.dumps(balance.tree())
    assert balance.flagged["bar", "stuck"] == 3
