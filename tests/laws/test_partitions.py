"""Behind `Reorder` it does not matter by which partitions a device's readings come."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from streamflow import Alert, Flow, Message, Position, Reorder, Silent, Source
from streamflow.testing import Collect

PARTS = 3
FLOW = Flow("parts", sensors=["t"])


@dataclass(frozen=True)
class Shared(Source):
    """Readings dealt out to partitions, as a broker does whose partitions do not know devices."""

    rows: Sequence[dict[str, Any]] = ()
    dealt: Sequence[int] = ()

    def partitions(self) -> Sequence[str]:
        return [str(part) for part in range(PARTS)]

    def open(self, partition: str, position: Position) -> Iterator[Message | None]:
        own = [r for r, part in zip(self.rows, self.dealt, strict=True) if part == int(partition)]
        for i, row in enumerate(own):
            yield Message(json.dumps(row).encode(), position=i + 1)
            if i % 7 == int(partition):
                yield None


def rows_of(devices: str, count: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(7)
    values = rng.normal(28, 3, (count, len(devices))).round(2)
    return [
        {"device": device, "time": 1_767_225_600 + i, "t": values[i, d].item()}
        for i in range(count)
        for d, device in enumerate(devices)
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_law_6_holds_over_partitions_that_share_devices(workers: int) -> None:
    rows = rows_of("abcde", 120)
    dealt = np.random.default_rng(workers).integers(0, PARTS, len(rows)).tolist()
    stages = FLOW | Reorder(lateness="5m") | Alert("t > 30", hold="3s")
    expected = stages.replay(rows)
    kept, alerts = Collect(of="rows"), Collect(of="alerts")
    balance = (FLOW | Shared(rows, dealt) | stages.parts[0] | stages.parts[1] | kept | alerts).run(
        workers=workers
    )
    assert balance.rejected == {}
    assert balance.adds_up

    def by_device(listed: Sequence[Any]) -> dict[str, list[Any]]:
        return {d: [row for row in listed if row["device"] == d] for d in "abcde"}

    assert by_device(kept.rows) == by_device(list(expected.rows.rows()))
    wanted = by_device([event.row() for event in expected.alerts])
    assert by_device(alerts.rows) == wanted
    assert sum(map(len, wanted.values())) > 20


def test_without_reorder_it_matters() -> None:
    rows = rows_of("ab", 120)
    kept = Collect(of="rows")
    dealt = np.random.default_rng(1).integers(0, PARTS, len(rows)).tolist()
    (FLOW | Shared(rows, dealt) | kept).run()
    times = [row["time"] for row in kept.rows if row["device"] == "a"]
    assert times != sorted(times)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_partition_that_ends_first_makes_nobody_silent(workers: int) -> None:
    """Its history may be newer than what others still have to tell."""
    rows = [{"device": "b", "time": 1_767_300_000 + i, "t": 1.0} for i in range(3)]
    rows += [{"device": "a", "time": 1_767_225_600 + i, "t": 1.0} for i in range(2000)]
    dealt = [1 if row["device"] == "b" else 0 for row in rows]
    flow = FLOW | Shared(rows, dealt) | Silent(after="30s")
    (event,) = flow.replay(workers=workers).events
    assert (event.device, event.time) == ("a", (1_767_225_600 + 1999 + 30) * 10**9)
