from __future__ import annotations

from typing import Any

import pytest

from streamflow import Flow, Impute, Sensor, Validate
from streamflow.errors import FlowError

FLOW = Flow("test", sensors=["t", "p"])
Reading = tuple[int, float | str | None]


def imputed(impute: Impute, *readings: Reading, flow: Flow = FLOW) -> list[tuple[Any, bool]]:
    """Value of t, and whether it is flagged as imputed."""
    result = (flow | impute).replay([{"device": "a", "time": i, "t": t} for i, t in readings])
    listed = list(result.rows.rows())
    return [(row["t"], "imputed" in row.get("quality", {}).get("t", [])) for row in listed]


def test_the_last_good_value_fills_a_gap_and_is_flagged() -> None:
    got = imputed(Impute(hold="1m"), (0, 5.0), (1, None), (2, 7.0), (3, None), (4, None))
    assert got == [(5.0, False), (5.0, True), (7.0, False), (7.0, True), (7.0, True)]


def test_before_the_first_good_value_there_is_nothing_to_fill_with() -> None:
    assert imputed(Impute(hold="1m"), (0, None), (1, 5.0)) == [(None, False), (5.0, False)]


def test_a_value_serves_until_it_is_exactly_hold_old() -> None:
    got = imputed(Impute(hold="10s"), (0, 5.0), (10, None), (11, None))
    assert got == [(5.0, False), (5.0, True), (None, False)]


def test_an_imputed_value_does_not_grow_young() -> None:
    got = imputed(Impute(hold="10s"), (0, 5.0), (6, None), (12, None))
    assert [value for value, _ in got] == [5.0, 5.0, None]


def test_hold_of_nothing_serves_the_same_moment_only() -> None:
    got = imputed(Impute(hold="0s"), (0, 5.0), (0, None), (1, None))
    assert [value for value, _ in got] == [5.0, 5.0, None]


def test_a_value_from_the_future_is_not_used() -> None:
    got = imputed(Impute(hold="1h"), (100, 5.0), (50, None), (101, None))
    assert [value for value, _ in got] == [5.0, None, 5.0]


def test_the_last_good_value_is_the_last_to_arrive() -> None:
    got = imputed(Impute(hold="1h"), (100, 5.0), (50, 6.0), (101, None))
    assert [value for value, _ in got] == [5.0, 6.0, 6.0]


def test_what_is_not_good_is_not_carried_on() -> None:
    flow = Flow("test", sensors={"t": Sensor(low=0, high=10), "p": Sensor()}) | Validate()
    got = imputed(Impute(hold="1h"), (0, 5.0), (1, 99.0), (2, float("inf")), (3, None), flow=flow)
    assert got == [(5.0, False), (5.0, True), (5.0, True), (5.0, True)]


def test_text_is_filled_and_keeps_saying_that_it_was_invalid() -> None:
    result = (FLOW | Impute(hold="1h")).replay(
        [{"device": "a", "time": 0, "t": 5.0}, {"device": "a", "time": 1, "t": "hot"}]
    )
    *_, last = result.rows.rows()
    assert (last["t"], last["quality"]) == (5.0, {"t": ["invalid", "imputed"]})


def test_devices_and_sensors_do_not_fill_each_other() -> None:
    result = (FLOW | Impute(hold="1h")).replay(
        [
            {"device": "a", "time": 0, "t": 1.0},
            {"device": "b", "time": 1, "p": 2.0},
            {"device": "a", "time": 2, "p": 3.0},
            {"device": "b", "time": 3},
        ]
    )
    got = [(row["device"], row["t"], row["p"]) for row in result.rows.rows()]
    assert got == [("a", 1.0, None), ("b", None, 2.0), ("a", 1.0, 3.0), ("b", None, 2.0)]


def test_only_the_sensors_named_are_filled() -> None:
    result = (FLOW | Impute(hold="1h", sensors=["p"])).replay(
        [{"device": "a", "time": 0, "t": 1.0, "p": 2.0}, {"device": "a", "time": 1}]
    )
    *_, last = result.rows.rows()
    assert (last["t"], last["p"]) == (None, 2.0)


def test_a_stream_without_gaps_passes_untouched() -> None:
    batch = FLOW.replay([{"device": "a", "time": i, "t": i, "p": i} for i in range(5)]).rows
    assert (FLOW | Impute(hold="1h")).replay(batch).rows == batch


@pytest.mark.parametrize(
    ("impute", "sentence"),
    [
        (Impute(hold="1x"), "'1x' is not a duration"),
        (Impute(hold=60), "60 is not a duration"),  # type: ignore[arg-type]
        (Impute(hold="1h", sensors=["tt"]), "step 'impute': sensors names the column 'tt'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(impute: Impute, sentence: str) -> None:
    with pytest.raises(FlowError) as error:
        (FLOW | impute).plan()
    assert sentence in str(error.value)
