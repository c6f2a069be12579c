from __future__ import annotations

from typing import Any

import pytest

from streamflow.core.duration import UNITS, duration, words
from streamflow.errors import FlowError


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0s", 0),
        ("1ns", 1),
        ("1us", 10**3),
        ("250ms", 250 * 10**6),
        ("30s", 30 * 10**9),
        ("5m", 300 * 10**9),
        ("1h30m", 5400 * 10**9),
        ("1h 30m", 5400 * 10**9),
        ("1.5h", 5400 * 10**9),
        ("0.1s", 10**8),
        ("7d", 7 * 86400 * 10**9),
        ("2w", 14 * 86400 * 10**9),
    ],
)
def test_what_people_write(text: str, ns: int) -> None:
    assert duration(text) == ns


@pytest.mark.parametrize(
    "wrong",
    ["", " ", "5", "-5s", "5M", "s", "5 sec", "1e3s", ".5s", "5s!", "five", "9" * 400 + "s", 5],
    ids=lambda wrong: repr(wrong)[:12],
)
def test_anything_else_is_refused_with_examples(wrong: Any) -> None:
    with pytest.raises(FlowError, match="is not a duration; write it like 250ms, 30s, 5m"):
        duration(wrong)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (999_999, "999us"),
        (2_500_000, "2ms"),
        (90 * UNITS["s"], "1m30s"),
        (5400 * UNITS["s"], "1h30m"),
        (UNITS["d"] + UNITS["s"], "1d1s"),
        (-5 * UNITS["m"], "-5m"),
    ],
)
def test_words_say_the_largest_units(ns: int, text: str) -> None:
    assert words(ns) == text


def test_whole_units_read_back_as_written() -> None:
    for unit in ("d", "h", "m", "s", "ms", "us", "ns"):
        assert duration(words(3 * UNITS[unit])) == 3 * UNITS[unit]
