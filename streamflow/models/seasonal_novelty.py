"""Seasonal novelty: has this sensor ever departed like this from what is usual at this hour?"""

from __future__ import annotations

from typing import ClassVar

from streamflow.models.codebook import RESOLUTIONS
from streamflow.models.onset import Onset, Parts


class SeasonalNovelty(Onset):
    PARTS: ClassVar[Parts] = Parts(season=True)
    ALERT_LIMIT: ClassVar[float] = 4.5

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
