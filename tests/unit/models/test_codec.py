from __future__ import annotations

from importlib import metadata

import pytest
from river import anomaly

from streamflow.errors import StateError
from streamflow.models.codec import RiverCodec

CODEC = RiverCodec()


def test_a_model_goes_on_where_it_was_saved() -> None:
    model = anomaly.HalfSpaceTrees(n_trees=2, height=3, window_size=5, seed=1)
    for i in range(20):
        model.learn_one({"t": i % 5 / 5})
    back = CODEC.load(CODEC.dump(model), CODEC.version)
    assert back.score_one({"t": 0.9}) == model.score_one({"t": 0.9})
    assert CODEC.size(model) == len(CODEC.dump(model))


def test_the_version_is_rivers() -> None:
    assert CODEC.version == f"river {metadata.version('river')}"


def test_a_model_of_another_river_is_refused_with_both_ways_out() -> None:
    data = CODEC.dump(anomaly.HalfSpaceTrees())
    with pytest.raises(StateError) as error:
        CODEC.load(data, "river 0.1.0")
    assert "install river 0.1.0" in str(error.value)
    assert "--forget" in str(error.value)
