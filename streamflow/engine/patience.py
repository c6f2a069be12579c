"""Patience: what is asked of a sink that cannot take it now is asked again, later and later."""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random
from typing import ParamSpec, TypeVar

from streamflow.core.clock import Clock, SystemClock
from streamflow.errors import Backoff, ConnectorError, NotConnected

log = logging.getLogger("streamflow.sinks")

P = ParamSpec("P")
T = TypeVar("T")
_SOONEST, _FIRST, _LONGEST = 0.01, 0.2, 30.0
"""Seconds to wait: at least, after the first failure, and at most if nothing else is asked."""
_LOOK = 0.1
"""A stop is noticed after so many seconds of waiting."""
_SAY = 60 * 10**9
"""What goes on failing is said again after so many ns."""


class Waits:
    """How long to wait after each failure: what Backoff says, else twice as long as before.

    Each wait is shortened at random by up to half, so that a thousand gateways that lost the same
    server do not come back in the same moment.
    """

    def __init__(self) -> None:
        self._next = _FIRST
        self._random = Random()  # its own: it draws nothing from what a user's code has seeded
        self.failures = 0
        """Since the start."""

    def after(self, error: ConnectorError) -> float:
        """Seconds to wait after this failure."""
        self.failures += 1
        if isinstance(error, Backoff):
            return max(error.wait, _SOONEST)
        wait, self._next = self._next, min(2 * self._next, _LONGEST)
        return wait * self._random.uniform(0.5, 1)

    def over(self) -> None:
        """It went well: the next failure is a first one."""
        self._next = _FIRST


class Patience:
    """Asks a sink until it can do what it is asked, or the flow is told to stop.

    Nothing else of the flow's next epoch runs meanwhile, so its memory stays bounded by what one
    epoch takes in.

    Parameters
    ----------
    step
        The name of the sink.
    clock
        What to wait by.
    stopping
        Whether the flow was told to stop: then a sink that cannot be reached ends it.
    """

    def __init__(
        self,
        step: str,
        clock: Clock | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._step, self._stopping = step, stopping
        self._clock = clock or SystemClock()
        self._waits = Waits()

    @property
    def failures(self) -> int:
        """How often the sink could not do what it was asked, since the start."""
        return self._waits.failures

    def ask(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `act` gives; ConnectorError if it cannot be had before the flow is to stop."""
        said: int | None = None
        while True:
            try:
                got = act(*args, **kwargs)
            except (Backoff, NotConnected) as error:
                now = self._clock.monotonic()
                if said is None or now - said > _SAY:
                    said = now
                    log.warning(
                        "sink %r cannot go on, and the flow waits for it: %s", self._step, error
                    )
                self._wait(self._waits.after(error), error)
                continue
            if said is not None:
                log.info("sink %r goes on", self._step)
            self._waits.over()
            return got

    def _wait(self, seconds: float, error: ConnectorError) -> None:
        end = self._clock.monotonic() + round(seconds * 1e9)
        while True:
            if self._stopping():
                raise ConnectorError(
                    f"sink {self._step!r} could not take all before the flow was to stop: {error}. "
                    f"What it lacks comes again at the next start with --state"
                )
            left = (end - self._clock.monotonic()) / 1e9
            if left <= 0:
                return
            self._clock.sleep(min(left, _LOOK))
