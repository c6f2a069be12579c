"""Drain: the thread that brings what waits in a queue to a sink, in order, as fast as it may."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import ParamSpec, TypeVar

from streamflow.core.clock import SystemClock
from streamflow.core.connect import Position, Sink, Writer
from streamflow.engine.frozen import thaw
from streamflow.engine.patience import Waits
from streamflow.engine.queue import Item, Queue
from streamflow.errors import Backoff, ConnectorError, NotConnected, StreamflowError

log = logging.getLogger("streamflow.buffer")

P = ParamSpec("P")
T = TypeVar("T")
_ITEMS, _BYTES = 64, 1 << 20
"""What is brought before the sink is asked to make it durable: at most so many items, so much."""
_SLICE = 0.1
"""Of a limited rate so many seconds' worth are brought at a time."""
_LOOK = 0.01
"""Seconds after which an ending thread's queue is looked at again."""
_SAY = 60 * 10**9
"""What goes on failing is said again after so many ns."""
_LAST = 0.2
"""The share of the time to end that is left for what is on its way."""
_IDLE = 1.0
"""Seconds after which an idle thread looks again."""


class _Ended(Exception):
    """The thread is to end."""


class Drain(threading.Thread):
    """Brings items to a sink and takes them out of the queue once they are durable there.

    What waited while the sink could not be reached, or was left by an earlier run, is backlog.

    Parameters
    ----------
    sink
        Where to bring them.
    queue
        Where they are.
    position
        Where the sink resumes, unless the queue knows better.
    rate
        Rows and events per second while there is a backlog; inf is no limit.
    live_first
        Whether what comes now goes before the backlog, at any rate.
    """

    def __init__(
        self, sink: Sink, queue: Queue, position: Position, rate: float, live_first: bool
    ) -> None:
        super().__init__(name=f"streamflow-drain-{sink.step}", daemon=True)
        self._sink, self._queue, self._position = sink, queue, position
        self._rate, self._live_first = rate, live_first
        self._clock = SystemClock()
        self._waits = Waits()
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._down = False
        self._said = 0
        self._writer: Writer | None = None
        self._mark = queue.last
        """Items up to this number are backlog."""
        self._due = 0
        """When the next of the backlog may be brought, monotonic ns."""
        self.busy: frozenset[int] = frozenset()
        """The numbers of the items on their way."""
        self.problem: ConnectorError | None = None
        """What ended the thread."""

    @property
    def failures(self) -> int:
        """How often the sink could not do what it was asked, since the start."""
        return self._waits.failures

    def look(self) -> None:
        """There is something new in the queue."""
        self._wake.set()

    def end(self, patience: float) -> None:
        """Bring what is left while the sink takes it, then end; in at most so many seconds.

        A sink that has not answered by then leaves the thread behind. What it was bringing waits.
        """
        deadline = self._clock.monotonic() + round(patience * 1e9)
        while self.is_alive() and self._queue.items and not self._down:
            left = (deadline - self._clock.monotonic()) / 1e9 - patience * _LAST
            if left <= 0:
                break
            self._clock.sleep(min(left, _LOOK))
        self._ending.set()
        self._wake.set()
        self.join(max((deadline - self._clock.monotonic()) / 1e9, _LOOK))

    def counts(self) -> Mapping[str, int]:
        """What the sink's writer counts."""
        return self._writer.counts() if self._writer else {}

    def run(self) -> None:
        """Until the end."""
        try:
            while not self._ending.is_set():
                try:
                    self._bring_all()
                except ConnectorError as error:
                    if self._queue.problem:
                        raise
                    # What it had of these items may be lost with it, so it is opened anew.
                    self._fails(error)
        except _Ended:
            return
        except Exception as error:
            if self._queue.closed:  # the end did not wait; what was brought here comes again
                return
            said = str(error) if isinstance(error, StreamflowError) else repr(error)
            self.problem = ConnectorError(f"sink {self._sink.step!r}, behind its queue: {said}")
            log.exception("what the sink has not taken waits in %s", self._queue.path)

    def _bring_all(self) -> None:
        known = self._queue.position
        self._writer = self._ask(self._sink.open, self._position if known is None else known)
        try:
            while not self._ending.is_set():
                self._wake.clear()
                items, backlog = self._next()
                if items:
                    self._bring(self._writer, items, backlog)
                    continue
                left = (self._due - self._clock.monotonic()) / 1e9 if self._queue.items else _IDLE
                if not self._wake.wait(max(min(left, _IDLE), 0)) and not self._queue.items:
                    self._tend(self._writer)
        finally:
            self.busy = frozenset()
            with suppress(ConnectorError):  # all that counts was asked of `snapshot`
                self._writer.close()

    def _tend(self, writer: Writer) -> None:
        """A sink that rests may hold something back by itself, which may now be due."""
        position = self._ask(writer.snapshot)
        if position != self._queue.position:
            self._queue.done([], position)

    def _next(self) -> tuple[list[Item], bool]:
        """What to bring now, and whether it is of the backlog."""
        if self._down:
            self._mark = self._queue.last
        if self._live_first:
            live = self._queue.oldest(_ITEMS, _BYTES, self._mark)
            if live:
                return live, False
        if self._clock.monotonic() < self._due:
            return [], True
        items = self._queue.oldest(_ITEMS, _BYTES)
        backlog = bool(items) and items[0].number <= self._mark
        if not backlog:
            return items, False
        if not self._live_first:
            self._mark = self._queue.last  # what comes meanwhile waits behind the backlog
        room, count = self._rate * _SLICE, 0
        for number, item in enumerate(items):
            count += item.count
            if count >= room:
                return items[: number + 1], True
        return items, True

    def _bring(self, writer: Writer, items: Sequence[Item], backlog: bool) -> None:
        self.busy = frozenset(item.number for item in items)
        for number, item in enumerate(items, start=1):
            before = self.failures
            self._ask(writer.write, thaw(item.data))
            if self.failures > before or self._ending.is_set():
                items = items[:number]  # the rest goes with the backlog, or at the next start
                break
        position = self._ask(writer.snapshot)
        self._queue.done(items, position)
        self._waits.over()
        if self._down:
            self._down = False
            log.info("sink %r goes on; %d wait", self._sink.step, self._queue.count)
        self.busy = frozenset()
        if backlog:
            seconds = sum(item.count for item in items) / self._rate
            self._due = self._clock.monotonic() + round(seconds * 1e9)

    def _ask(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        while True:
            try:
                return act(*args, **kwargs)
            except (Backoff, NotConnected) as error:
                self._fails(error)

    def _fails(self, error: ConnectorError) -> None:
        """Wait before the next try."""
        now = self._clock.monotonic()
        if not self._down or now - self._said > _SAY:
            self._said = now
            log.warning(
                "sink %r cannot go on, what comes waits in %s: %s",
                *(self._sink.step, self._queue.path, error),
            )
        self._down = True
        if self._ending.wait(self._waits.after(error)):
            raise _Ended from None
