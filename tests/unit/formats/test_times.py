from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from streamflow import Schema, iso
from streamflow.errors import FlowError
from streamflow.formats.times import TimeParser

SECOND = 10**9
T = 1_500_000_000 * SECOND  # 2017-07-14T02:40:00Z


def parser(timezone: str = "UTC", time_format: str | None = None) -> TimeParser:
    return TimeParser(Schema("d", "t", {}, (), timezone, time_format))


def reason(value: Any, **of: Any) -> str:
    with pytest.raises(ValueError, match="time") as error:
        parser(**of).one(value)
    return str(error.value)


@pytest.mark.parametrize(
    "value",
    [
        "2017-07-14T02:40:00Z",
        "2017-07-14T02:40:00",
        "2017-07-14 02:40:00",
        "2017-07-14T02:40Z",
        "2017-07-14T02:40:00+00:00",
        "2017-07-14T04:40:00+02:00",
        "2017-07-13T21:40:00-0500",
        "20170714T024000Z",
        "2017-W28-5T02:40:00",
        "2017-07-14T02:40:00.000000000Z",
        "2017-07-14T02:40:00,000",
        "  2017-07-14T02:40:00Z ",
        1_500_000_000,
        1_500_000_000.0,
        1_500_000_000_000,
        1_500_000_000_000_000,
        1_500_000_000_000_000_000,
        "1500000000",
        "1500000000.0",
        "1500000000000",
        "1500000000000000000",
        "1.5e9",
        datetime(2017, 7, 14, 2, 40, tzinfo=UTC),
        datetime(2017, 7, 14, 2, 40),
        datetime(2017, 7, 14, 4, 40, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_one_moment_in_every_form(value: Any) -> None:
    assert parser().one(value) == T


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        (".1", 100_000_000),
        (".25", 250_000_000),
        (".123456", 123_456_000),
        (".1234567", 123_456_700),
        (".123456789", 123_456_789),
        (".000000001", 1),
        (".123456789999", 123_456_789),
    ],
)
def test_decimals_down_to_the_nanosecond(text: str, ns: int) -> None:
    for end in ("Z", "+00:00", ""):
        assert parser().one(f"2017-07-14T02:40:00{text}{end}") == T + ns


def test_decimals_of_numbers() -> None:
    assert parser().one(1_500_000_000.25) == T + 250_000_000
    assert parser().one(1_500_000_000_000.5) == T + 500_000


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("epoch_s", 1_500_000_000),
        ("epoch_ms", 1_500_000_000_000),
        ("epoch_us", "1500000000000000"),
        ("epoch_ns", 1_500_000_000_000_000_000),
    ],
)
def test_a_unit_that_is_named_is_not_guessed(form: str, value: Any) -> None:
    assert parser(time_format=form).one(value) == T
    assert parser(time_format=form).one(5) == parser(time_format=form).one("5")


def test_eight_digits_are_a_date_unless_times_are_numbers() -> None:
    assert iso(parser().one("20170714")) == "2017-07-14T00:00:00Z"
    assert parser(time_format="epoch_s").one("20170714") == 20_170_714 * SECOND


def test_times_before_1970() -> None:
    assert parser().one("1969-12-31T23:59:59.999999999Z") == -1
    assert parser().one(-1) == -SECOND
    assert parser().one("-1") == -SECOND


def test_a_format_of_ones_own() -> None:
    own = parser("Europe/Berlin", "%d.%m.%Y %H:%M")
    assert own.one("14.07.2017 04:40") == T
    assert reason("2017-07-14", time_format="%d.%m.%Y") == "'2017-07-14' is not a time; %d.%m.%Y"


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-01-15 12:00:00", "2026-01-15T11:00:00Z"),
        ("2026-07-15 12:00:00", "2026-07-15T10:00:00Z"),
        ("2026-03-29 01:59:59", "2026-03-29T00:59:59Z"),
        ("2026-03-29 03:00:00", "2026-03-29T01:00:00Z"),
        ("2026-03-29 02:30:00", "2026-03-29T01:30:00Z"),  # never was: as if clocks were not set
        ("2026-10-25 02:30:00", "2026-10-25T00:30:00Z"),  # was twice: the first
        ("2026-10-25 03:00:00", "2026-10-25T02:00:00Z"),
        ("2026-07-15T12:00:00Z", "2026-07-15T12:00:00Z"),  # names its zone
        ("2026-07-15T12:00:00+05:45", "2026-07-15T06:15:00Z"),
    ],
)
def test_times_without_a_zone_are_the_flows_and_summer_time_is_minded(text: str, utc: str) -> None:
    assert iso(parser("Europe/Berlin").one(text)) == utc


