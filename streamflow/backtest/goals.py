"""Goals: what a pilot has to reach, as a test that passes or fails."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streamflow.backtest.figures import METRICS, Figures, Metric
from streamflow.core.duration import duration
from streamflow.errors import FlowError, suggest

_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_GOAL = re.compile(r"([^<>=]+)(>=|<=|>|<)([^<>=]+)")
_FORM = 'write goals as in "recall >= 0.8, alerts per week <= 5, p99 latency <= 50ms"'


@dataclass(frozen=True)
class Goal:
    """A figure, and the limit that it has to keep."""

    text: str
    metric: Metric
    sign: str
    limit: float


class Met(NamedTuple):
    """A goal, the figure in words, and whether it is met; what has no figure is not met."""

    goal: str
    value: str
    met: bool


def parse_goals(text: str) -> list[Goal]:
    """The goals in a text, with commas between them.

    A share is a number up to 1 or a percentage, a delay or latency a duration.

    Raises
    ------
    FlowError
        For a figure that there is not, with what was meant, or a limit that cannot be one.

    Examples
    --------
    >>> [(goal.metric.name, goal.sign, goal.limit) for goal in parse_goals("recall >= 80%")]
    [('recall', '>=', 0.8)]
    >>> parse_goals("recal >= 0.8")
    Traceback (most recent call last):
    streamflow.errors.FlowError: goal 'recal >= 0.8': there is no figure 'recal'; did you mean \
'recall'?
    """
    return [_goal(" ".join(one.split())) for one in text.split(",")]


def judge_goals(goals: Sequence[Goal], figures: Figures) -> list[Met]:
    """Which goals some figures meet."""
    out = []
    for goal in goals:
        value = goal.metric.of(figures)
        met = value is not None and _SIGNS[goal.sign](value, goal.limit)
        out.append(Met(goal.text, goal.metric.shown(figures), met))
    return out


def _goal(text: str) -> Goal:
    parts = _GOAL.fullmatch(text)
    if not parts:
        raise FlowError(f"goal {text!r} is not a figure, a sign and a limit; {_FORM}")
    name, sign, limit = (part.strip() for part in parts.groups())
    known = {metric.name: metric for metric in METRICS}
    wanted = re.sub(r"[\s_-]+", " ", name).lower().replace("per device per", "per")
    if wanted not in known:
        raise FlowError(f"goal {text!r}: there is no figure {name!r}; {suggest(wanted, known)}")
    return Goal(text, known[wanted], sign, _limit(text, known[wanted], limit))


def _limit(text: str, metric: Metric, limit: str) -> float:
    if metric.unit == "seconds":
        try:
            return duration(limit) / 1e9
        except FlowError as error:
            raise FlowError(f"goal {text!r}: {error}") from None
    percent = limit.endswith("%") and metric.unit == "share"
    try:
        value = float(limit.removesuffix("%") if percent else limit) / (100 if percent else 1)
    except ValueError:
        raise FlowError(f"goal {text!r}: {limit!r} is not a number; {_FORM}") from None
    if metric.unit == "share" and not 0 <= value <= 1:
        raise FlowError(f"goal {text!r}: {metric.name} is a share, 0 to 1, or 0% to 100%")
    if value != value:
        raise FlowError(f"goal {text!r}: {limit!r} is not a number; {_FORM}")
    return value
