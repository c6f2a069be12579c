from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

import numpy as np
import pytest

from streamflow import Batch, Decoded, Flow, Messages, Reader, Source
from streamflow.core.clock import ManualClock
from streamflow.engine import local, wax
from streamflow.engine.again import Namer, Origin, Seen
from streamflow.engine.intake import Intake
from streamflow.engine.shard import Shard
from streamflow.errors import EndOfStream

FLOW = Flow("test", sensors=["t"])


def payload(i: int, device: str = "a") -> bytes:
    return b'{"device": "%s", "time": %d, "t": %d}' % (device.encode(), i, i)


@dataclass(frozen=True)
class Pushed(Source):
    """What a broker gives: some of it twice, by any connection."""

    given: tuple[tuple[bytes, ...], ...] = ()
    ids: tuple[tuple[bytes, ...], ...] | None = None
    fields: dict[str, list[str | None]] = field(default_factory=dict)
    window: int = 100  # type: ignore[misc, assignment]

    def partitions(self) -> list[str]:
        return [str(i) for i in range(len(self.given))]

    def open(self, partition: str, position: Any) -> Reader:
        return _Reader(self, int(partition))


class _Reader(Reader):
    def __init__(self, source: Pushed, number: int) -> None:
        self.source, self.number, self.over = source, number, False

    def poll(self, limit: int) -> Messages:
        if self.over:
            raise EndOfStream("over")
        self.over = True
        given = self.source.given[self.number]
        ids = self.source.ids and self.source.ids[self.number]
        return Messages(given, range(len(given)), fields=self.source.fields, ids=ids)

    def position(self) -> int:
        return int(self.over)


def run(source: Source, engine: str) -> Any:
    plan = (FLOW | source).plan()
    if engine == "local":
        return local.replay(plan, (source,))
    return wax.replay(plan, (source,), int(engine))


@pytest.mark.parametrize("engine", ["local", "1", "2"])
def test_a_message_that_comes_again_counts_once_whichever_connection_it_comes_by(
    engine: str,
) -> None:
    first = tuple(payload(i, "ab"[i % 2]) for i in range(10))
    second = (*first[5:8], payload(10), payload(10))
    result = run(Pushed((first, second)), engine)
    balance = result.balance
    assert (balance.received, balance.readings, balance.redelivered) == (15, 15, 4)
    assert balance.out == 11
    assert balance.adds_up


def test_without_a_window_nothing_is_compared() -> None:
    result = run(Pushed(((payload(1), payload(1)),), window=0), "local")
    assert (result.balance.redelivered, result.balance.out) == (0, 2)


def test_an_id_of_its_own_tells_two_messages_of_the_same_content_apart() -> None:
    messages = (payload(1), payload(1), payload(2))
    result = run(Pushed((messages,), ids=((b"1", b"2", b"1"),)), "local")
    assert (result.balance.redelivered, result.balance.out) == (1, 2)


def test_devices_may_number_their_messages_alike() -> None:
    messages = (payload(1, "a"), payload(1, "b"))
    assert run(Pushed((messages,), ids=((b"1", b"1"),)), "local").balance.redelivered == 0


def test_what_the_transport_says_is_part_of_the_content() -> None:
    flow = Flow("test", sensors=["t"], tags=["site"])
    source = Pushed(((payload(1), payload(1)),), fields={"site": ["north", None]})
    assert local.replay((flow | source).plan(), (source,)).balance.redelivered == 0


def test_the_readings_of_one_message_are_told_apart_and_known_again() -> None:
    batch = Batch.of([{"device": "a", "time": 0}] * 3, [])
    messages = Messages([b"x", b"y"], [0, 1])
    named = Namer("mqtt", "0").origin(messages, Decoded(batch, np.array([0, 0, 1])))
    again = Namer("mqtt", "1").origin(messages, Decoded(batch, np.array([0, 0, 1])))
    assert len(set(named.ids.tolist())) == 3
    assert again.ids.tolist() == named.ids.tolist()


def test_names_are_the_same_in_every_process() -> None:
    batch = Batch.of([{"device": "a", "time": 0}], [])
    origin = Namer("mqtt", "0").origin(Messages([b"x"], [0]), Decoded(batch, np.array([0])))
    assert origin.ids.tolist() == [6352357293161023088]


def origin(ids: Sequence[int], partition: str = "0", each: int = 1) -> Origin:
    message = np.arange(len(ids)) // each
    return Origin("mqtt", partition, np.array(ids, np.int64), message)


def test_the_last_window_is_remembered_and_little_more() -> None:
    seen = Seen({"mqtt": 10}, [("mqtt", "0")])
    for start in range(1, 100, 5):
        assert seen.new(origin(range(start, start + 5))).all()
        last = range(max(start - 5, 1), start + 5)
        assert not seen.new(origin(last)).any()
    assert seen.new(origin(range(1, 60))).all()


def test_a_window_counts_messages_however_many_readings_they_hold() -> None:
    seen = Seen({"mqtt": 10}, [("mqtt", "0")])
    for start in range(1, 1001, 100):
        seen.new(origin(range(start, start + 100), each=100))
    assert not seen.new(origin(range(1, 1001), each=100)).any()


def test_a_busy_connection_does_not_push_out_what_a_silent_one_knew() -> None:
    seen = Seen({"mqtt": 10}, [("mqtt", "0"), ("mqtt", "1")])
    seen.new(origin(range(1, 6)))
    for start in range(100, 1000, 10):
        seen.new(origin(range(start, start + 10), "1"))
    assert not seen.new(origin(range(1, 6), "1")).any()


def test_it_is_part_of_the_state() -> None:
    plan = (FLOW | Pushed(((),))).plan()
    source = Pushed(((payload(1), payload(2)),))
    shard = Shard(plan)
    shard.on_parcel(_parcel(source))
    again = Shard(plan, shard.snapshot())
    again.on_parcel(_parcel(source))
    assert (again.balance.readings, again.balance.redelivered) == (4, 2)
    assert again.balance.adds_up


def test_what_is_remembered_of_connections_that_are_no_more_is_let_go() -> None:
    shard = Shard((FLOW | Pushed(((), ()))).plan())
    shard.on_parcel(_parcel(Pushed(((), (payload(1),))), "1"))
    fewer = Shard((FLOW | Pushed(((),))).plan(), shard.snapshot())
    assert list(fewer.snapshot()["known"]) == ["pushed/0"]


def _parcel(source: Source, partition: str = "0") -> Any:
    (parcel,) = Intake(source, FLOW.schema, partition, None, ManualClock()).poll()
    return parcel


def test_to_be_recognised_costs_a_reading_less_than_100_ns() -> None:
    rng = np.random.default_rng(1)
    seen = Seen({"mqtt": 40_000}, [("mqtt", "0")])
    costs = []
    for _ in range(60):
        parcel = origin(rng.integers(1, 2**62, 4096).tolist())
        began = perf_counter_ns()
        seen.new(parcel)
        costs.append((perf_counter_ns() - began) / 4096)
    assert np.median(costs) < 100, costs
