from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from streamflow import Batch, DeadLetter, Flow, Json, Message, Messages, Reader, Source
from streamflow.core.clock import ManualClock
from streamflow.engine.intake import FIRST, LEAST, MOST, Intake
from streamflow.engine.local import replay
from streamflow.errors import Backoff, ConnectorError, EndOfStream, NotConnected

FLOW = Flow("test", sensors=["t"])


def payload(i: int) -> bytes:
    return b'{"device": "a", "time": %d, "t": %d}' % (i, i)


@dataclass(frozen=True)
class Ticks(Source):
    """A simple source: a generator."""

    n: int = 10
    arrived: int | None = None

    @property
    def format(self) -> Json:
        return Json()

    def open(self, partition: str, position: Any) -> Iterator[Message | None]:
        for i in range(position or 0, self.n):
            if i == 5:
                yield None
            yield Message(payload(i), position=i + 1, arrived=self.arrived)


def intake(source: Source, position: Any = None) -> Intake:
    return Intake(source, FLOW.schema, "0", position, ManualClock())


def test_a_generator_is_a_source_and_none_is_nothing_now() -> None:
    open_ = intake(Ticks())
    (first,), (second,) = open_.poll(), open_.poll()
    assert (first.received, second.received) == (5, 5)
    with pytest.raises(EndOfStream):
        open_.poll()


def test_its_position_is_that_of_the_last_message() -> None:
    open_ = intake(Ticks())
    assert open_.reader.position() is None
    open_.poll()
    assert open_.reader.position() == 5
    (again,) = intake(Ticks(), 7).poll()
    assert again.batch is not None
    assert again.batch["t"].tolist() == [7.0, 8.0, 9.0]


def test_messages_of_one_arrival_come_together() -> None:
    (parcel,) = intake(Ticks(arrived=77)).poll()
    assert parcel.batch is not None
    assert parcel.batch.arrived.tolist() == [77] * 5


def test_a_backlog_comes_in_batches_that_take_a_twentieth_of_a_second() -> None:
    clock = ManualClock()
    open_ = Intake(Ticks(10**6), FLOW.schema, "0", 6, clock)
    received = []
    for each in (10e-6, 10e-6, 1e-3, 1e-3, 1e-7, 1e-7):  # seconds that the flow takes for a message
        (parcel,) = open_.poll()
        received.append(parcel.received)
        clock.sleep(parcel.received * each)
    assert received == [FIRST, 5000, 5000, LEAST, LEAST, MOST]


def test_a_pause_of_the_source_says_nothing_of_the_flow() -> None:
    clock = ManualClock()
    open_ = Intake(Ticks(10**5), FLOW.schema, "0", 0, clock)
    assert open_.poll()[0].received == 5  # then there was nothing
    clock.sleep(60)
    assert open_.poll()[0].received == FIRST


def test_an_empty_generator_has_ended() -> None:
    with pytest.raises(EndOfStream):
        intake(Ticks(0)).poll()
    assert FLOW.replay(Ticks(0)).balance.received == 0


@dataclass(frozen=True)
class Formless(Ticks):
    format: Any = None  # type: ignore[assignment]


def test_messages_without_a_format_are_json() -> None:
    assert intake(Formless()).poll() == intake(Ticks()).poll()


class Bits(Reader):
    """Gives what it is told, one thing a poll; an error is raised, for ever if it is the last."""

    def __init__(self, things: list[Any]) -> None:
        self._things = things

    def poll(self, limit: int) -> Any:
        thing = self._things.pop(0) if len(self._things) > 1 else self._things[0]
        if isinstance(thing, Exception):
            raise thing
        return thing

    def position(self) -> int:
        return 0


@dataclass(frozen=True)
class Given(Source):
    things: Any = ()

    def open(self, partition: str, position: Any) -> Reader:
        return Bits(list(self.things))


def bit(i: int, **more: Any) -> Messages:
    return Messages([payload(i)], [i], **more)


END = EndOfStream("over")
BATCH = Batch.of([{"device": "a", "time": 0, "t": 1.0}], ["t"])
DEAD = DeadLetter(b"?", "endless", "given", "0", 3)


