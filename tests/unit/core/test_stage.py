from __future__ import annotations

import pytest

from streamflow import Batch, Memory, Schema, Stage
from streamflow.core.index import Index
from streamflow.core.stage import snake
from streamflow.core.state import State


class TwoWords(Stage):
    pass


def test_a_step_is_called_by_its_name_or_its_class() -> None:
    assert TwoWords().step == "two_words"
    assert TwoWords(name="mine").step == "mine"


@pytest.mark.parametrize(
    ("name", "text"), [("A", "a"), ("Alert", "alert"), ("MonitorDrift", "monitor_drift"), ("", "")]
)
def test_snake_case(name: str, text: str) -> None:
    assert snake(name) == text


def test_a_stage_without_on_batch_says_so() -> None:
    state = State("f", "s", Memory(), Index())
    with pytest.raises(NotImplementedError, match="TwoWords defines no on_batch"):
        TwoWords().on_batch(Batch.of([], []), state)


def test_all_else_has_a_default() -> None:
    stage, state = TwoWords(), State("f", "s", Memory(), Index())
    assert stage.bind(Schema("d", "t", {})) is stage
    assert (stage.adds, stage.uses, stage.warnings(), stage.bytes_per_device) == ((), (), (), 0)
    assert stage.on_tick(0, state) is None
    assert stage.on_end(state) is None