def test_many_times_of_one_form_are_in_the_flows_zone_too() -> None:
    texts = ["2026-01-15 12:00:00", "2026-07-15 12:00:00"]
    times = parser("Europe/Berlin").many(texts, lambda i, why: None)
    assert [iso(time) for time in times.tolist()] == [
        "2026-01-15T11:00:00Z",
        "2026-07-15T10:00:00Z",
    ]


def test_the_repeated_hour_goes_back_in_utc_not_wrong_by_a_day() -> None:
    berlin = parser("Europe/Berlin")
    before, twice = berlin.one("2026-10-25 01:59:59"), berlin.one("2026-10-25 02:00:00")
    assert twice - before == SECOND


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "Europe", "/etc/passwd", "../UTC", "a\0b"])
def test_a_wrong_zone_is_refused(zone: str) -> None:
    with pytest.raises(FlowError, match=r"no time zone .*; write it like Europe/Berlin or UTC"):
        parser(zone)


@pytest.mark.parametrize("value", [None, "", float("nan")])
def test_no_time_is_a_reason(value: Any) -> None:
    assert "time" in reason(value)


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "nan",
        "inf",
        "-inf",
        "--5",
        "1-2",
        " ",
        "2026-02-29",
        "2100-02-29",
        "2026-13-01",
        "2026-04-31",
        "2026-00-10",
        "2026-01-31T10:00:60Z",
        "2026-01-31T24:00:01",
        "2026-01-31T10:61",
        "31.01.2026",
        "01/31/2026",
        True,
        False,
        [],
        {"t": 1},
        b"2017-07-14",
        float("inf"),
    ],
)
def test_what_is_no_time_is_refused_with_the_forms_there_are(value: Any) -> None:
    assert "is not a time; ISO 8601, or seconds, ms, us or ns since 1970" in reason(value)


@pytest.mark.parametrize("text", ["2024-02-29", "2000-02-29", "1972-02-29"])
def test_leap_days(text: str) -> None:
    assert iso(parser().one(text)) == f"{text}T00:00:00Z"


@pytest.mark.parametrize(
    "value",
    [
        "1500-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:00",
        "9999-12-31T23:59:59-23:00",
        "2262-04-11T23:47:16.854775808Z",
        "2262-04-11T23:47:16.854775999Z",
        datetime(2300, 1, 1, tzinfo=UTC),
        1e300,
        10**19,
        10**400,
        10**5000,
        "9" * 20,
        -(10**19),
    ],
    ids=lambda value: "int" if isinstance(value, int) else repr(value)[:20],
)
def test_what_int64_nanoseconds_cannot_hold_is_refused_as_that(value: Any) -> None:
    text = reason(value)
    assert text.endswith(" is a time outside the years 1678 to 2261")
    assert len(text) < 120


def test_the_last_moment_that_can_be_held() -> None:
    assert parser().one("2262-04-11T23:47:16.854775807Z") == 2**63 - 1


def test_a_reason_does_not_repeat_a_long_text() -> None:
    assert len(reason("x" * 10**6)) < 120
    assert len(reason(["x" * 10**6])) < 120


def test_a_bad_time_costs_itself_only() -> None:
    bad: list[tuple[int, str]] = []
    times = parser().many(
        [1, "2017-07-14T02:40:00Z", "never", None, 10**400], lambda i, why: bad.append((i, why))
    )
    assert times[:2].tolist() == [SECOND, T]
    assert [i for i, _ in bad] == [2, 3, 4]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns", "D"])
def test_columns_of_any_unit(unit: str) -> None:
    bad: list[tuple[int, str]] = []
    raw = np.array(["2017-07-14", "NaT"], f"datetime64[{unit}]")
    times = parser().stamps(raw, lambda i, why: bad.append((i, why)))
    assert iso(int(times[0])) == "2017-07-14T00:00:00Z"
    assert bad == [(1, "it has no time")]


def test_a_column_of_times_too_far_away() -> None:
    bad: list[tuple[int, str]] = []
    raw = np.array(["9999-01-01", "2017-07-14"], "datetime64[s]")
    parser().stamps(raw, lambda i, why: bad.append((i, why)))
    assert bad == [(0, "9999-01-01T00:00:00 is a time outside the years 1678 to 2261")]
