"""AutoDetector: one good configuration for a stream of which nothing is known."""

from __future__ import annotations

from typing import ClassVar

from streamflow.models.onset import Onset, Parts


class AutoDetector(Onset):
    PARTS: ClassVar[Parts] = Parts(value=True, season=True, level=0.25, cross=True)
    ALERT_LIMIT: ClassVar[float] = 5.5

    def __init__(self, *, warm_up: int = 200, time: str | None = "time") -> None:
        super().__init__(warm_up=warm_up, time=time)
