"""Buffered: what a sink cannot take waits on disk, in order, and goes out when it can."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from streamflow_connectors import files

from streamflow import Batch, DeadLetter, Event, Flow, Position, Sink, Writer, buffered
from streamflow.engine.buffer import Buffered, BufferedWriter
from streamflow.errors import Backoff, ConnectorError, FlowError, NotConnected
from streamflow.testing import Collect, Flaky

ALERTS = Collect(of="alerts")
SCHEMA = Flow("any", sensors=["t"]).schema


def event(n: int) -> Event:
    return Event(f"id-{n}", "alert", "alert", f"device-{n}", n)


def wait(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.002)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., BufferedWriter]]:
    """Opens a buffered sink; whatever is open at the end is closed."""
    writers: list[BufferedWriter] = []

    def open_(sink: Sink, resume: Position = None, **options: Any) -> BufferedWriter:
        writers.append(buffered(sink, tmp_path / "queue", **options).open(resume))  # type: ignore[arg-type]
        return writers[-1]

    yield open_
    for writer in writers:
        if writer.drain.is_alive():
            writer.drain.end(0)  # what is left is nobody's
            writer.close()


@pytest.fixture
def down(tmp_path: Path) -> Path:
    return tmp_path / "down"


def test_what_waited_goes_out_in_order(
    opened: Callable[..., BufferedWriter], down: Path, caplog: pytest.LogCaptureFixture
) -> None:
    collect = Collect(of="alerts")
    writer = opened(Flaky(collect, down))
    writer.write([event(0)])
    wait(lambda: len(collect.items) == 1)
    down.touch()
    with caplog.at_level(logging.INFO, "streamflow.buffer"):
        for n in range(1, 200):
            writer.write([event(n)])
        assert writer.snapshot() == [200, None]
        wait(lambda: writer.drain.failures > 0)
        assert writer.queue.count == 199
        down.unlink()
        wait(lambda: not writer.queue.items)
    assert collect.items == [event(n) for n in range(200)]
    said, goes_on = caplog.messages
    assert said.startswith("sink 'collect_alerts' cannot go on, what comes waits in ")
    assert goes_on.startswith("sink 'collect_alerts' goes on; ")
    writer.close()


def test_it_is_there_after_a_restart(opened: Callable[..., BufferedWriter], down: Path) -> None:
    collect = Collect(of="alerts")
    down.touch()
    writer = opened(Flaky(collect, down))
    writer.write([event(1), event(2)])
    resume = writer.snapshot()
    writer.write([event(3)])
    began = time.monotonic()
    writer.close()
    assert time.monotonic() - began < 1, "a sink that is away is not waited for"
    down.unlink()
    again = opened(Flaky(collect, down), resume)
    again.write([event(4)])
    again.close()
    assert collect.items == [event(1), event(2), event(4)], "3 came after the snapshot"


def test_a_slow_sink_does_not_stall_the_flow(
    opened: Callable[..., BufferedWriter], down: Path
) -> None:
    collect = Collect(of="alerts")
    writer = opened(Flaky(collect, down, slow=0.2))
    began = time.monotonic()
    for n in range(100):
        writer.write([event(n)])
    writer.snapshot()
    assert time.monotonic() - began < 1
    assert len(collect.items) < 10
    writer.drain.end(0)


def test_a_limited_rate_holds_for_the_backlog(
    opened: Callable[..., BufferedWriter], down: Path
) -> None:
    collect = Collect(of="alerts")
    down.touch()
    writer = opened(Flaky(collect, down, wait=0.05), rate=200)
    for n in range(100):
        writer.write([event(n)])
    wait(lambda: writer.drain.failures > 0)
    began = time.monotonic()
    down.unlink()
    wait(lambda: len(collect.items) == 100)
    assert 0.35 < time.monotonic() - began < 5
    assert collect.items == [event(n) for n in range(100)]


def test_live_first(opened: Callable[..., BufferedWriter], down: Path) -> None:
    collect = Collect(of="alerts")
    down.touch()
    writer = opened(Flaky(collect, down, wait=0.05), rate=50, live_first=True)
    for n in range(200):
        writer.write([event(n)])
    wait(lambda: writer.drain.failures > 0)
    down.unlink()
    wait(lambda: len(collect.items) > 0)
    for n in range(1000, 1010):
        writer.write([event(n)])
    wait(lambda: event(1009) in collect.items)
    old = [e.time for e in collect.items if e.time < 1000]
    live = [e.time for e in collect.items if e.time >= 1000]
    assert live == list(range(1000, 1010))
    assert old == list(range(len(old)))
    assert len(old) < 190, "live ones went before the backlog"


def test_a_full_queue_holds_the_flow_back_until_there_is_room(
    opened: Callable[..., BufferedWriter], down: Path
) -> None:
    collect = Collect(of="alerts")
    down.touch()
    writer = opened(Flaky(collect, down, wait=0.05), max_bytes=1000)
    written: list[int] = []

    def fill() -> None:
        for n in range(100):
            written.append(n)
            writer.write([event(n)])

    with pytest.raises(Backoff, match="queue is full") as full:
        fill()
    assert 1 < len(written) < 20
    assert full.value.wait > 0
    assert writer.queue.size <= 1000
    with pytest.raises(Backoff):
        writer.write([event(written[-1])])
    writer.snapshot()
    down.unlink()
    wait(lambda: not writer.queue.items)
    writer.write([event(written[-1])])
    writer.close()
    assert collect.items == [event(n) for n in written]


def test_the_oldest_are_dropped_counted_and_said(
    opened: Callable[..., BufferedWriter], down: Path, caplog: pytest.LogCaptureFixture
) -> None:
    collect = Collect(of="alerts")
    down.touch()
    writer = opened(Flaky(collect, down, wait=0.05), max_bytes=2000, on_full="drop_oldest")
    for n in range(100):
        writer.write([event(n)])
    assert writer.queue.size <= 2000
    dropped = writer.queue.dropped
    assert dropped == 100 - writer.queue.count > 50
    assert "is full: the oldest are dropped" in caplog.text
    down.unlink()
    wait(lambda: not writer.queue.items)
    assert collect.items == [event(n) for n in range(dropped, 100)]


def test_an_item_larger_than_the_queue_still_goes_through(
    opened: Callable[..., BufferedWriter],
) -> None:
    collect = Collect(of="alerts")
    writer = opened(collect, max_bytes=1)
    writer.write([event(1)])
    wait(lambda: not writer.queue.items)
    writer.write([event(2)])
    writer.close()
    assert collect.items == [event(1), event(2)]


@dataclass(frozen=True)
class Broken(Sink):
    """Fails now and then: what it has been given since its last snapshot is lost."""

    errors: list[Exception] = field(default_factory=list)
    there: list[Any] = field(default_factory=list)
    opened: list[Position] = field(default_factory=list)

    def open(self, resume: Position) -> Writer:
        self.opened.append(resume)
        return _Broken(self)


class _Broken(Writer):
    def __init__(self, sink: Broken) -> None:
        self._sink = sink
        self._taken: list[Any] = []

    def write(self, items: Batch | Sequence[Event] | Sequence[DeadLetter]) -> None:
        self._taken += items

    def snapshot(self) -> Position:
        if self._sink.errors:
            raise self._sink.errors.pop()
        self._sink.there.extend(self._taken)
        self._taken = []
        return len(self._sink.there)

    def counts(self) -> Mapping[str, int]:
        return {"taken": len(self._taken)}


def test_a_sink_that_cannot_deliver_is_opened_anew_and_given_all_again(
    opened: Callable[..., BufferedWriter], caplog: pytest.LogCaptureFixture
) -> None:
    sink = Broken([ConnectorError("2 messages were not delivered")] * 2)
    writer = opened(sink)
    for n in range(5):
        writer.write([event(n)])
    wait(lambda: not writer.queue.items)
    assert sink.there == [event(n) for n in range(5)]
    assert sink.opened == [None] * 3
    assert writer.drain.failures == 2
    assert writer.counts() == {"taken": 0}
    assert caplog.text.count("2 messages were not delivered") == 1
    sink.errors.append(ConnectorError("again"))
    writer.write([event(5)])
    wait(lambda: not writer.queue.items)
    assert sink.opened[-1] == 5
    assert sink.there[-1] == event(5)


def test_a_sink_with_a_bug_ends_the_flow_and_loses_nothing(
    opened: Callable[..., BufferedWriter],
) -> None:
    writer = opened(Broken([ZeroDivisionError("oh")]))
    writer.write([event(1)])
    wait(lambda: writer.drain.problem is not None)
    with pytest.raises(ConnectorError) as raised:
        writer.write([event(2)])
    assert str(raised.value) == "sink 'broken_rows', behind its queue: ZeroDivisionError('oh')"
    with pytest.raises(ConnectorError):
        writer.snapshot()
    writer.queue.commit()
    assert writer.queue.count == 1
    writer.queue.close()


@dataclass(frozen=True)
class Stuck(Sink):
    """A server that answers only when it is let."""

    answers: threading.Event = field(default_factory=threading.Event)
    given: list[Event] = field(default_factory=list)

    def open(self, resume: Position) -> Writer:
        return _Stuck(self)


class _Stuck(Writer):
    def __init__(self, sink: Stuck) -> None:
        self._sink = sink

    def write(self, items: Any) -> None:
        self._sink.answers.wait(20)
        self._sink.given.extend(items)


def test_a_sink_that_answers_after_the_end_costs_nothing_but_a_second_delivery(
    opened: Callable[..., BufferedWriter],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamflow.engine.buffer._GRACE", 0.05)
    sink = Stuck(of="alerts")
    writer = opened(sink)
    writer.write([event(1)])
    wait(lambda: bool(writer.drain.busy))
    resume = writer.snapshot()
    began = time.monotonic()
    writer.close()
    assert time.monotonic() - began < 1
    assert writer.drain.is_alive()
    sink.answers.set()
    writer.drain.join(10)
    assert writer.drain.problem is None
    (said,) = caplog.messages
    assert said.startswith("1 for sink 'stuck_alerts' wait in ")
    again = opened(sink, resume)
    wait(lambda: not again.queue.items)
    assert sink.given == [event(1), event(1)]


def test_a_slow_sink_is_left_at_the_end_with_nothing_given_twice(
    opened: Callable[..., BufferedWriter], down: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamflow.engine.buffer._GRACE", 0.5)
    collect = Collect(of="alerts")
    writer = opened(Flaky(collect, down, slow=0.03))
    for n in range(30):
        writer.write([event(n)])
    resume = writer.snapshot()
    writer.close()
    given = len(collect.items)
    assert 0 < given < 30
    assert not writer.drain.is_alive()
    again = opened(collect, resume)
    wait(lambda: not again.queue.items)
    assert collect.items == [event(n) for n in range(30)]


def test_every_outlet_goes_through(tmp_path: Path) -> None:
    rows = [{"device": "a", "time": n, "t": float(n)} for n in range(5)]
    batch = Batch.of(rows, ["t"])
    letters = [DeadLetter(b"\xff{", "not JSON", "mqtt", "0", 17, 1)]
    for of, items in (("rows", batch), ("events", [event(1)]), ("dead_letters", letters)):
        target = tmp_path / f"{of}.jsonl"
        writer = buffered(files.jsonl(target, of=of), tmp_path / f"{of}.queue").open(None)  # type: ignore[call-overload]
        writer.write(items)
        writer.close()
        plain = files.jsonl(tmp_path / "plain", of=of).open(None)  # type: ignore[call-overload]
        plain.write(items)
        plain.close()
        assert target.read_text() == (tmp_path / "plain").read_text() != ""


def late(tmp_path: Path, down: Path) -> Buffered:
    """Exactly once: a file behind a queue, given only what is durable."""
    target = replace(files.jsonl(tmp_path / "out.jsonl", of="alerts"), deliver="durable")
    return buffered(Flaky(target, down), tmp_path / "queue")


def lines(tmp_path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]


def test_what_is_given_again_after_a_crash_is_passed_over(tmp_path: Path, down: Path) -> None:
    sink = late(tmp_path, down)
    assert (sink.promise, sink.rolls_back) == ("once", True)
    writer = sink.open(None)
    writer.write([event(1)])
    resume = writer.snapshot()
    writer.write([event(2)])
    writer.write([event(3)])
    writer.close()
    for _ in range(2):  # the snapshot after them was not durable: they come again
        again = sink.open(resume)
        again.write([event(2)])
        again.write([event(3)])
        again.snapshot()
        again.close()
        assert lines(tmp_path) == ["id-1", "id-2", "id-3"]
    again = sink.open(resume)
    again.write([event(2)])
    again.write([event(3)])
    again.write([event(4)])
    again.close()
    assert lines(tmp_path) == ["id-1", "id-2", "id-3", "id-4"]


def test_an_older_state_put_back_on_purpose_loses_nothing(tmp_path: Path, down: Path) -> None:
    sink = late(tmp_path, down)
    writer = sink.open(None)
    old = writer.snapshot()
    for n in range(5):
        writer.write([event(n)])
    writer.snapshot()
    writer.close()
    again = sink.open(old)
    again.snapshot()  # nothing was given again
    again.write([event(7)])
    again.close()
    assert lines(tmp_path)[-1] == "id-7"


def test_a_queue_that_was_deleted_does_not_take_the_file_along(
    tmp_path: Path, down: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = late(tmp_path, down)
    writer = sink.open(None)
    writer.write([event(1)])
    wait(lambda: not writer.queue.items)  # type: ignore[attr-defined]
    resume = writer.snapshot()
    writer.close()
    (tmp_path / "queue").unlink()
    again = sink.open(resume)
    again.write([event(2)])
    again.close()
    assert "ends at item 0, and 1 were in it: it was deleted, or replaced" in caplog.text
    assert lines(tmp_path) == ["id-1", "id-2"]


def test_a_fresh_run_drops_what_waits_for_a_file_that_starts_anew_and_keeps_the_rest(
    tmp_path: Path, down: Path, caplog: pytest.LogCaptureFixture
) -> None:
    down.touch()
    writer = late(tmp_path, down).open(None)
    writer.write([event(1)])
    writer.close()
    down.unlink()
    late(tmp_path, down).open(None).close()
    assert "1 waited in " in caplog.text
    wait(lambda: lines(tmp_path) == [])
    collect = Collect(of="alerts")
    down.touch()
    writer = buffered(Flaky(collect, down), tmp_path / "other").open(None)
    writer.write([event(1)])
    writer.close()
    down.unlink()
    buffered(Flaky(collect, down), tmp_path / "other").open(None).close()
    assert collect.items == [event(1)]


def test_promises() -> None:
    path = Path("q")
    assert buffered(files.jsonl("x", of="rows"), path).promise == "repeat"
    assert buffered(ALERTS, path).promise == "repeat"
    assert buffered(ALERTS, path).step == "collect_alerts"
    named = replace(files.jsonl("x", of="rows"), where="t > 1", name="far", deliver="durable")
    sink = buffered(named, path)
    assert (sink.of, sink.where, sink.name, sink.deliver) == ("rows", "t > 1", "far", "durable")
    assert (sink.step, sink.promise) == ("far", "once")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"on_full": "explode"}, 'on_full=\'explode\'; write "stop" or "drop_oldest"'),
        ({"max_bytes": 0}, "max_bytes=0; at least 1"),
        ({"rate": 0}, "rate=0; rows per second, more than 0"),
        ({"rate": float("nan")}, "rate=nan"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], said: str) -> None:
    with pytest.raises(FlowError) as error:
        buffered(ALERTS, "queue", **options)
    assert str(error.value).startswith("buffered sink 'collect_alerts'")
    assert said in str(error.value)


def test_buffered_twice() -> None:
    with pytest.raises(FlowError, match="is buffered already"):
        buffered(buffered(ALERTS, "a"), "b")


def test_places_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(FlowError, match="is a folder; name a file"):
        buffered(ALERTS, tmp_path).check(SCHEMA)
    with pytest.raises(FlowError, match="there is no folder"):
        buffered(ALERTS, tmp_path / "no" / "queue").check(SCHEMA)
    buffered(ALERTS, tmp_path / "queue").check(SCHEMA)
    with pytest.raises(FlowError, match="there is no folder"):
        buffered(files.jsonl(tmp_path / "no" / "x", of="rows"), tmp_path / "q").check(SCHEMA)


def test_a_queue_in_use_is_waited_for(tmp_path: Path) -> None:
    sink = buffered(ALERTS, tmp_path / "queue")
    writer = sink.open(None)
    with pytest.raises(NotConnected, match="in use by another flow"):
        sink.open(None)
    writer.close()
    sink.open(None).close()
