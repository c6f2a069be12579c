from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
from river import anomaly, drift, linear_model, preprocessing
from river.base import Base

from streamflow.models.novelty import ValueNovelty
from streamflow.models.readable import numbers, readable

RNG = random.Random(1)
READINGS = [{"t": RNG.gauss(20, 1), "v": RNG.gauss(5, 1)} for _ in range(40)]


def learned(model: Any) -> Any:
    for x in READINGS:
        model.learn_one(x)
    return readable(model)


def test_a_pipeline_by_the_names_of_its_steps() -> None:
    told = learned(preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(n_trees=3, seed=7))
    assert told["MinMaxScaler"]["min"].keys() == {"t", "v"}
    low = min(x["t"] for x in READINGS)
    assert float(told["MinMaxScaler"]["min"]["t"].removeprefix("Min: ")) == round(low, 6)
    assert told["HalfSpaceTrees"]["trees"] == "3 x PaddedBranch"
    assert told["HalfSpaceTrees"]["counter"] == 40


def test_numbers_in_a_row_by_range_and_first_few() -> None:
    told = learned(ValueNovelty())
    assert told["rarity"]["readings"] == 40
    assert told["sensors"]["t"]["value"]["high"] == max(x["t"] for x in READINGS)
    peaks = told["rarity"]["at"]
    assert peaks["shape"] == [len(peaks["first"])] or len(peaks["first"]) == 5
    assert peaks["max"] <= 39


def test_properties_tell_what_compiled_code_hides() -> None:
    detector = drift.ADWIN()
    for x in READINGS:
        detector.update(x["t"])
    told = readable(detector)
    assert told["width"] == detector.width
    assert told["estimation"] == detector.estimation
    assert "delta" not in told


@pytest.mark.parametrize(
    "model",
    [
        preprocessing.StandardScaler() | anomaly.OneClassSVM(nu=0.2),
        anomaly.GaussianScorer(window_size=10),
        anomaly.LocalOutlierFactor(n_neighbors=3),
        anomaly.QuantileFilter(anomaly.HalfSpaceTrees(seed=1), q=0.9),
        linear_model.LinearRegression(),
        drift.PageHinkley(),
        drift.KSWIN(seed=7),
    ],
    ids=lambda model: type(model).__name__,
)
def test_every_kind_of_model_tells_something(model: Base) -> None:
    for x in READINGS:
        if isinstance(model, drift.PageHinkley | drift.KSWIN):
            model.update(x["t"])
        elif isinstance(model, anomaly.GaussianScorer | linear_model.LinearRegression):
            model.learn_one(x, x["t"])
        else:
            model.learn_one(x)
    told = json.dumps(readable(model), allow_nan=False)
    assert len(told) > 20
    assert " at 0x" not in told


def test_numbers_that_json_has_not() -> None:
    values = np.array([[np.nan, np.inf, -np.inf], [1.5, 2.0, 3.0]])
    told = {"shape": [2, 3], "min": 1.5, "max": 3.0, "first": [None, "inf", "-inf", 1.5, 2.0]}
    assert numbers(values) == told
    empty = {"shape": [1], "min": None, "max": None, "first": [None]}
    assert numbers(np.array([np.nan])) == empty
    assert numbers(np.float64(np.nan)) is None
    assert numbers(np.int64(7)) == 7
    assert numbers(np.array([True, False])) == {
        "shape": [2], "min": False, "max": True, "first": [True, False],
    }  # fmt: skip


def test_long_mappings_are_cut_and_circles_end() -> None:
    class Own:
        def __init__(self) -> None:
            self.known = {str(i): float(i) for i in range(30)}
            self.me = self

        @property
        def broken(self) -> float:
            raise ZeroDivisionError

    told = readable(Own())
    assert told.keys() == {"known"}
    assert len(told["known"]) == 21
    assert told["known"]["..."] == "10 more"
