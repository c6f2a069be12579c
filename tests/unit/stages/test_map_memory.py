from __future__ import annotations

from typing import Any

import pytest

from streamflow import Flow, stage
from streamflow.errors import StageError

FLOW = Flow("memory", sensors=["t"])
ROWS = [{"device": "a", "time": i, "t": 20.5 + i} for i in range(2)]


@stage(last=0)
def fraction(r: Any, memory: Any) -> None:
    memory.last = r["t"]


@stage(count=0)
def missing(r: Any, memory: Any) -> None:
    memory.count = float("nan")


@stage(last=0.0)
def undeclared(r: Any, memory: Any) -> None:
    memory.first = r["t"]


@stage(adds="out", last=0.0, count=0, hot=False)
def converted(r: Any, memory: Any) -> dict[str, float]:
    out = memory.last + memory.count
    assert [type(value) for value in vars(memory).values()] == [float, int, bool]
    memory.last, memory.count, memory.hot = 3, 2.0, 1
    return {"out": out}


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (fraction, "step 'fraction': set memory.last to 20.5, but last=0 keeps int values"),
        (missing, "step 'missing': set memory.count to nan, but count=0 keeps int values"),
        (undeclared, "step 'undeclared': set memory.first; declare it"),
    ],
)
def test_what_memory_cannot_keep_is_an_error(broken: Any, said: str) -> None:
    with pytest.raises(StageError, match=said):
        (FLOW | broken).replay(ROWS)


def test_the_next_reading_finds_what_is_kept() -> None:
    assert (FLOW | converted).replay(ROWS).rows["out"].tolist() == [0.0, 5.0]
