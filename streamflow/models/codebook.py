"""Codebooks: how far is a value from all that was seen before, at several resolutions?"""

from __future__ import annotations

from bisect import bisect_left, insort
from math import log10

RESOLUTIONS = (0.0025, 0.005, 0.01)
FLOOR = 1e-3
"""Distances below a thousandth of the range count alike."""
LARGEST = 1e300
"""Beyond it the difference of two values may overflow."""
GROWTH = 9.0
"""How many times its own width a range may widen to either side with one value."""
DIGITS = 1e-9
"""Below nine digits a change is rounding, not a signal."""
SMALLEST = 1e-300


class Codebooks:
    r"""The values of one series, sorted, one list a resolution $\varepsilon$.

    The novelty of a value is the mean over the resolutions of

    $$\log_{10}(o_\varepsilon + 10^{-3}) + 3 \in [0, 3],$$

    where $o_\varepsilon \le 1$ is the distance to the nearest value of the list, as a share of the
    range so far. A list retains a value if $o_\varepsilon > \varepsilon$; one that is full is
    thinned to its resolution at the present range, so it holds little more than $1/\varepsilon$
    numbers. One value widens the range at most tenfold, so that an absurd one does not blind it.
    """

    __slots__ = ("books", "high", "low", "resolutions")

    def __init__(self, first: float, resolutions: tuple[float, ...]) -> None:
        self.resolutions = resolutions
        self.books = [[first] for _ in resolutions]
        self.low = self.high = first

    @property
    def width(self) -> float:
        """The range so far; never 0, it divides."""
        low, high = self.low, self.high
        return max(high - low, DIGITS * max(abs(low), abs(high)), SMALLEST)

    def distances(self, value: float) -> list[float]:
        """The distance to the nearest retained value, per resolution, in ranges, at most 1."""
        width = self.width
        found = []
        for book in self.books:
            at = bisect_left(book, value)
            if at == len(book):
                gap = value - book[-1]
            else:
                gap = book[at] - value
                if at and value - book[at - 1] < gap:
                    gap = value - book[at - 1]
            found.append(gap / width if gap < width else 1.0)
        return found

    def learn(self, value: float) -> None:
        """Retain the value where it is new, and widen the range."""
        width = self.width
        distances = self.distances(value)
        for book, distance, resolution in zip(self.books, distances, self.resolutions, strict=True):
            if distance > resolution:
                size = room(resolution)
                if len(book) >= size:
                    _thin(book, resolution * width)
                if len(book) < size:
                    insort(book, value)
        if self.low <= value <= self.high:
            return
        # While all values were equal there is no range that could widen by a multiple.
        step = GROWTH * width if self.low < self.high else 2 * LARGEST
        self.low = min(self.low, max(value, self.low - step))
        self.high = max(self.high, min(value, self.high + step))


def room(resolution: float) -> int:
    """How many values a codebook may hold: those of a range at its resolution, and some more."""
    return int(min(1 / resolution, 2032)) + 16


def novelty(distances: list[float]) -> float:
    """The mean over the resolutions of log10(distance + 0.001) + 3."""
    product = 1.0
    for distance in distances:
        product *= distance + FLOOR
    return log10(product) / len(distances) + 3


def _thin(book: list[float], step: float) -> None:
    kept = book[:1]
    for value in book:
        if value - kept[-1] > step:
            kept.append(value)
    book[:] = kept
