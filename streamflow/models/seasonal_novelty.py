"""Seasonal novelty: has this sensor ever departed like this from what is usual at this hour?"""

from __future__ import annotations

from typing import ClassVar

from streamflow.models.codebook import RESOLUTIONS
from streamflow.models.onset import Onset, Parts


class SeasonalNovelty(Onset):
    r"""Novelty of a value's departure from what is usual at this hour of the day.

    With $m_h$ the mean of the values at hour $h$ (UTC), in which a new one weighs at least a tenth,
    the departure is $v - m_h$, or 0 until two values of the hour are known. Its novelty is that of
    `ValueNovelty`, and so is the score. With many readings an hour the mean follows the series, and
    the departure is in effect a difference.

    Parameters
    ----------
    resolutions, rarity_weight, warm_up
        As in `ValueNovelty`.
    time
        The key under which a reading's time is found, in seconds since 1970 UTC; `Detect` puts the
        event time there. None, or where the key is missing, there is but one hour.

    Attributes
    ----------
    ALERT_LIMIT
        4.3: chosen on the Numenta Anomaly Benchmark, where 4.1 to 4.3 comes within a point of the
        best.

    Examples
    --------
    >>> from streamflow.models.seasonal_novelty import SeasonalNovelty

    >>> detector = SeasonalNovelty()
    >>> for hour in range(24 * 40):  # 10 at night, 30 by day
    ...     day = 6 <= hour % 24 < 18
    ...     detector.learn_one({"load": 30 if day else 10, "time": hour * 3600})

    >>> noon, midnight = 24 * 40 * 3600 + 12 * 3600, 24 * 40 * 3600
    >>> detector.score_one({"load": 30, "time": noon}) > detector.ALERT_LIMIT
    False
    >>> detector.score_one({"load": 30, "time": midnight}) > detector.ALERT_LIMIT
    True

    References
    ----------
    Holt, C. C. (2004). Forecasting seasonals and trends by exponentially weighted moving averages.
    International Journal of Forecasting 20(1), 5-10. First in 1957.

    """

    PARTS: ClassVar[Parts] = Parts(season=True)
    ALERT_LIMIT: ClassVar[float] = 4.3

    def __init__(
        self,
        *,
        resolutions: tuple[float, ...] = RESOLUTIONS,
        rarity_weight: float = 1.25,
        warm_up: int = 200,
        time: str | None = "time",
    ) -> None:
        super().__init__(
            resolutions=resolutions, rarity_weight=rarity_weight, warm_up=warm_up, time=time
        )
