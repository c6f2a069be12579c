"""Season: what a series usually is at this hour of the day, and how unusual its departure is."""

from __future__ import annotations

from math import floor, isfinite

from streamflow.models.codebook import Codebooks, novelty

HOURS = 24
FASTEST = 0.1
"""The least weight of a value in the mean of its hour."""
ENOUGH = 2
"""Values of an hour before there is a departure from it."""


class Season:
    """The novelty of a value's departure from the mean of its hour.

    The mean is exponentially weighted, so that with many readings an hour it follows the series
    closely: the departure is then a difference, and else a departure from the days before.
    """

    __slots__ = ("books", "count", "mean")

    def __init__(self, first: float, hour: int, resolutions: tuple[float, ...]) -> None:
        self.mean = [0.0] * HOURS
        self.count = [0] * HOURS
        self.books = Codebooks(0.0, resolutions)
        self._follow(first, hour)

    def departure(self, value: float, hour: int) -> float:
        """From the mean of the hour, 0 until it is known."""
        return value - self.mean[hour] if self.count[hour] >= ENOUGH else 0.0

    def novelty(self, value: float, hour: int) -> float:
        """Of the departure, in [0, 3]."""
        return novelty(self.books.distances(self.departure(value, hour)))

    def learn(self, value: float, hour: int) -> None:
        """Learn the departure, then the mean."""
        self.books.learn(self.departure(value, hour))
        self._follow(value, hour)

    def _follow(self, value: float, hour: int) -> None:
        step = value - self.mean[hour]
        if self.count[hour] >= ENOUGH:
            # One absurd value must not carry the mean away.
            step = min(max(step, self.books.low), self.books.high)
        self.count[hour] += 1
        self.mean[hour] += max(FASTEST, 1 / self.count[hour]) * step


def hour_of(time: float | None) -> int:
    """The hour of the day, UTC, of seconds since 1970; 0 for None and what is no time.

    >>> hour_of(1_767_225_600 + 3 * 3600), hour_of(None), hour_of(-1.0)
    (3, 0, 23)
    """
    if time is None or not isfinite(time):
        return 0
    return int(floor(time / 3600.0) % HOURS)
