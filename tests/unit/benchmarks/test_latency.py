from __future__ import annotations

import pytest

from benchmarks.connectors.latency import _sent_at


@pytest.mark.parametrize(
    ("row", "at"),
    [
        ({"at": 7}, 7),
        ({"status": "opened", "time": "2026-11-24T15:00:00.000000007Z"}, 1795532400000000007),
        ({"status": "opened", "time": "2026-11-24T15:00:00.5Z"}, 1795532400500000000),
        ({"status": "opened", "time": "2026-11-24T15:00:00Z"}, 1795532400000000000),
        ({"status": "closed", "time": "2026-11-24T15:00:00Z"}, 0),
    ],
)
def test_a_reading_and_its_alert_say_when_it_was_sent(row: dict[str, object], at: int) -> None:
    assert _sent_at(row) == at
