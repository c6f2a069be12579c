"""Every way to fill a gap: what it fills with, when it does not, and that it is flagged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamflow import Batch, Flow, Impute, Sensor, Validate
from streamflow.engine.shard import Shard
from streamflow.errors import FlowError

FLOW = Flow("test", sensors={"t": Sensor(high=1000), "p": Sensor()})
SECOND = 10**9
HOUR = 3600
WAYS = ["last", "linear", "mean", "median", "seasonal", "regression"]


def imputed(impute: Impute, *readings: tuple[float, Any], flow: Flow = FLOW) -> list[Any]:
    """The values of t; those that were filled in are in a tuple."""
    result = (flow | impute).replay([{"device": "a", "time": s, "t": t} for s, t in readings])
    assert result.balance.adds_up
    rows = list(result.rows.rows())
    assert [row["time"] for row in rows] == [round(s * SECOND) for s, _ in readings]
    flagged = ["imputed" in row.get("quality", {}).get("t", []) for row in rows]
    return [(row["t"],) if flag else row["t"] for row, flag in zip(rows, flagged, strict=True)]


def test_linear_draws_a_line_by_event_time_to_the_next_good_value() -> None:
    got = imputed(Impute("1m", by="linear"), (0, 10), (5, None), (8, None), (10, 30), (11, None))
    assert got == [10.0, (20.0,), (26.0,), 30.0, None]


def test_linear_leaves_a_gap_that_is_too_long_open_everywhere() -> None:
    got = imputed(Impute("20s", by="linear"), (0, 1), (5, None), (15, None), (21, 2), (22, 3))
    assert got == [1.0, None, None, 2.0, 3.0]
    long = [(0.0, 1.0), *((i / 10, None) for i in range(1, 102)), (10.2, 2.0)]
    assert set(imputed(Impute("1h", by="linear"), *long)[1:-1]) == {None}
    assert len(imputed(Impute("1h", by="linear"), *long[:100], (10.2, 2.0))[1]) == 1


def test_linear_does_not_take_a_flagged_value_for_an_end() -> None:
    flow = FLOW | Validate()
    got = imputed(Impute("1m", by="linear"), (0, 1), (1, 2000), (2, 2001), (3, 4), flow=flow)
    assert got == [1.0, (2.0,), (3.0,), 4.0]


def test_linear_passes_over_a_value_that_came_late() -> None:
    got = imputed(Impute("1m", by="linear"), (10, 1), (14, None), (12, 9), (20, 11))
    assert got == [1.0, (5.0,), 9.0, 11.0]


def test_linear_holds_a_gap_back_and_lets_it_go_when_it_ends_or_has_lasted() -> None:
    shard = Shard((FLOW | Impute("10s", by="linear")).plan())
    give = [("a", 0, 1.0), ("a", 1, None), ("b", 1, None), ("a", 2, None)]
    rows = [
        {"device": d, "time": s * SECOND, **({} if t is None else {"t": t})} for d, s, t in give
    ]
    (first,) = shard.on_batch(Batch.of(rows, ["t", "p"])).rows
    assert [first.name(i) for i in range(len(first))] == ["a", "b"]
    assert shard.balance.held == 2
    assert shard.on_tick(10 * SECOND).rows == []
    (due,) = shard.on_tick(11 * SECOND).rows
    assert (len(due), shard.balance.held) == (1, 1)
    end = Batch.of(
        [{"device": "a", "time": 4 * SECOND, "arrived": 11 * SECOND, "t": 5.0}], ["t", "p"]
    )
    (rest,) = shard.on_batch(end).rows
    assert rest["t"].tolist() == [3.0, 5.0]


def test_mean_and_median_are_those_of_the_last_32_good_values() -> None:
    values = np.random.default_rng(1).normal(20, 5, 100).tolist()
    readings = [*enumerate(values), (100, None)]
    *_, mean = imputed(Impute("1m", by="mean"), *readings)
    *_, median = imputed(Impute("1m", by="median"), *readings)
    assert mean == pytest.approx((np.mean(values[-32:]),))
    assert median == pytest.approx((np.median(values[-32:]),))
    short = [(0, 1.0), (1, 5.0), (2, 3.0), (3, None)]
    assert imputed(Impute("1m", by="median"), *short)[3] == (3.0,)
    assert imputed(Impute("1m", by="mean"), *short[:2], (2, None))[2] == (3.0,)


def days(n: int, at: int = 0) -> list[tuple[float, float]]:
    """A value each half hour: the hour of the day, plus the day."""
    halves = range(48 * n)
    return [(at + i * HOUR / 2, float((i // 2) % 24 + i // 48)) for i in halves]


def test_seasonal_fills_with_what_the_hour_was_on_the_days_before() -> None:
    known = days(2)
    got = imputed(Impute("2d", by="seasonal"), *known, (48 * HOUR + 600, None), (52 * HOUR, None))
    assert got[-2:] == [(0.5,), (4.5,)]


def test_seasonal_knows_nothing_on_the_first_day() -> None:
    got = imputed(Impute("2d", by="seasonal"), *days(1)[:20], (11 * HOUR, None))
    assert got[-1] is None


@pytest.mark.parametrize(("timezone", "then"), [("UTC", 9), ("Europe/Berlin", 8)])
def test_seasonal_goes_by_the_clocks_of_the_flow(timezone: str, then: int) -> None:
    # Clocks in Berlin go forward on 2026-03-29: what was 9 h UTC is 8 h UTC from then on.
    midnight = 1_774_569_600  # 2026-03-27
    flow = Flow("test", sensors=["t", "p"], timezone=timezone)
    utc = [(midnight + i * HOUR, float(i % 24)) for i in range(48)]
    after = midnight + (3 * 24 + then) * HOUR
    got = imputed(Impute("7d", by="seasonal"), *utc, (after, None), flow=flow)
    assert got[-1] == (9.0,)


def pairs(n: int, noise: float) -> list[dict[str, Any]]:
    rng = np.random.default_rng(2)
    p = rng.normal(5, 1, n)
    t = 3 * p + 2 + rng.normal(0, noise, n)
    return [
        {"device": "a", "time": i, "t": a, "p": b}
        for i, (a, b) in enumerate(zip(t.tolist(), p.tolist(), strict=True))
    ]


def test_regression_tells_a_sensor_from_the_one_beside_it_in_either_direction() -> None:
    rows = [*pairs(200, 0.01), {"device": "a", "time": 200, "p": 7.0}]
    rows.append({"device": "a", "time": 201, "t": 20.0})
    got = (FLOW | Impute("1m", by="regression")).replay(rows).rows
    assert got["t"][200] == pytest.approx(23, abs=0.1)
    assert got["p"][201] == pytest.approx(6, abs=0.1)
    assert got.flags("t")[200] == got.flags("p")[201] == 8


@pytest.mark.parametrize(("n", "noise"), [(29, 0.01), (200, 30.0)])
def test_regression_fills_nothing_from_what_explains_little_or_is_hardly_known(
    n: int, noise: float
) -> None:
    rows = [*pairs(n, noise), {"device": "a", "time": n, "p": 7.0}]
    assert np.isnan((FLOW | Impute("1m", by="regression")).replay(rows).rows["t"][n])


def test_regression_looks_at_the_best_that_is_there() -> None:
    flow = Flow("test", sensors=["t", "p", "q"])
    rng = np.random.default_rng(3)
    rows = [{**row, "q": row["t"] + rng.normal(0, 2)} for row in pairs(300, 0.01)]
    rows += [
        {"device": "a", "time": 300, "p": 7.0, "q": 99.0},
        {"device": "a", "time": 301, "q": 17.0},
    ]
    got = (flow | Impute("1m", by="regression")).replay(rows).rows["t"]
    assert got[300] == pytest.approx(23, abs=0.1)
    assert got[301] == pytest.approx(17, abs=1)


@pytest.mark.parametrize("by", WAYS)
def test_a_gap_longer_than_hold_and_the_time_before_all_values_stay_empty(by: str) -> None:
    readings = [(0, None), *days(3, at=10), (10 * 24 * HOUR, None)]
    rows = [{"device": "a", "time": s, "t": t, "p": 2 if t is None else 2 * t} for s, t in readings]
    got = (FLOW | Impute("1d", by=by)).replay(rows).rows["t"]
    assert np.isnan(got[[0, -1]]).all()


@pytest.mark.parametrize("by", WAYS)
def test_what_was_filled_in_teaches_nothing(by: str) -> None:
    """A second step of the same kind sees only flagged values in the gap, and learns none."""
    readings = [*days(3), *((74 * HOUR + i, None) for i in range(40)), (75 * HOUR, 4.0)]
    last = (75.5 * HOUR, None)
    twice = FLOW | Impute("2d", by=by) | Impute("2d", by="mean", name="second")
    rows = [{"device": "a", "time": s, "t": t, "p": s} for s, t in [*readings, last]]
    once = [row for row in rows if row["t"] is not None or row is rows[-1]]
    way = FLOW | Impute("2d", by=by)
    assert way.replay(rows).rows["t"][-1].tobytes() == way.replay(once).rows["t"][-1].tobytes()
    assert twice.replay(rows).rows["t"][-1].tobytes() == twice.replay(once).rows["t"][-1].tobytes()


@pytest.mark.parametrize(
    ("impute", "sentence"),
    [
        (Impute("1h", by="linaer"), "step 'impute': no way by='linaer'; did you mean 'linear'?"),
        (Impute("0s", by="linear"), "hold='0s' is no time to draw a line in"),
        (Impute("1x", by="mean"), "'1x' is not a duration"),
        (Impute("1h", ["t"], by="regression"), "regression needs another sensor to look at"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(impute: Impute, sentence: str) -> None:
    with pytest.raises(FlowError) as error:
        (FLOW | impute).plan()
    assert sentence in str(error.value)


def test_a_river_imputer_has_a_way_of_its_own() -> None:
    from river import preprocessing

    with pytest.raises(FlowError, match="a River imputer needs no by='mean'"):
        (FLOW | Impute(preprocessing.PreviousImputer(), by="mean")).plan()
