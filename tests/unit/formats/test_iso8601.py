from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from streamflow.formats.iso8601 import parse_uniform

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse(*texts: Any) -> list[int] | None:
    got = parse_uniform(texts)
    return None if got is None else got.tolist()


@pytest.mark.parametrize("decimals", range(10))
@pytest.mark.parametrize("separator", "T ")
@pytest.mark.parametrize("end", ["", "Z"])
def test_agrees_with_datetime_on_random_times(decimals: int, separator: str, end: str) -> None:
    rng = random.Random(f"{decimals}{separator}{end}")
    texts, expected = [], []
    for _ in range(500):  # 40 forms: 20,000 times in all
        seconds = rng.randrange(-9_214_560_000, 9_214_646_400)  # 1678 to 2261
        fraction = rng.randrange(10**decimals)
        text = (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%d{}%H:%M:%S").format(separator)
        texts.append(text + (f".{fraction:0{decimals}d}" if decimals else "") + end)
        expected.append(seconds * 10**9 + fraction * 10 ** (9 - decimals))
    assert parse(*texts) == expected


def test_every_day_from_1678_to_2261() -> None:
    first, end = date(1678, 1, 1).toordinal(), date(2262, 1, 1).toordinal()
    got = parse(*(f"{date.fromordinal(day)} 00:00:00" for day in range(first, end)))
    epoch = date(1970, 1, 1).toordinal()
    assert got == [(day - epoch) * 86_400 * 10**9 for day in range(first, end)]


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29 00:00:00",
        "2100-02-29 00:00:00",
        "1900-02-29 00:00:00",
        "2026-04-31 00:00:00",
        "2026-00-01 00:00:00",
        "2026-13-01 00:00:00",
        "2026-01-00 00:00:00",
        "2026-01-32 00:00:00",
        "2026-01-01 24:00:00",
        "2026-01-01 00:60:00",
        "2026-01-01 00:00:60",
        "1677-12-31 23:59:59",
        "2262-01-01 00:00:00",
        "0000-01-01 00:00:00",
    ],
)
def test_a_date_that_is_none_is_left_to_the_slow_way(text: str) -> None:
    assert parse(text) is None
    assert parse("2026-01-01 00:00:00", text) is None


def test_leap_days_are_real() -> None:
    assert parse("2024-02-29 00:00:00", "2000-02-29 00:00:00") is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-01",
        "2026-01-01T00:00",
        "2026-01-01T00:00:00.",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00,5",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01x00:00:00",
        "2026/01/01 00:00:00",
        "2026-01-01 00.00.00",
        "2026-01-01 00:00:00 ",
        " 2026-01-01 00:00:00",
        "-026-01-01 00:00:00",
        "+026-01-01 00:00:00",
        "2026-0a-01 00:00:00",
        "2026-01-01 00:00:0\N{ARABIC-INDIC DIGIT ONE}",
        "2026-01-01T00:00:00z",
        "2026-01-01T00:00:00.1234567890",
        "2026-01-01T00:00:00ZZ",
        "2026-01-01T00:00:0Z",
        "20260101000000000000",
        None,
        5,
        b"2026-01-01 00:00:00",
    ],
)
def test_another_form_is_left_to_the_slow_way(text: Any) -> None:
    assert parse(text) is None


def test_forms_are_not_mixed_up() -> None:
    assert parse("2026-01-01T00:00:00Z", "2026-01-01T00:00:00") is None
    assert parse("2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.12") is None
    assert parse("2026-01-01T00:00:00Z", "2026-01-01T00:00:001") is None


def test_lengths_that_only_add_up_are_not_equal_lengths() -> None:
    assert parse("2026-01-01 00:00:00", "2026-01-01 00:00:0", "02026-01-01 00:00:00") is None


def test_t_and_blank_may_be_mixed() -> None:
    assert parse("2026-01-01T00:00:00", "2026-01-01 00:00:01") == [
        1_767_225_600_000_000_000,
        1_767_225_601_000_000_000,
    ]


def test_no_texts_are_no_times_of_a_form() -> None:
    assert parse() is None
