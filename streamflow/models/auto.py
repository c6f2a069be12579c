"""AutoDetector: one good configuration for a stream of which nothing is known."""

from __future__ import annotations

from typing import ClassVar

from streamflow.models.onset import Onset, Parts


class AutoDetector(Onset):
    r"""The onset of something new, by four kinds of evidence; `Detect("auto")`.

    The evidence of a sensor's value is the sum of three parts: the novelty of the value
    (`ValueNovelty`), the novelty of its departure from what is usual at this hour of the day
    (`SeasonalNovelty`), and a quarter of the surprise at its level (`LevelShift`). A reading's
    evidence is the largest among its sensors. Where it has at least two, the novelty of their
    distance from how they usually are together (`Mahalanobis`, with its gate) is added. The score
    is the evidence weighed by its rarity, as in `ValueNovelty`: what no part is sure of counts if
    all of them together are stronger than for a long time.

    There is nothing to choose: each part measures itself by its own past, and the rarity by that
    of their sum. Scores of different devices mean the same, so one limit serves all.

    It keeps about 16 kB for each sensor, codebooks most of all, and 4 kB for each device; where
    there are several sensors 11 kB, and 8 bytes for each pair.

    Scoring changes nothing, and a score depends only on its reading and those learned before.
    Values that are not numbers between -1e300 and 1e300 are treated as missing.

    Parameters
    ----------
    warm_up
        Readings of a sensor that are learned before it is scored.
    time
        The key under which a reading's time is found, in seconds since 1970 UTC; `Detect` puts the
        event time there. None, or where the key is missing, there is but one hour.

    Attributes
    ----------
    ALERT_LIMIT
        A score above 5.4 is worth an alert. Chosen on the 58 series of the Numenta Anomaly
        Benchmark; 5.3 to 5.5 comes within a point of the best. Of the first 5,000 readings of
        Gaussian noise 6 exceed it.

    Examples
    --------
    >>> import random
    >>> from streamflow.models.auto import AutoDetector

    >>> rng = random.Random(42)
    >>> detector = AutoDetector()
    >>> for minute in range(1000):
    ...     detector.learn_one({"temperature": rng.gauss(20, 1), "time": minute * 60})

    >>> detector.score_one({"temperature": 20.1, "time": 60_000}) > detector.ALERT_LIMIT
    False
    >>> detector.score_one({"temperature": 27.0, "time": 60_000}) > detector.ALERT_LIMIT
    True

    References
    ----------
    Gumbel, E. J. (1941). The return period of flood flows. Annals of Mathematical Statistics
    12(2), 163-190.

    """

    PARTS: ClassVar[Parts] = Parts(value=True, season=True, level=0.25, cross=True)
    ALERT_LIMIT: ClassVar[float] = 5.4

    def __init__(self, *, warm_up: int = 200, time: str | None = "time") -> None:
        super().__init__(warm_up=warm_up, time=time)
