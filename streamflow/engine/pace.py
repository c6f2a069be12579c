"""Pace: history given at the speed it happened, or a multiple of it."""

from __future__ import annotations

import logging
from bisect import bisect_right

import numpy as np

from streamflow.core.batch import Batch
from streamflow.core.clock import Clock
from streamflow.core.connect import DeadLetter, Decoder, Messages, Position, Reader

LONGEST_WAIT = 1.0
"""Seconds between two polls at most: a flow that is told to stop must not sleep through it."""

_LOG = logging.getLogger("streamflow.pace")


class Paced(Reader):
    """Gives each message of a partition when its time has come; never before one ahead of it.

    A message is due `(its event time - the first event time) / pace` after the first. A late one
    is due with its predecessor, a dead one too; one of several readings with its newest. A second
    reader of the same partition runs ahead to learn the times, so that positions remain the
    source's own.

    Parameters
    ----------
    reader, ahead
        Two readers of one partition, at one position.
    decoder
        For the messages of `ahead`; None if it gives batches.
    pace
        How many times faster than it happened.
    clock
        Says what is due.
    """

    def __init__(
        self, reader: Reader, ahead: Reader, decoder: Decoder | None, pace: float, clock: Clock
    ) -> None:
        self._reader, self._ahead, self._decoder = reader, ahead, decoder
        self._pace, self._clock = pace, clock
        self._due: list[int] = []  # of the messages that `ahead` has given and `reader` has not
        self._began: tuple[int, int] | None = None  # on the clock, and in event time
        self._latest = self._told = 0

    def poll(self, limit: int) -> Messages | Batch | DeadLetter | None:
        """What is due."""
        if not self._due:
            self._look(limit)
        count = min(limit, bisect_right(self._due, self._clock.monotonic()))
        if not count:
            self._warn()
            return None
        got = self._reader.poll(count)
        del self._due[: _count(got)]
        return got

    def _look(self, limit: int) -> None:
        got = self._ahead.poll(limit)
        times = np.full(_count(got), np.iinfo(np.int64).min)
        if isinstance(got, Batch):
            times[:] = got.time
        elif isinstance(got, Messages) and self._decoder is not None:
            decoded = self._decoder.decode(got, lambda _i, _reason, _byte=None: None)
            np.maximum.at(times, decoded.message, decoded.batch.time)
        for time in times.tolist():
            self._due.append(self._when(time))

    def _warn(self) -> None:
        # A wrong clock in the data, or a long gap, looks like a flow that hangs.
        if self._due and self._due[0] != self._told and self._seconds() > 60:
            self._told = self._due[0]
            _LOG.warning("the next reading is due in %.0f s", self._seconds())

    def _when(self, time: int) -> int:
        now = self._clock.monotonic()
        if self._began is None:
            if time == np.iinfo(np.int64).min:
                return now
            self._began, self._latest = (now, time), time
        start, first = self._began
        self._latest = max(self._latest, time)
        return start + round((self._latest - first) / self._pace)

    def _seconds(self) -> float:
        return (self._due[0] - self._clock.monotonic()) / 1e9

    def position(self) -> Position:
        """The source's own."""
        return self._reader.position()

    def committed(self, position: Position) -> None:
        """Handed on."""
        self._reader.committed(position)

    def next_poll(self) -> float:
        """Until the next message is due."""
        if not self._due:
            return self._ahead.next_poll()
        return min(max(self._seconds(), 0.0), LONGEST_WAIT)

    def progress(self) -> float | None:
        """The fraction given."""
        return self._reader.progress()

    def close(self) -> None:
        """Both readers."""
        self._reader.close()
        self._ahead.close()


def _count(got: Messages | Batch | DeadLetter | None) -> int:
    if isinstance(got, Messages):
        return len(got.payloads)
    return len(got) if isinstance(got, Batch) else int(got is not None)
