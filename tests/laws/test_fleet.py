"""What looks across devices obeys laws 1, 2 and 6 where it can, and is exempt from 3 and 4."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from streamflow_connectors import files

from streamflow import Alert, Batch, Event, Flow, Incidents
from streamflow.engine.fleet import FLEET, Fleet, without
from streamflow.engine.pack import pack, unpack
from streamflow.engine.rows import Batches
from streamflow.testing import (
    Collect,
    Stream,
    batching_is_invisible,
    restart_is_invisible,
    streams_for,
)

SECOND = 10**9
STORMS = Flow("storms", sensors=["t"]) | Alert("t > 2.2", hold="30s") | Incidents("1m", devices=3)
YOUNG = Flow("young", sensors=["t"]) | Alert(
    budget="3600 per device per hour", of="t", prior="fleet", silent="20s"
)
LAWS = settings(
    max_examples=40, deadline=None, derandomize=True, phases=[Phase.generate, Phase.shrink]
)


def fleet_of(devices: int, minutes: int, seed: int = 7) -> Batch:
    """A reading of each device every 10 s, and now and then a storm over some of them."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((6 * minutes, devices))
    for start in range(30, len(values), 60):
        hit = rng.choice(devices, devices // 3, replace=False)
        for device in hit:
            values[start + rng.integers(4) : start + 6 + rng.integers(9), device] += 5
    n = values.size
    time = np.repeat(np.arange(len(values)), devices) * 10 * SECOND + np.tile(
        np.arange(devices), len(values)
    )
    names = [f"pump-{i}" for i in range(devices)]
    device = np.tile(np.arange(devices, dtype=np.int32), len(values))
    return Batch(names, device, time[:n], time[:n], {"t": values.ravel()})


def cut(batch: Batch, size: int) -> Batches:
    edges = range(0, len(batch), size)
    return Batches(tuple(batch.take(np.arange(i, min(i + size, len(batch)))) for i in edges))


def incidents(events: Sequence[Event]) -> list[dict[str, Any]]:
    return [event.row() for event in events if event.kind == "incident"]


@pytest.mark.parametrize("workers", [1, 2])
def test_incidents_are_the_same_with_any_number_of_workers(workers: int) -> None:
    source = cut(fleet_of(24, 60), 97)
    expected = incidents(STORMS.replay(source).events)
    assert {row["status"] for row in expected} == {"opened", "ongoing", "closed"}
    sunk = Collect(of="events")
    run = Flow("storms", sensors=["t"], parts=(source, *STORMS.parts, sunk))
    for _ in range(3):
        sunk.items.clear()
        run.run(workers=workers)
        assert incidents(sunk.items) == expected
    assert incidents(STORMS.replay(source, workers=workers).events) == expected


def test_incidents_do_not_depend_on_batches() -> None:
    batch = fleet_of(24, 60)
    expected = incidents(STORMS.replay(cut(batch, 4096)).events)
    for size in (1, 17, 500):
        assert incidents(STORMS.replay(cut(batch, size)).events) == expected


@given(order=st.permutations(range(6)), pauses=st.lists(st.booleans(), min_size=40, max_size=40))
@LAWS
def test_incidents_do_not_depend_on_which_shard_is_faster(
    order: Sequence[int], pauses: Sequence[bool]
) -> None:
    plan = (STORMS | Collect(of="events")).plan()
    alerts = [e for e in STORMS.replay(fleet_of(24, 60)).events if e.kind == "alert"]
    shards = [str(n) for n in order]
    steps = np.arange(0, 3600 * SECOND, 90 * SECOND)

    def words(shard: str) -> list[tuple[int, list[Event]]]:
        mine = [e for e in alerts if int(e.device[5:]) % 6 == int(shard)]
        return [(int(to), [e for e in mine if to - 90 * SECOND < e.time <= to]) for to in steps]

    one, other = Fleet(plan, shards), Fleet(plan, shards)
    for fleet in (one, other):
        fleet._heard = {("feed", shard): -1 for shard in shards}
    queues = {shard: words(shard) for shard in shards}
    expected, got = [], []
    for n in range(len(steps)):
        for shard in sorted(shards):
            expected += one.hear("feed", shard, *queues[shard][n])
    # The other way: a shard that does not pause runs far ahead of the rest.
    turn = 0
    while any(queues.values()):
        shard = next(s for s in shards if queues[s])
        take = 1 if pauses[turn % 40] else len(queues[shard])
        for word in queues[shard][:take]:
            got += other.hear("feed", shard, *word)
        queues[shard] = queues[shard][take:]
        shards = [*shards[1:], shards[0]]
        turn += 1
    assert [e.row() for e in got + other.on_end()] == [e.row() for e in expected + one.on_end()]


def test_a_restart_does_not_change_incidents() -> None:
    plan = (STORMS | Collect(of="events")).plan()
    alerts = [e for e in STORMS.replay(fleet_of(24, 60)).events if e.kind == "alert"]
    expected = incidents(STORMS.replay(fleet_of(24, 60)).events)
    for stop in (1, 5, len(alerts) // 2, len(alerts) - 1):
        got: list[Event] = []
        fleet = Fleet(plan, [FLEET])
        for n, alert in enumerate(alerts):
            if n == stop:
                fleet = Fleet(plan, [FLEET], unpack(pack(fleet.snapshot())))
            got += fleet.hear("feed", FLEET, alert.time, [alert])
        assert incidents(got + fleet.on_end()) == expected


def test_incidents_go_on_from_their_state(tmp_path: Path) -> None:
    rows = [{"device": d, "time": i, "t": 3.0} for i, d in enumerate("abcab")]
    later = [{"device": d, "time": 60 + i, "t": 0.0} for i, d in enumerate("abcabc", start=40)]
    lines = [f"{row['device']},{row['time']},{row['t']}\n" for row in rows + later]
    data, state = tmp_path / "in.csv", tmp_path / "state"
    sunk = Collect(of="events")
    flow = Flow("storms", sensors=["t"]) | files.csv(data)
    flow = flow | Alert("t > 2", hold="1s") | Incidents("1m", devices=3) | sunk
    data.write_text("device,time,t\n" + "".join(lines[:5]))
    flow.run(state=state)
    data.write_text("device,time,t\n" + "".join(lines))
    flow.run(state=state)
    opened, closed = incidents(sunk.items)
    assert (opened["status"], closed["status"]) == ("opened", "closed")
    assert opened["id"] == closed["id"] == incidents(flow.replay(rows).events)[0]["id"]


def test_what_is_erased_is_in_no_incident() -> None:
    plan = (STORMS | Collect(of="events")).plan()
    fleet = Fleet(plan, [FLEET])
    alerts = list(STORMS.replay(fleet_of(24, 60)).events)
    for alert in alerts[:20]:
        fleet.hear("feed", FLEET, alert.time, [alert])
    saved = unpack(pack(fleet.snapshot()))["incidents"]
    member = next(iter(saved["state"]["open"][0]["devices"]))
    waits = saved["waiting"][0]["device"]
    assert member != waits
    tree = without({"incidents": saved}, [member, waits])
    assert f"'{member}'" in repr(saved)
    assert f"'{member}'" not in repr(tree)
    assert f"'{waits}'" not in repr(tree)
    left = Fleet(plan, [FLEET], tree)
    ended = [event for alert in alerts for event in left.hear("feed", FLEET, alert.time, [alert])]
    assert {event.fields["status"] for event in ended} == {"opened", "ongoing", "closed"}


@LAWS
@given(stream=streams_for(YOUNG), cuts=st.sets(st.integers(1, 30), max_size=5))
def test_a_fleet_prior_does_not_depend_on_batches(stream: Stream, cuts: set[int]) -> None:
    batching_is_invisible(YOUNG, stream, cuts)


@LAWS
@given(stream=streams_for(YOUNG), at=st.integers(0, 8))
def test_a_fleet_prior_survives_a_restart(stream: Stream, at: int) -> None:
    restart_is_invisible(YOUNG, stream, at)
