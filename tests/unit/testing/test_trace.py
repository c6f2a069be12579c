from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamflow import Batch, Event, Quality
from streamflow.testing.trace import Trace, difference, trace_of

ROWS = [{"device": "a", "time": 0, "t": 1.0, "site": "x"}, {"device": "a", "time": 1, "t": 0.0}]
BATCH = Batch.of(ROWS, ["t"], ["site"])
EVENT = Event("1", "alert", "alert", "a", 0, {"peak": 1.5})


def rows(batch: Batch) -> Trace:
    return trace_of([batch], [])


def test_batches_make_no_difference() -> None:
    parts = [BATCH.take([0]), BATCH.take([1])]
    assert difference(rows(BATCH), trace_of(parts, []), "whole", "cut") is None


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (BATCH.with_columns({"t": np.array([1.0, -0.0])}), "number 2, .*: 't' is 0.0 here, -0.0"),
        (BATCH.with_columns({"t": np.array([np.nan, 0])}), "number 1, .*: 't' is 1.0 here, nan"),
        (BATCH.mark("t", np.array([False, True]), Quality.IMPUTED), "'quality of t' is None here"),
        (replace(BATCH, time=BATCH.time + 1), "'time' is 0 here, 1 there"),
        (replace(BATCH, arrived=BATCH.arrived + 1), "'arrived' is 0 here, 1 there"),
        (replace(BATCH, tags={"site": BATCH.tags["site"].of(["x", "y"])}), "'site' is None here"),
        (BATCH.take([0]), "2 here, 1 there; only here: time=1, "),
        (Batch.of([{**row, "device": "b"} for row in ROWS], ["t"], ["site"]), "rows of device 'a'"),
    ],
)
def test_every_difference_is_told(other: Batch, said: str) -> None:
    found = difference(rows(BATCH), rows(other), "here", "there")
    assert found is not None
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(found)


def test_any_nan_equals_any_nan() -> None:
    other = np.array([0x7FF8000000000001, 0xFFF8000000000000], np.uint64).view(np.float64)
    nans = BATCH.with_columns({"t": np.array([np.nan, np.nan])})
    assert difference(rows(nans), rows(nans.with_columns({"t": other})), "", "") is None


def test_events_are_compared_with_their_ids() -> None:
    expected, got = trace_of([], [EVENT]), trace_of([], [EVENT._replace(id="2")])
    found = difference(expected, got, "here", "there")
    assert found == (
        "events of device 'a' from step 'alert', number 1, at 1970-01-01T00:00:00Z: "
        "'id' is '1' here, '2' there"
    )
