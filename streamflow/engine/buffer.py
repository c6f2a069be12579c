"""Buffer: store and forward. A sink's results wait on disk while the sink cannot be reached."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Literal

from streamflow.core.batch import Batch
from streamflow.core.clock import SystemClock
from streamflow.core.connect import DeadLetter, Position, Sink, Writer
from streamflow.core.event import Event
from streamflow.core.schema import Schema
from streamflow.engine.drain import Drain
from streamflow.engine.frozen import freeze
from streamflow.engine.queue import Queue
from streamflow.errors import Backoff, FlowError

log = logging.getLogger("streamflow.buffer")

_GRACE = 5.0
"""Seconds for the last items when the flow ends; the rest waits for its next start."""
_FULL = 0.5
"""Seconds after which a flow that waits for room looks again."""
_SAY = 60 * 10**9
"""That items are dropped is said again after so many ns."""


@dataclass(frozen=True)
class Buffered(Sink):
    """A sink behind a durable queue; made by `buffered`.

    What the flow has for the sink is written to the queue, and a thread of its own brings it from
    there to the sink: a server that is slow or away never makes the flow wait.

    Parameters
    ----------
    sink
        Where results go.
    path
        The file of the queue, a SQLite database.
    max_bytes, on_full, rate, live_first
        As for `buffered`.
    """

    sink: Sink
    path: Path
    max_bytes: int = field(default=1 << 30, kw_only=True)
    on_full: Literal["stop", "drop_oldest"] = field(default="stop", kw_only=True)
    rate: float = field(default=inf, kw_only=True)
    live_first: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        place = f"buffered sink {self.sink.step!r}"
        if isinstance(self.sink, Buffered):
            raise FlowError(f"{place} is buffered already")
        if self.on_full not in ("stop", "drop_oldest"):
            raise FlowError(f'{place}: on_full={self.on_full!r}; write "stop" or "drop_oldest"')
        if self.max_bytes < 1:
            raise FlowError(f"{place}: max_bytes={self.max_bytes}; at least 1")
        if not self.rate > 0:
            raise FlowError(f"{place}: rate={self.rate:g}; rows per second, more than 0")

    @property
    def step(self) -> str:
        """The name of the sink itself."""
        return self.sink.step

    @property
    def promise(self) -> str:
        """That of the sink; "once" only if nothing leaves the queue that may be taken back."""
        own = self.sink.promise
        return "repeat" if own == "once" and self.deliver == "now" else own

    @property
    def rolls_back(self) -> bool:
        """The queue goes back to its snapshot, whatever the sink can."""
        return True

    def check(self, schema: Schema) -> None:
        """Raise FlowError unless the sink and the queue can be opened."""
        self.sink.check(schema)
        place, folder = f"buffered sink {self.step!r}: {self.path}", self.path.parent
        if os.path.isdir(self.path):
            raise FlowError(f"{place} is a folder; name a file")
        if not os.path.isdir(folder):
            raise FlowError(f"{place} cannot be written: there is no folder {folder}")
        if not os.access(self.path if os.path.exists(self.path) else folder, os.W_OK):
            raise FlowError(f"{place} cannot be written: permission denied")

    def probe(self) -> str:
        """Try the sink's connection."""
        return self.sink.probe()

    def open(self, resume: Position) -> Writer:
        """Behind the item of the number in `resume`; what waits from before goes first."""
        return BufferedWriter(self, resume)


