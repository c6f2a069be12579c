"""The figures of a backtest, for one device or all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal, NamedTuple

from streamflow.core.duration import words

Unit = Literal["share", "number", "points", "seconds"]


@dataclass(frozen=True)
class Figures:
    """What was counted, and what follows from it; None where there is nothing to divide by.

    Parameters
    ----------
    devices
        How many.
    days
        From each one's first reading to its last, summed.
    alerts, false
        Episodes, and those of them that open in no labelled window of their device; None without
        an `Alert`.
    labels, found
        Labelled windows, and those of them in which an episode opens.
    delays
        For each window found, the seconds from its start to the first opening in it.
    nab
        NAB's score of the score column in its three profiles, with the threshold that is best in
        hindsight, one for all devices: the figure that is published of detectors.
    nab_alerts
        The same of the alerts as they were raised.
    vus_pr
        Of the score column, the mean of the devices that have labels.
    p99_latency
        The seconds that 99 of 100 batches of the replay took at most, from being read to the last
        stage. A batch is what was there, up to 4,096 messages.
    """

    devices: int
    days: float
    alerts: int | None
    false: int | None
    labels: int
    found: int | None
    delays: Sequence[float]
    nab: Mapping[str, float] | None
    nab_alerts: Mapping[str, float] | None
    vus_pr: float | None
    p99_latency: float | None = None

    @property
    def recall(self) -> float | None:
        """The share of labelled windows that were found."""
        return _ratio(self.found, self.labels)

    @property
    def precision(self) -> float | None:
        """The share of alerts that open in a labelled window."""
        if self.alerts is None or self.false is None:
            return None
        return _ratio(self.alerts - self.false, self.alerts)

    @property
    def alerts_per_week(self) -> float | None:
        """Alerts of one device in a week, on average."""
        return None if self.alerts is None else _ratio(self.alerts, self.days / 7)

    @property
    def false_per_day(self) -> float | None:
        """False alerts of all devices together in a day."""
        return None if self.false is None else _ratio(self.false * self.devices, self.days)

    def tree(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        counts = {
            "devices": self.devices,
            "days": self.days,
            "alerts": self.alerts,
            "false": self.false,
            "labels": self.labels,
            "found": self.found,
        }
        return counts | {metric.key: metric.of(self) for metric in METRICS}


class Metric(NamedTuple):
    """One figure: what goals and tables call it, its unit, and how to get it."""

    name: str
    title: str
    unit: Unit
    of: Callable[[Figures], float | None]

    @property
    def key(self) -> str:
        """What JSON calls it."""
        return self.name.replace(" ", "_")

    def shown(self, figures: Figures) -> str:
        """The figure for people; a dash if there is none."""
        value = self.of(figures)
        if value is None:
            return "-"
        if self.unit == "share":
            return f"{value:.1%}"
        if self.unit == "seconds":
            return words(round(value * 1e9))
        if self.unit == "points":
            return f"{value:.1f}"
        return f"{value:.2f}"


def _nab(of: str, profile: str) -> Callable[[Figures], float | None]:
    def score(figures: Figures) -> float | None:
        known: Mapping[str, float] | None = getattr(figures, of)
        return None if known is None else known[profile]

    return score


METRICS: Sequence[Metric] = (
    Metric("recall", "recall", "share", lambda f: f.recall),
    Metric("precision", "precision", "share", lambda f: f.precision),
    Metric("median delay", "median delay", "seconds", lambda f: _delay(f, median)),
    Metric("worst delay", "worst delay", "seconds", lambda f: _delay(f, max)),
    Metric("alerts per week", "alerts per device per week", "number", lambda f: f.alerts_per_week),
    Metric("false alarms per day", "false alarms per day", "number", lambda f: f.false_per_day),
    Metric("nab alerts", "NAB of the alerts", "points", _nab("nab_alerts", "standard")),
    Metric(
        "nab alerts low fp", "NAB of the alerts, low FP", "points", _nab("nab_alerts", "low_fp")
    ),
    Metric(
        "nab alerts low fn", "NAB of the alerts, low FN", "points", _nab("nab_alerts", "low_fn")
    ),
    Metric("nab", "NAB, best threshold", "points", _nab("nab", "standard")),
    Metric("nab low fp", "NAB, best threshold, low FP", "points", _nab("nab", "low_fp")),
    Metric("nab low fn", "NAB, best threshold, low FN", "points", _nab("nab", "low_fn")),
    Metric("vus pr", "VUS-PR", "number", lambda f: f.vus_pr),
    Metric("p99 latency", "p99 latency of a batch", "seconds", lambda f: f.p99_latency),
)


def _ratio(part: float | None, whole: float) -> float | None:
    return None if part is None or not whole else part / whole


def _delay(figures: Figures, of: Callable[[Sequence[float]], float]) -> float | None:
    return of(figures.delays) if figures.delays else None
