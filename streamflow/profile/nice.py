"""Nice numbers, round ones, for limits and durations that a person will read; and code for text."""

from __future__ import annotations

import json
from bisect import bisect_left
from math import ceil, floor, log10

from streamflow.core.duration import duration

_DURATIONS = (
    *("10ms", "50ms", "100ms", "500ms", "1s", "2s", "5s", "10s", "20s", "30s", "1m", "2m", "5m"),
    *("10m", "15m", "30m", "1h", "2h", "3h", "6h", "12h", "1d", "2d", "3d", "7d", "14d", "30d"),
)


def at_least(ns: float) -> str:
    """The next duration that people use; 90 days at the most.

    >>> at_least(4 * 10**9), at_least(11 * 60 * 10**9)
    ('5s', '15m')
    """
    at = bisect_left([duration(text) for text in _DURATIONS], ns)
    return _DURATIONS[at] if at < len(_DURATIONS) else "90d"


def below(value: float) -> float:
    """A round number that is not above, within a tenth of its size.

    >>> below(-17.3), below(94.0), below(0.0)
    (-18.0, 94.0, 0.0)
    """
    if not value:
        return 0.0
    unit = 10.0 ** (floor(log10(abs(value))) - 1)
    return float(f"{floor(value / unit) * unit:.3g}")


def above(value: float) -> float:
    """A round number that is not below, within a tenth of its size.

    >>> above(103.2), above(-0.0234)
    (110.0, -0.023)
    """
    if not value:
        return 0.0
    unit = 10.0 ** (floor(log10(abs(value))) - 1)
    return float(f"{ceil(value / unit) * unit:.3g}")


def quoted(text: str) -> str:
    """Text as it stands in code, in double quotes.

    >>> quoted('the "old" pump')
    '"the \\\\"old\\\\" pump"'
    """
    return json.dumps(text, ensure_ascii=not text.isprintable())
