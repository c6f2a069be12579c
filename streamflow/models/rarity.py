"""Rarity: how long ago was there evidence as strong as this?"""

from __future__ import annotations

from bisect import bisect_right
from math import log10

TICKS = 50
"""Evidence is rounded to 1/50, which bounds the history."""
HORIZON = 20_000
"""Readings after which the bar stops rising with age."""


class Rarity:
    r"""The return period of evidence, and the score that follows from it.

    For exchangeable evidence the last of $T$ readings is the strongest with probability $1/T$,
    so a limit on the return period is a budget of alarms that each stream sets for itself: a noisy
    one raises its own bar. The budget grows as the square root of the stream's age.

    The history is the readings whose evidence no later one has reached: strictly falling, so there
    are at most as many as there are ticks.
    """

    __slots__ = ("at", "peaks", "readings")

    def __init__(self) -> None:
        self.readings = 0
        # In ticks, negated so that bisect finds them ascending.
        self.peaks: list[int] = []
        self.at: list[int] = []

    def score(self, evidence: int, weight: float) -> float:
        """evidence + weight log10 R - weight/2 log10(min(n, 20000) / 1000), at least 0.

        R is the number of readings since evidence of at least 0.9 of this was learned, all of them
        and one if there was none; this is reading number n. No evidence scores 0.
        """
        if evidence <= 0:
            return 0.0
        found = bisect_right(self.peaks, -9 * evidence // 10) - 1
        period = self.readings - (self.at[found] if found >= 0 else -1)
        age = min(self.readings + 1, HORIZON) / 1000
        return max(0.0, evidence / TICKS + weight * log10(period * period / age) / 2)

    def learn(self, evidence: int) -> None:
        """One more reading."""
        while self.peaks and self.peaks[-1] >= -evidence:
            self.peaks.pop()
            self.at.pop()
        self.peaks.append(-evidence)
        self.at.append(self.readings)
        self.readings += 1


def ticks(evidence: float) -> int:
    """Evidence in fiftieths."""
    return int(evidence * TICKS + 0.5)