def buffered(
    sink: Sink,
    path: str | Path,
    *,
    max_bytes: int = 1 << 30,
    on_full: Literal["stop", "drop_oldest"] = "stop",
    rate: float = inf,
    live_first: bool = False,
) -> Buffered:
    """Keep what a sink cannot take in a durable queue on disk, and bring it when it can.

    A sink that cannot be reached, or that says it cannot deliver, is tried again for ever, later
    and later, and the flow goes on; so look at its metrics. Items leave in order. A crash loses
    nothing and changes no order: the flow's snapshot is durable
    only when the queue is. Each item reaches the sink at least once; exactly once if the sink rolls
    back and is opened with `deliver="durable"`.

    Parameters
    ----------
    sink
        Any sink. It takes what it took before, and keeps its name.
    path
        The file of the queue; its folder must exist. One flow at a time uses it.
    max_bytes
        The most that may wait, in bytes as they are written. The file is a little larger.
    on_full
        "stop": the flow takes nothing more from its sources until there is room. "drop_oldest":
        what waited longest is dropped, counted and logged.
    rate
        The most rows or events per second while there is a backlog. It must be more than the flow
        brings, or the backlog never ends.
    live_first
        True: what comes now goes at once, and what has waited goes in between. Then the order holds
        within each of the two, not between them.

    Raises
    ------
    FlowError
        If an option cannot be.

    Examples
    --------
    >>> from streamflow_connectors import files
    >>> alerts = buffered(files.jsonl("alerts.jsonl", of="alerts"), "alerts.queue", rate=500)
    >>> alerts.step, alerts.of
    ('jsonl_alerts', 'alerts')
    """
    return Buffered(
        sink,
        Path(path),
        max_bytes=max_bytes,
        on_full=on_full,
        rate=rate,
        live_first=live_first,
        of=sink.of,
        where=sink.where,
        deliver=sink.deliver,
        name=sink.name,
    )


class BufferedWriter(Writer):
    """Writes to the queue.

    With `deliver="durable"` what comes between two snapshots is the same again after a crash, item
    by item. So an item whose number the queue has seen already is passed over: it waits there, or
    has been delivered. With "now" it may differ, and what the queue has of it is taken back.
    """

    def __init__(self, sink: Buffered, resume: Position) -> None:
        self._sink = sink
        self._clock = SystemClock()
        self._said: int | None = None
        self.queue = Queue(sink.path)
        position = self.queue.position
        if resume is None:
            if sink.sink.promise == "once":
                self._start_anew()
                position = None
            self._number = self.queue.last
        else:
            self._number, before = resume
            position = before if position is None else position
            if self.queue.last < self._number:
                log.error(
                    "the queue %s ends at item %d, and %d were in it: it was deleted, or replaced",
                    *(sink.path, self.queue.last, self._number),
                )
            if sink.deliver == "now" or self.queue.last < self._number:
                self.queue.cut(self._number)
        self._resumed = True
        self.drain = Drain(sink.sink, self.queue, position, sink.rate, sink.live_first)
        self.drain.start()

    def write(self, items: Batch | Sequence[Event] | Sequence[DeadLetter]) -> None:
        """Queue them; Backoff while there is no room."""
        self._check()
        if self._resumed and self._number < self.queue.last:
            self._number += 1
            return
        data = freeze(items)
        over = self.queue.size + len(data) - self._sink.max_bytes
        if over > 0 and self.queue.items:
            self._make_room(over)
        self.queue.put(data, len(items))
        self._number = self.queue.last
        self.drain.look()

    def snapshot(self) -> Position:
        """Where the queue ends, all of it durable; and where the sink would resume."""
        self._check()
        self._resumed, self._number = False, self.queue.last
        self.queue.commit()
        return [self._number, self.queue.position]

    def counts(self) -> Mapping[str, int]:
        """What the sink's own writer counts."""
        return self.drain.counts()

    def close(self) -> None:
        """Bring what can be brought in a moment; the rest waits."""
        self.queue.commit()
        self.drain.end(_GRACE)
        if self.queue.items:
            log.warning(
                "%d for sink %r wait in %s for the next start",
                *(self.queue.count, self._sink.step, self._sink.path),
            )
        self.queue.close()

    def _check(self) -> None:
        if self.drain.problem:
            raise self.drain.problem

    def _make_room(self, size: int) -> None:
        if self._sink.on_full == "stop":
            raise Backoff(_FULL, f"its queue {self._sink.path} is full")
        dropped = self.queue.drop(size, self.drain.busy)
        now = self._clock.monotonic()
        if dropped and (self._said is None or now - self._said > _SAY):
            self._said = now
            log.error(
                "the queue %s is full: the oldest are dropped, %d so far",
                *(self._sink.path, self.queue.dropped),
            )

    def _start_anew(self) -> None:
        if self.queue.items:
            log.warning(
                "%d waited in %s for sink %r, which starts anew: they are dropped",
                *(self.queue.count, self._sink.path, self._sink.step),
            )
        self.queue.clear()
