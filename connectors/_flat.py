"""What sinks write: anything that a flow gives them, as flat rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from streamflow import Batch, DeadLetter, Event, records

Items = Batch | Sequence[Event] | Sequence[DeadLetter]


def flat(items: Items) -> Iterator[Mapping[str, Any]]:
    """Anything a sink takes, as flat dicts, all times in ISO 8601."""
    if not isinstance(items, Batch):
        yield from records(items)
        return
    # As `streamflow.iso` writes them, ten times faster.
    times = np.datetime_as_string(items.time.view("datetime64[ns]")).tolist()
    for row, time in zip(items.rows(), times, strict=True):
        digits = 19 if time.endswith(".000000000") else 23 if time.endswith("000000") else 29
        yield {**row, "time": f"{time[:digits]}Z"}
