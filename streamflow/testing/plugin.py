"""The pytest plugin: the fixture `readings`. It loads with every pytest run, so it stays light."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

Readings = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def readings() -> Readings:
    """Build rows for `Flow.replay` and `Flow.test`; see `rows_of`.

    def test_heat_raises_an_alert(readings):
        rows = readings(machine="a", temperature=[20, 20, 95], every="1m")
        flow.test(rows, expect=[{"device": "a", "status": "opened"}])
    """
    return rows_of


def rows_of(
    *,
    start: str = "2026-01-01T00:00:00Z",
    every: str = "1s",
    time: str = "time",
    **fields: Any,
) -> list[dict[str, Any]]:
    """Rows with the field names of a flow: lists give one value per row, other values repeat.

    Parameters
    ----------
    start
        The time of the first row, ISO 8601; UTC if it names no zone.
    every
        The time from row to row, such as "1m" or "500ms".
    time
        The name of the time field.
    fields
        name -> value, or a list or array of values; None is missing.

    Raises
    ------
    ValueError
        If the lists differ in length, or a field has the time field's name.

    Examples
    --------
    >>> rows_of(machine="a", temperature=[20, 95], every="1m", time="at")[1]
    {'machine': 'a', 'at': '2026-01-01T00:01:00Z', 'temperature': 95}
    """
    from streamflow.core.duration import duration
    from streamflow.core.event import iso

    if time in fields:
        raise ValueError(
            f"the field {time!r} is filled with times from start= and every=; "
            f'name another time field with time="..."'
        )
    plain = {name: v.tolist() if hasattr(v, "tolist") else v for name, v in fields.items()}
    lists = {name: v for name, v in plain.items() if isinstance(v, (list, tuple, range))}
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"lists of readings must be equally long: {shown}")
    count = next(iter(lengths.values()), 1)
    first = datetime.fromisoformat(start)
    zoned = first if first.tzinfo else first.replace(tzinfo=UTC)
    began = round(zoned.timestamp() * 10**6) * 10**3
    step = duration(every)
    return [
        {
            **{name: value for name, value in plain.items() if name not in lists},
            time: iso(began + i * step),
            **{name: values[i] for name, values in lists.items()},
        }
        for i in range(count)
    ]
