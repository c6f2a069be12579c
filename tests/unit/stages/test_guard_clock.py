from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from streamflow import Alert, Batch, Flow, GuardClock, Reorder
from streamflow.engine.result import Result
from streamflow.errors import FlowError

SECOND = 10**9
NOW = 1_767_225_600 * SECOND  # 2026-01-01
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
FLOW = Flow("test", sensors=["t"])


def heard(
    *readings: tuple[float, float], stage: GuardClock | None = None, device: str = "a"
) -> Result:
    """(arrival, time), in seconds from now."""
    rows = [
        {"device": device, "arrived": NOW + round(a * SECOND), "time": NOW + round(t * SECOND)}
        for a, t in readings
    ]
    return (FLOW | (stage or GuardClock())).replay(Batch.of(rows, ["t"]))


def history(*seconds: float, start: int = NOW) -> Result:
    rows = [{"device": "a", "time": start + round(s * SECOND)} for s in seconds]
    return (FLOW | GuardClock()).replay(Batch.of(rows, ["t"]))


def times(result: Result) -> list[float]:
    return [(time - NOW) / SECOND for time in result.rows.time.tolist()]


def reasons(result: Result) -> list[tuple[str, str]]:
    return [(row["reason"], row["detail"]) for row in result.rejected]


def off(by: float, seconds: Sequence[float], delay: float = 1.0) -> list[tuple[float, float]]:
    """Readings of a clock that shows `by` seconds too much."""
    return [(s + delay, s + by) for s in seconds]


def test_a_clock_that_is_right_is_left_alone_whatever_the_delay() -> None:
    readings = [(1.0, 0.0), (70.0, 1.0), (70.0, 2.0), (71.0, 371.0)]
    result = heard(*readings)
    assert times(result) == [0, 1, 2, 371]
    assert result.rows["skew"].tolist() == [0, 0, 0, 0]
    assert (result.rejected, result.events) == ([], [])


def test_one_reading_from_the_future_is_rejected_and_nobody_else() -> None:
    readings = [*off(0, range(5)), (6.0, 5 + DAY), *off(0, range(6, 10))]
    result = heard(*readings)
    assert times(result) == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert reasons(result) == [("future", "23h59m")]


def test_a_fast_clock_is_corrected_from_its_third_reading() -> None:
    result = heard(*off(HOUR + 1000, range(6)))
    assert reasons(result) == [("future", "1h16m")] * 2
    # The least delayed reading is taken to have had no delay.
    assert times(result) == [3, 4, 5, 6]
    assert result.rows["skew"].tolist() == [HOUR + 999] * 4
    (event,) = result.events
    assert (event.kind, event.time) == ("clock", NOW + 3 * SECOND)
    assert event.fields == {"status": "fast", "skew": HOUR + 999, "was": 0.0, "time_zone": False}


def test_delay_does_not_make_a_corrected_time_wrong() -> None:
    delays = [40, 2, 90, 1, 200, 3]
    result = heard(*((10 * i + d, 10 * i + 7000.0) for i, d in enumerate(delays)))
    assert times(result) == [10 * i + 2 for i in (2, 3, 4, 5)]


def test_whole_hours_are_a_time_zone_and_corrected_to_the_nanosecond() -> None:
    for hours in (1, 2, -5, 13):
        seconds = [60.0 * i for i in range(40)]
        result = heard(*off(hours * HOUR, seconds, delay=20))
        assert result.rows["skew"][-1] == hours * HOUR
        assert times(result)[-1] == seconds[-1]
        assert result.events[-1].fields["time_zone"] is True
    assert heard(*off(15 * HOUR, range(4))).events[-1].fields["time_zone"] is False


def test_a_missed_change_to_summer_time_is_found_in_the_middle() -> None:
    minutes = [60.0 * i for i in range(60)]
    result = heard(*off(0, minutes[:30]), *off(HOUR, minutes[30:]))
    assert times(result) == [*minutes[:30], *minutes[32:]]
    assert result.events[0].fields["skew"] == HOUR


def test_a_clock_that_was_put_right_is_no_longer_corrected() -> None:
    result = heard(*off(2 * HOUR, range(5)), *off(0, range(5, 10)))
    assert times(result) == [2, 3, 4, 7, 8, 9]
    assert [event.fields["status"] for event in result.events] == ["fast", "right"]
    assert [why for why, _ in reasons(result)] == ["future"] * 2 + ["clock jumped"] * 2


def test_stored_readings_that_come_in_late_are_no_slow_clock() -> None:
    stored = [(1000 + i / 10, 60.0 * i - 4 * HOUR) for i in range(200)]
    result = heard(*stored)
    assert times(result) == [time for _, time in stored]
    assert result.events == []


def test_an_upload_of_the_last_quarter_of_an_hour_is_no_slow_clock() -> None:
    readings = [(900.0 * (k + 1), 900.0 * k + 60 * i) for k in range(8) for i in range(15)]
    assert times(heard(*readings)) == [time for _, time in readings]


def test_a_clock_that_stays_behind_by_the_same_is_slow() -> None:
    minutes = [60.0 * i for i in range(40)]
    result = heard(*off(-1000, minutes))
    assert times(result)[:20] == [m - 1000 for m in minutes[:20]]
    assert times(result)[20:] == [m + 1 for m in minutes[20:]]
    assert result.rejected == []


