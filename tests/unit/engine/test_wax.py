from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from river import anomaly, drift, preprocessing

from streamflow import (
    Alert,
    Batch,
    Detect,
    Flow,
    Impute,
    MonitorDrift,
    Reject,
    Sink,
    Validate,
    Writer,
    stage,
)
from streamflow.engine.result import Result
from streamflow.engine.rows import Rows
from streamflow.errors import ConnectorError, FlowError
from streamflow.testing import Collect

RNG = random.Random(3)
DEVICES = [f"machine-{i}" for i in range(23)]
ROWS: list[dict[str, Any]] = [
    {
        "device": RNG.choice(DEVICES),
        "time": i / 10,
        "t": RNG.choice([None, RNG.gauss(20, 5), RNG.gauss(20, 5), 999]),
        "site": RNG.choice(["north", "south", None]),
    }
    for i in range(1200)
]
ROWS[7] = {"device": "", "time": 0.7}
ROWS[888] = {"device": "machine-1", "time": "never"}


@stage(adds="rise", last=float("nan"))
def rise(r: Any, memory: Any) -> Any:
    if r["t"] > 33:
        return Reject("too hot to say")
    out = r["t"] - memory.last
    memory.last = r["t"]
    return {"rise": out}


FLOW = (
    Flow("test", sensors=["t"], tags=["site"])
    | Validate({"t": (-50, 100)})
    | Impute(hold="10s")
    | rise
    | Detect(
        preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(n_trees=3, window_size=20, seed=1)
    )
    | MonitorDrift("t", drift.PageHinkley(threshold=20, min_instances=5))
    | Alert("score > 0.8", after="1s", hold="2s")
)


def by_device(result: Result) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    parts = (result.rows.rows(), result.rejected, (event.row() for event in result.events))
    for part in parts:
        for row in part:
            out.setdefault(row["device"], []).append(repr(row))
    return out


@pytest.mark.parametrize("workers", [1, 2])
def test_replay_on_bytewax_is_replay(workers: int) -> None:
    local, there = FLOW.replay(ROWS), FLOW.replay(ROWS, workers=workers)
    assert local.events
    assert local.rejected
    assert by_device(there) == by_device(local)
    assert there.balance == local.balance
    assert there.balance.adds_up
    assert [letter.row() for letter in there.dead_letters] == [
        letter.row() for letter in local.dead_letters
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_sinks_of_every_kind_get_what_is_theirs_and_nothing_twice(workers: int) -> None:
    early = Collect(name="early")
    hot = Collect(where="t > 30", name="hot")
    late, again = Collect(name="late"), Collect(name="again")
    alerts, events = Collect(of="alerts"), Collect(of="events")
    rejected, dead = Collect(of="rejected"), Collect(of="dead_letters")
    validate, impute, rise_, *rest = FLOW.parts
    flow = Flow("test", sensors=["t"], tags=["site"]) | Rows(ROWS)
    for part in (
        validate,
        early,
        impute,
        hot,
        rise_,
        *rest,
        late,
        again,
        alerts,
        events,
        rejected,
        dead,
    ):
        flow = flow | part
    balance = flow.run(workers=workers)
    local = FLOW.replay(ROWS)
    assert balance == local.balance

    def same(sink: Collect, rows: Any) -> bool:
        return sorted(map(repr, sink.rows)) == sorted(map(repr, rows))

    assert len(early.rows) == balance.readings
    assert set(early.rows[0]) >= {"t", "site"}
    assert not {"rise", "score", "alert"} & set(early.rows[0])
    assert hot.rows
    assert all(row["t"] > 30 for row in hot.rows)
    assert len(hot.rows) > len(local.rejected) > 0  # those too hot had passed here
    assert same(late, local.rows.rows())
    assert same(again, local.rows.rows())
    assert same(alerts, [event.row() for event in local.alerts])
    assert same(events, [event.row() for event in local.events])
    assert same(rejected, local.rejected)
    assert same(dead, [letter.row() for letter in local.dead_letters])


def test_several_sources_are_one_stream() -> None:
    rows = Collect()
    cut = [ROWS[i::3] for i in range(3)]
    flow = Flow("test", sensors=["t"], tags=["site"])
    for i, part in enumerate(cut):
        flow = flow | Rows(part, name=f"part-{i}")
    balance = (flow | Validate() | rows).run(workers=2)
    assert (balance.received, balance.dead, balance.out) == (1200, 2, 1198)
    assert balance.adds_up
    assert len(rows.rows) == 1198
    assert flow.replay().balance.out == 1198


def test_a_flow_without_sinks_or_stages_still_runs() -> None:
    balance = (Flow("test", sensors=["t"]) | Rows(ROWS)).run()
    assert (balance.received, balance.out, balance.dead) == (1200, 1198, 2)


def test_a_flow_without_readings_ends() -> None:
    flow = Flow("test", sensors=["t"]) | Rows([]) | Alert("t > 1") | Collect()
    assert flow.run(workers=2).readings == 0


@dataclass(frozen=True)
class Full(Sink):
    """A sink on a full disk."""

    def open(self, resume: Any) -> Writer:
        return _Full()


class _Full(Writer):
    def write(self, items: Any) -> None:
        assert isinstance(items, Batch)
        raise ConnectorError("sink 'full': no space left on device")


def test_a_sink_that_fails_ends_the_run_with_its_own_words() -> None:
    with pytest.raises(ConnectorError, match="no space left on device"):
        (Flow("test", sensors=["t"]) | Rows(ROWS) | Full()).run()


@dataclass(frozen=True)
class Unwritable(Full):
    def check(self, schema: Any) -> None:
        raise FlowError("sink 'unwritable': permission denied")


def test_a_sink_that_cannot_be_opened_keeps_the_flow_from_starting() -> None:
    with pytest.raises(FlowError, match="permission denied"):
        (Flow("test", sensors=["t"]) | Rows(ROWS) | Unwritable()).run()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_replay_leaves_the_flows_sinks_closed(workers: int, tmp_path: Path) -> None:
    rows = Collect()
    flow = Flow("test", sensors=["t"]) | Rows(ROWS) | Full(name="full") | rows
    assert len(flow.replay(workers=workers).rows) == 1198
    assert rows.items == []
