from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamflow import Batch, Deduplicate, Flow
from streamflow.errors import FlowError
from streamflow.stages.deduplicate import _ids

FLOW = Flow("test", sensors=["t", "p"], tags=["id"])


def passed(stage: Deduplicate, *rows: dict[str, Any]) -> list[int]:
    """The numbers of the rows that went on; the others were rejected as duplicates."""
    batch = Batch.of([{"device": "a", **row} for row in rows], ["t", "p"], ["id"])
    batch = batch.replace(arrived=np.arange(len(rows)))
    result = (FLOW | stage).replay(batch)
    assert {row["reason"] for row in result.rejected} <= {"duplicate"}
    assert len(result.rows) + len(result.rejected) == len(rows)
    return [int(number) for number in result.rows.arrived]


def test_the_same_time_and_values_are_the_same_reading() -> None:
    one = {"time": 5, "t": 1.0, "p": 2.0}
    assert passed(Deduplicate(), one, {**one, "time": 6}, one, {**one, "p": 2.5}) == [0, 1, 3]


def test_values_are_compared_bit_for_bit() -> None:
    values = [0.0, -0.0, 0.1 + 0.2, 0.3, float("inf"), -float("inf")]
    rows = [{"time": 5, "t": value, "p": 1.0} for value in values]
    assert passed(Deduplicate(), *rows, *rows) == list(range(len(values)))


def test_a_missing_value_equals_a_missing_one_and_nothing_else() -> None:
    nan = np.array([0x7FF8000000000001], np.uint64).view(np.float64)[0]
    rows = [{"time": 5, "t": 1.0}, {"time": 5, "t": 1.0, "p": nan}, {"time": 5, "p": 1.0}]
    assert passed(Deduplicate(), *rows) == [0, 2]


def test_the_way_a_reading_came_does_not_make_it_another() -> None:
    one = {"time": 5, "t": 1.0, "p": 1.0}
    assert passed(Deduplicate(), {**one, "id": "gateway 1"}, {**one, "id": "gateway 2"}) == [0]


def test_other_devices_may_say_the_same() -> None:
    one = {"time": 5, "t": 1.0}
    assert passed(Deduplicate(), one, {**one, "device": "b"}, one) == [0, 1]


def test_an_id_makes_the_same_message_whatever_it_holds() -> None:
    rows = [{"time": 1, "id": "x"}, {"time": 2, "id": "y"}, {"time": 3, "id": "x"}]
    assert passed(Deduplicate(by="id"), *rows) == [0, 1]


def test_a_reading_without_an_id_passes() -> None:
    assert passed(Deduplicate(by="id"), *[{"time": 1}] * 3) == [0, 1, 2]
    assert passed(Deduplicate(by="t"), *[{"time": 1}] * 2, *[{"time": 1, "t": 7.0}] * 2) == [
        0,
        1,
        2,
    ]


def test_no_two_ids_of_many_are_taken_for_one() -> None:
    count = 40_000
    ids = [f"{prefix}{i}" for i in range(count) for prefix in ("", "a", "é", "\U0001f600")]
    rows = Batch.of([{"device": "a", "time": 0, "id": word} for word in ids], [], ["id"])
    keys, known = _ids(rows, "id")
    assert known.all()
    assert len(np.unique(keys, axis=0)) == len(ids)


def test_the_border_between_ids_counts() -> None:
    batch = Batch.of(
        [{"device": "a", "time": 0, "id": w} for w in ("ab", "a", "b", "")], [], ["id"]
    )
    assert len(np.unique(_ids(batch, "id")[0], axis=0)) == 4


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    window=st.integers(1, 5),
    times=st.lists(st.integers(0, 8), min_size=1, max_size=60),
    by=st.sampled_from([None, "id"]),
)
def test_it_is_exact_within_its_window(window: int, times: list[int], by: str | None) -> None:
    last, expected = deque[int](maxlen=window), []
    for i, time in enumerate(times):
        if time not in last:
            expected.append(i)
            last.append(time)
    rows = [{"time": time, "t": 1.0, "id": str(time)} for time in times]
    assert passed(Deduplicate(window=window, by=by), *rows) == expected


def test_memory_is_sixteen_bytes_for_each_reading_of_the_window() -> None:
    assert Deduplicate(window=64).bytes_per_device == 64 * 16 + 16


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        (Deduplicate(by="idd"), "by names 'idd', which is no tag and no column here; did you mean"),
        (Deduplicate(window=0), "step 'deduplicate': window=0; a number of readings, 1 to 65,536"),
        (Deduplicate(window=10**6), "window=1000000; a number of readings, 1 to 65,536"),
        (Deduplicate(window="10m"), "window='10m'; a number of readings"),  # type: ignore[arg-type]
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(stage: Deduplicate, sentence: str) -> None:
    with pytest.raises(FlowError) as error:
        (FLOW | stage).plan()
    assert sentence in str(error.value)
