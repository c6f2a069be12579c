"""Level shift: have the means of this sensor's last values ever been as unusual?"""

from __future__ import annotations

from typing import ClassVar

from streamflow.models.onset import Onset, Parts


class LevelShift(Onset):
    r"""Surprise at the means of the last 24, 48, 96 and 192 values.

    With $y$ the mean of the last $w$ values and $z = |y - \mu| / \sigma$ its deviation from the
    means before, the surprise is the mean over $w$ of $-\log_{10} p_w$, where $p_w$ is the share
    of the earlier deviations that were as large. Each window is thus measured by its own past,
    however much neighbouring values depend on each other. Its rarity makes the score, as in
    `ValueNovelty`. It finds small changes that last, not single values.

    The means that a deviation is measured by fade with half-lives of 350 readings, the counts of
    deviations with 1,400: a new level becomes usual.

    Parameters
    ----------
    rarity_weight, warm_up
        As in `ValueNovelty`.

    Attributes
    ----------
    ALERT_LIMIT
        4.5: of the first 5,000 readings of Gaussian noise 8 exceed it.

    Examples
    --------
    >>> import random
    >>> from streamflow.models.level_shift import LevelShift

    >>> rng = random.Random(42)
    >>> detector = LevelShift()
    >>> for _ in range(3000):
    ...     detector.learn_one({"flow": rng.gauss(20, 1)})
    >>> scores = []
    >>> for _ in range(100):  # one standard deviation higher: no single value is unusual
    ...     x = {"flow": rng.gauss(21, 1)}
    ...     scores.append(detector.score_one(x))
    ...     detector.learn_one(x)

    >>> max(scores) > detector.ALERT_LIMIT
    True

    References
    ----------
    Page, E. S. (1954). Continuous inspection schemes. Biometrika 41(1/2), 100-115.

    """

    PARTS: ClassVar[Parts] = Parts(level=1.0)
    ALERT_LIMIT: ClassVar[float] = 4.5

    def __init__(self, *, rarity_weight: float = 1.25, warm_up: int = 200) -> None:
        super().__init__(rarity_weight=rarity_weight, warm_up=warm_up)
