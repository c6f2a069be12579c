"""Level shift: have the means of this sensor's last values ever been as unusual?"""

from __future__ import annotations

from typing import ClassVar

from streamflow.models.onset import Onset, Parts


class LevelShift(Onset):
    PARTS: ClassVar[Parts] = Parts(level=1.0)
    ALERT_LIMIT: ClassVar[float] = 4.5

    def __init__(self, *, rarity_weight: float = 1.25, warm_up: int = 200) -> None:
        super().__init__(rarity_weight=rarity_weight, warm_up=warm_up)