@pytest.mark.parametrize(
    ("things", "sizes"),
    [
        ([bit(0), bit(1), bit(2), None], [3]),
        ([bit(0), None, bit(1), END], [1]),
        ([bit(0), bit(1, arrived=7), bit(2, arrived=7), bit(3, arrived=8), None], [1, 2, 1]),
        ([bit(0), bit(1, header=b"t"), None], [1, 1]),
        ([bit(0, fields={"x": ["1"]}), bit(1, fields={"x": ["2"]}), bit(2), None], [2, 1]),
        ([bit(0), bit(1, ids=[b"1"]), bit(2, ids=[b"2"]), None], [1, 1, 1]),
        ([bit(0), BATCH, BATCH, DEAD, bit(1), bit(2), None], [1, 1, 1, 1, 2]),
        ([None], []),
    ],
)
def test_what_is_there_comes_at_once_and_what_is_alike_together(
    things: list[Any], sizes: list[int]
) -> None:
    assert [parcel.received for parcel in intake(Given(things=things)).poll()] == sizes


@pytest.mark.parametrize("error", [END, Backoff(3.0), NotConnected("gone")])
def test_what_is_there_comes_before_an_error(error: ConnectorError) -> None:
    open_ = intake(Given(things=[bit(0), bit(1), error, bit(2), None]))
    assert [parcel.received for parcel in open_.poll()] == [2]
    with pytest.raises(type(error)):
        open_.poll()
    assert [parcel.received for parcel in open_.poll()] == [1]


def test_a_slow_reader_is_not_asked_for_more() -> None:
    clock = ManualClock()

    class Slow(Bits):
        def poll(self, limit: int) -> Any:
            clock.sleep(0.0011)
            return super().poll(limit)

    open_ = Intake(Given(), FLOW.schema, "0", None, clock)
    open_.reader = Slow([bit(0), bit(1), bit(2), bit(3), None])
    assert [parcel.received for parcel in open_.poll()] == [3]
    assert [parcel.received for parcel in open_.poll()] == [1]


class Script(Reader):
    """Does what it is told, poll by poll."""

    def __init__(self, script: list[Any]) -> None:
        self._script = iter(script)
        self.closed = False

    def poll(self, limit: int) -> Any:
        got = next(self._script, EndOfStream("done"))
        if isinstance(got, Exception):
            raise got
        return got

    def position(self) -> Any:
        return None

    def close(self) -> None:
        self.closed = True


@dataclass(frozen=True)
class Scripted(Source):
    reader: Script = field(kw_only=True)

    def open(self, partition: str, position: Any) -> Reader:
        return self.reader


BATCH = Batch.of([{"device": "a", "time": 0, "t": 1.0}], ["t"])
DEAD = DeadLetter(b"x", "too long", "scripted", "0", 3)


def test_a_reader_may_give_batches_and_dead_letters_of_its_own() -> None:
    result = FLOW.replay(Scripted(reader=Script([BATCH, DEAD, None, BATCH])))
    assert len(result.rows) == 2
    assert result.dead_letters == [DEAD]
    balance = result.balance
    assert (balance.received, balance.decoded, balance.dead) == (3, 2, 1)
    assert balance.adds_up


def test_a_broken_connection_is_tried_again_and_the_wait_is_kept() -> None:
    clock = ManualClock()
    script = [NotConnected("gone"), BATCH, Backoff(30), None, BATCH]
    result = replay(FLOW.plan(), (Scripted(reader=Script(script)),), clock=clock)
    assert len(result.rows) == 2
    assert 31 < clock.now() / 1e9 < 31.1


def test_readers_are_closed_at_the_end_and_after_a_failure() -> None:
    good, bad = Script([BATCH]), Script([BATCH, RuntimeError("boom")])
    FLOW.replay(Scripted(reader=good))
    with pytest.raises(RuntimeError, match="boom"):
        FLOW.replay(Scripted(reader=bad))
    assert good.closed
    assert bad.closed


def test_progress_is_told() -> None:
    told: list[tuple[float | None, int]] = []
    FLOW.replay(Ticks(), progress=lambda fraction, readings: told.append((fraction, readings)))
    assert told == [(None, 5), (None, 10)]
