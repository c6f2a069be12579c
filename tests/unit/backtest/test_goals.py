from __future__ import annotations

import re

import pytest

from streamflow.backtest.figures import METRICS, Figures
from streamflow.backtest.goals import judge_goals, parse_goals
from streamflow.errors import FlowError

PROFILES = {"standard": 50.0, "low_fp": 40.0, "low_fn": 60.0}
FIGURES = Figures(2, 14.0, 10, 4, 4, 3, [60.0, 120.0, 600.0], PROFILES, PROFILES, 0.5, 0.02)


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        ("recall >= 0.75", "75.0%", True),
        ("recall > 75%", "75.0%", False),
        ("precision>=60%", "60.0%", True),
        ("alerts per week <= 5", "5.00", True),
        ("Alerts per device per week < 5", "5.00", False),
        ("false_alarms_per_day <= 0.5", "0.57", False),
        ("median delay <= 2m", "2m", True),
        ("worst-delay <= 9m59s", "10m", False),
        ("p99 latency <= 20ms", "20ms", True),
        ("nab low fn >= 60", "60.0", True),
        ("nab alerts >= 50.1", "50.0", False),
        ("vus pr >= 0.5", "0.50", True),
    ],
)
def test_a_goal_is_met_or_not(goal: str, value: str, met: bool) -> None:
    assert judge_goals(parse_goals(goal), FIGURES) == [(goal, value, met)]


def test_goals_stand_with_commas_between_them() -> None:
    goals = parse_goals(" recall >= 0.8,  alerts per week <= 5 , p99 latency <= 50ms ")
    assert [goal.text for goal in goals] == [
        "recall >= 0.8",
        "alerts per week <= 5",
        "p99 latency <= 50ms",
    ]


def test_a_figure_that_there_is_not_meets_no_goal() -> None:
    nothing = Figures(1, 0.0, None, None, 0, None, [], None, None, None)
    limits = {"seconds": "1s", "share": "0", "number": "0", "points": "0"}
    for metric in METRICS:
        (judged,) = judge_goals(parse_goals(f"{metric.name} >= {limits[metric.unit]}"), nothing)
        assert (judged.value, judged.met) == ("-", False)


@pytest.mark.parametrize(
    ("goal", "told"),
    [
        ("recal >= 0.8", "there is no figure 'recal'; did you mean 'recall'?"),
        ("alerts per month < 3", "did you mean 'alerts per week'?"),
        ("beauty > 1", "there is no figure 'beauty'; there is: alerts per week, false alarms"),
        ("recall", 'is not a figure, a sign and a limit; write goals as in "recall >= 0.8'),
        ("recall = 0.8", "is not a figure, a sign and a limit"),
        ("0.2 < recall < 0.8", "is not a figure, a sign and a limit"),
        ("", "goal '' is not a figure, a sign and a limit"),
        ("recall >= 0.8,", "goal '' is not a figure, a sign and a limit"),
        ("recall >= 8", "recall is a share, 0 to 1, or 0% to 100%"),
        ("recall >= much", "'much' is not a number"),
        ("nab >= nan", "'nan' is not a number"),
        ("nab >= 50%", "'50%' is not a number"),
        ("p99 latency <= 50", "'50' is not a duration; write it like 250ms"),
    ],
)
def test_a_wrong_goal_is_told(goal: str, told: str) -> None:
    with pytest.raises(FlowError, match=re.escape(told)):
        parse_goals(goal)
