"""Onset: what the detectors that tell the onset of something new have in common."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from river.base import AnomalyDetector

from streamflow.models.codebook import LARGEST, RESOLUTIONS, Codebooks, novelty
from streamflow.models.level import Level
from streamflow.models.mahalanobis import Mahalanobis, usable
from streamflow.models.rarity import Rarity, ticks
from streamflow.models.season import Season, hour_of


@dataclass(frozen=True)
class Parts:
    """What the evidence is the sum of.

    Parameters
    ----------
    value
        The novelty of a sensor's value.
    season
        The novelty of its departure from what is usual at this hour.
    level
        The weight of the surprise at its mean level; 0 without.
    cross
        The novelty of the sensors' distance from how they usually are together.
    """

    value: bool = False
    season: bool = False
    level: float = 0.0
    cross: bool = False


class Onset(AnomalyDetector):
    """Scores evidence by its rarity; the parts of the evidence are the class's.

    The evidence of a reading is the largest among its sensors, to which that of the sensors taken
    together is added.
    """

    PARTS: ClassVar[Parts]
    ALERT_LIMIT: ClassVar[float]

    def __init__(
        self,
        *,
        resolutions: tuple[float, ...] = RESOLUTIONS,
        rarity_weight: float = 1.25,
        warm_up: int = 200,
        time: str | None = None,
    ) -> None:
        self.resolutions = resolutions
        self.rarity_weight = rarity_weight
        self.warm_up = warm_up
        self.time = time
        self._sensors: dict[Hashable, Evidence] = {}
        self._cross = Mahalanobis()
        self._distances: Codebooks | None = None
        self._rarity = Rarity()

    def score_one(self, x: Mapping[Hashable, float]) -> float:
        """Return the score of a reading, 0 or more.

        Parameters
        ----------
        x
            Sensor name -> value.

        """
        values, hour = self._taken_apart(x)
        evidence = 0.0
        for name, value in values.items():
            sensor = self._sensors.get(name)
            if sensor is not None and sensor.readings >= self.warm_up:
                evidence = max(evidence, sensor.of(value, hour))
        if self._distances is not None and self._cross._limit > 0:
            together = usable(values)
            if len(together) > 1:
                evidence += novelty(self._distances.distances(self._cross.distance(together)))
        return self._rarity.score(ticks(evidence), self.rarity_weight)

    def learn_one(self, x: Mapping[Hashable, float]) -> None:
        """Learn the values of a reading.

        Parameters
        ----------
        x
            Sensor name -> value.

        """
        values, hour = self._taken_apart(x)
        if not values:
            return
        evidence = 0.0
        for name, value in values.items():
            sensor = self._sensors.get(name)
            if sensor is None:
                self._sensors[name] = Evidence(self.PARTS, value, hour, self.resolutions)
            else:
                evidence = max(evidence, sensor.of(value, hour))
                sensor.learn(value, hour)
        if self.PARTS.cross:
            together = usable(values)
            if len(together) > 1:
                evidence += self._learn_together(together)
        self._rarity.learn(ticks(evidence))

    def _learn_together(self, values: Mapping[Hashable, float]) -> float:
        self._cross.learn_one(values)
        if self._cross._readings <= self._cross.grace:
            return 0.0
        distance = self._cross._distance
        if self._distances is None:
            self._distances = Codebooks(distance, self.resolutions)
            return 0.0
        evidence = novelty(self._distances.distances(distance))
        self._distances.learn(distance)
        return evidence

    def _taken_apart(self, x: Mapping[Hashable, float]) -> tuple[dict[Hashable, float], int]:
        """The values that are numbers, and the hour."""
        values = {
            name: float(value)
            for name, value in x.items()
            if name != self.time and -LARGEST <= value <= LARGEST
        }
        return values, hour_of(None if self.time is None else x.get(self.time))


class Evidence:
    """What one sensor has learned, and the evidence of a value of it."""

    __slots__ = ("level", "parts", "readings", "season", "value")

    def __init__(
        self, parts: Parts, first: float, hour: int, resolutions: tuple[float, ...]
    ) -> None:
        self.parts = parts
        self.readings = 1
        self.value = Codebooks(first, resolutions) if parts.value else None
        self.season = Season(first, hour, resolutions) if parts.season else None
        self.level = Level() if parts.level else None
        if self.level:
            self.level.learn(first)

    def of(self, value: float, hour: int) -> float:
        """The sum of the parts."""
        evidence = 0.0
        if self.value:
            evidence += novelty(self.value.distances(value))
        if self.season:
            evidence += self.season.novelty(value, hour)
        if self.level:
            evidence += self.parts.level * self.level.surprise(value)
        return evidence

    def learn(self, value: float, hour: int) -> None:
        """Learn a value."""
        self.readings += 1
        if self.value:
            self.value.learn(value)
        if self.season:
            self.season.learn(value, hour)
        if self.level:
            self.level.learn(value)
