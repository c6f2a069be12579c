from __future__ import annotations

import pytest

from streamflow import Schema, Sensor
from streamflow.errors import FlowError

SCHEMA = Schema("machine", "timestamp", {"t": Sensor(), "p": Sensor()}, ("site",))


def test_columns_start_as_the_sensors() -> None:
    assert SCHEMA.columns == ("t", "p")


def test_adding_columns_leaves_the_schema_before_as_it_was() -> None:
    assert SCHEMA.adding("detect", ["score"]).columns == ("t", "p", "score")
    assert SCHEMA.columns == ("t", "p")


@pytest.mark.parametrize("name", ["t", "site"])
def test_a_column_is_added_once(name: str) -> None:
    with pytest.raises(FlowError, match=f"step 'detect' adds a column '{name}', which exists alr"):
        SCHEMA.adding("detect", [name])


@pytest.mark.parametrize("name", ["device", "time"])
def test_what_every_row_has_is_no_name_for_a_column(name: str) -> None:
    with pytest.raises(FlowError, match=f"no sensor, tag or column can be called '{name}'"):
        SCHEMA.adding("map", [name])
    with pytest.raises(FlowError, match=f"no sensor, tag or column can be called '{name}'"):
        Schema("machine", "timestamp", {name: Sensor()})
    with pytest.raises(FlowError, match=f"no sensor, tag or column can be called '{name}'"):
        Schema("machine", "timestamp", {"t": Sensor()}, (name,))


def test_a_column_that_is_not_there_is_named_with_the_one_meant() -> None:
    with pytest.raises(FlowError, match=r"step 'x': on names the column 'pp'.*did you mean 'p'\?"):
        SCHEMA.require("x", "on", ["t", "pp"])


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (float("nan"), 1), (0, float("nan"))])
def test_a_range_without_room_is_refused(low: float, high: float) -> None:
    with pytest.raises(FlowError, match="must be below"):
        Sensor("bar", low, high)