@pytest.mark.parametrize("start", [0, 315_964_800, 946_684_800])
def test_a_clock_that_was_never_set_is_corrected_once_readings_agree(start: int) -> None:
    minutes = [60.0 * i for i in range(40)]
    result = heard(*off(start - NOW / SECOND, minutes))
    assert {why for why, _ in reasons(result)} == {"clock not set"}
    assert times(result) == [m + 1 for m in minutes[20:]]


def test_a_clock_that_fell_back_by_years_is_corrected_too() -> None:
    minutes = [60.0 * i for i in range(40)]
    result = heard(*off(0, minutes[:5]), *off(-3000 * DAY, minutes[5:]))
    assert {why for why, _ in reasons(result)} == {"clock jumped"}
    assert times(result)[-1] == minutes[-1] + 1


def test_a_clock_that_stands_still_is_rejected_after_a_while() -> None:
    result = heard(*((60.0 * i, 0.0) for i in range(9)))
    assert times(result) == [0.0] * 6
    assert reasons(result) == [("clock stopped", f"{m}m") for m in (6, 7, 8)]


def test_equal_times_are_no_fault() -> None:
    assert len(heard((1, 0), (1.1, 0), (1.2, 0), (1.3, 1)).rows) == 4


def test_without_correction_what_cannot_be_is_rejected() -> None:
    result = heard(*off(HOUR, range(5)), *off(0, range(5, 7)), stage=GuardClock(correct=False))
    assert times(result) == [5, 6]
    assert [why for why, _ in reasons(result)] == ["future"] * 5


def test_history_knows_what_was_before_there_were_readings() -> None:
    result = history(0, 1, 2 - NOW / SECOND, 3)
    assert times(result) == [0, 1, 3]
    assert [why for why, _ in reasons(result)] == ["clock not set"]


def test_history_does_not_believe_one_reading_that_jumps_either_way() -> None:
    result = history(0, 1, 4000 * DAY, 2, -400 * DAY, 3)
    assert times(result) == [0, 1, 2, 3]
    assert reasons(result) == [("clock jumped", "3999d23h"), ("clock jumped", "400d2s")]


def test_history_believes_a_gap_at_its_third_reading() -> None:
    result = history(0, 1, 40 * DAY, 40 * DAY + 1, 40 * DAY + 2)
    assert times(result) == [0, 1, 40 * DAY + 2]


def test_history_says_nothing_of_a_skew() -> None:
    result = history(0, 1, HOUR, 2, 3 * DAY)
    assert times(result) == [0, 1, HOUR, 2, 3 * DAY]
    assert result.rows["skew"].tolist() == [0.0] * 5


def test_the_original_time_is_the_sum_of_time_and_skew() -> None:
    readings = off(7777.123456, [0.25 * i for i in range(8)])
    result = heard(*readings)
    rows = zip(result.rows.time.tolist(), result.rows["skew"].tolist(), strict=True)
    original = [time + round(skew * 1000) * 10**6 for time, skew in rows]
    assert original == [NOW + round(t * SECOND) for _, t in readings[2:]]


def test_rejected_readings_keep_the_time_they_said() -> None:
    result = heard((1.0, DAY))
    assert result.rejected[0]["time"] == NOW + round(DAY * SECOND)


def fleet(fast: float) -> Batch:
    rows: list[dict[str, Any]] = []
    for i in range(120):
        for device, by in (("fast", fast), ("a", 0.0), ("b", 0.0)):
            moment = NOW + i * SECOND
            rows.append(
                {
                    "device": device,
                    "time": moment + round(by * SECOND) - (i % 3) * SECOND,
                    "arrived": moment + SECOND // 2,
                    "t": 35.0 if 40 <= i < 60 else 20.0,
                }
            )
    return Batch.of(rows, ["t"])


@pytest.mark.parametrize("fast", [20 * 60.0, 3 * HOUR, 365 * DAY])
def test_a_fast_clock_changes_nothing_for_others_and_loses_two_readings_itself(fast: float) -> None:
    flow = FLOW | GuardClock() | Reorder(lateness="5s") | Alert("t > 30", hold="5s")
    usual, result = flow.replay(fleet(0.0)), flow.replay(fleet(fast))

    def of(result: Result, device: str) -> list[Any]:
        rows = [row for row in result.rows.rows() if row["device"] == device]
        return [*rows, *(event for event in result.alerts if event.device == device)]

    for device in ("a", "b"):
        assert of(result, device) == of(usual, device)
    own = [row for row in result.rows.rows() if row["device"] == "fast"]
    assert len(own) == 118
    assert [row["reason"] for row in result.rejected] == ["future", "future"]
    alerts = [event for event in result.alerts if event.device == "fast"]
    assert [event.fields["status"] for event in alerts] == ["opened", "closed"]
    wanted = [event.time for event in usual.alerts if event.device == "fast"]
    drift = [abs(got.time - time) / SECOND for got, time in zip(alerts, wanted, strict=True)]
    assert max(drift) < 5 * MINUTE


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        (GuardClock(ahead="0s"), "step 'guard_clock': ahead='0s' is no time at all"),
        (GuardClock(ahead="-1s"), "step 'guard_clock': ahead: '-1s' is not a duration"),
        (GuardClock(behind="1m"), "behind='1m' is not above ahead='5m'"),
        (GuardClock(oldest="long ago"), "oldest='long ago' is not a day; write it like 2001-01-01"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(stage: GuardClock, sentence: str) -> None:
    with pytest.raises(FlowError) as error:
        (FLOW | stage).plan()
    assert sentence in str(error.value)
