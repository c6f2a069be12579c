"""Law 5: what is compiled gives River's numbers, bit for bit, and goes on from River's state."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from river import anomaly, compose, drift, preprocessing, stats

from streamflow import (
    AutoDetector,
    Gate,
    LevelShift,
    Mahalanobis,
    SeasonalNovelty,
    ValueNovelty,
)
from streamflow.core.batch import Batch
from streamflow.core.index import Index
from streamflow.core.memory import Memory
from streamflow.core.quality import Quality
from streamflow.core.state import State
from streamflow.models.compile import compile_watcher
from streamflow.testing import Stream, compiled_equals_river

DEVICES = ["a", "b", "c"]
UNKIND = [0.0, -0.0, 1.0, -1.0, 1e300, -1e300, 1e-300, -1e-300, 5e-324, -5e-324, 2.2e-308, 1e154]

Draw = Callable[[Any], Any]
Numbers = Callable[[np.random.Generator, int], np.ndarray]

SERIES: dict[str, Numbers] = {
    "noise": lambda rng, n: rng.normal(rng.normal(0, 10), rng.choice([0.1, 1, 30]), n),
    "rounded": lambda rng, n: rng.normal(0, 3, n).round(1),
    "constant": lambda rng, n: np.full(n, rng.choice(UNKIND)),
    "repeats": lambda rng, n: np.repeat(rng.normal(0, 1, n), rng.integers(1, 9, n))[:n],
    "steps": lambda rng, n: (
        rng.choice([0.0, 1.0, -3.0, 10.5], n // 40 + 1).repeat(40)[:n]
        + rng.normal(0, rng.choice([0, 0.01, 1]), n)
    ),
    "unit": lambda rng, n: rng.random(n),
    "unkind": lambda rng, n: rng.choice(UNKIND, n),
    "unkind at times": lambda rng, n: np.where(
        rng.random(n) < 0.02, rng.choice(UNKIND, n), rng.normal(20, 1, n)
    ),
    "not finite": lambda rng, n: rng.choice([np.inf, -np.inf, np.nan, 1.0, 2.0], n),
}
MILD = sorted(set(SERIES) - {"unkind", "unkind at times", "constant"})


@st.composite
def streams(draw: Draw, sensors: str, kinds: list[str] | None = None, most: int = 600) -> Stream:
    """Readings of three devices in any order, in batches of any size, with gaps and flags."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(1, most) | st.integers(1, 20))
    columns, quality = {}, {}
    for name in sensors:
        values = SERIES[draw(st.sampled_from(kinds or sorted(SERIES)))](rng, n)
        missing = draw(st.sampled_from([0.0, 0.0, 0.1, 0.6, 1.0]))
        columns[name] = np.where(rng.random(n) < missing, np.nan, values)
        flagged = rng.random(n) < draw(st.sampled_from([0.0, 0.0, 0.1, 0.5]))
        if flagged.any():
            quality[name] = np.where(flagged, Quality.IMPUTED, 0).astype(np.uint16)
    device = rng.choice(3, n, p=draw(st.sampled_from([(1, 0, 0), (0.4, 0.3, 0.3), (0.9, 0.1, 0)])))
    if draw(st.booleans()):
        device = np.sort(device)
    time = np.arange(n)
    whole = Batch(DEVICES, device.astype(np.int32), time, time, columns, quality=quality)
    edges = {0, n, *rng.integers(0, n, draw(st.sampled_from([0, 1, 5, 40]))).tolist()}
    return Stream(tuple(whole.take(np.arange(i, j)) for i, j in pairwise(sorted(edges))))


def drawn(examples: int) -> Any:
    """The same streams in every run; one made from a seed does not get simpler by shrinking."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def forests(draw: Draw) -> anomaly.HalfSpaceTrees:
    limit = st.sampled_from([(0, 1), (-5.0, 5.0), (0.3, 1e6), (-1e-3, 1e-3)])
    return anomaly.HalfSpaceTrees(
        n_trees=draw(st.integers(1, 3)),
        height=draw(st.integers(1, 6)),
        window_size=draw(st.integers(1, 40) | st.sampled_from([1, 2, 250, 255, 256, 257, 300])),
        limits=draw(st.none() | st.dictionaries(st.sampled_from("xyz"), limit)),
        seed=draw(st.integers(0, 99)),
    )


SCALERS = st.sampled_from(
    [
        preprocessing.MinMaxScaler(),
        preprocessing.MaxAbsScaler(),
        preprocessing.StandardScaler(),
        preprocessing.StandardScaler(with_std=False),
    ]
)
SELECT = st.sampled_from([compose.Select("x"), compose.Select("y", "x")])
LEARN = st.sampled_from([True, True, False, "score < 0.9", "score <= 0.5 and x > 0"])
GATES = st.none() | st.builds(
    Gate, st.sampled_from(["score > 0.9", "score > 0.2 and x < 1"]), st.integers(1, 5), st.just(20)
)


@st.composite
def imputers(draw: Draw) -> Any:
    if draw(st.booleans()):
        return preprocessing.PreviousImputer()
    kinds = st.sampled_from([stats.Mean, stats.Min, stats.Max, lambda: 4.5, lambda: -1])
    chosen = draw(st.lists(st.sampled_from("xy"), min_size=1, max_size=2, unique=True))
    return preprocessing.StatImputer(*((name, draw(kinds)()) for name in chosen))


@st.composite
def detectors(draw: Draw) -> Any:
    """Pipelines: an imputer or a selection or neither, scalers, trees, a filter or none."""
    steps = [draw(SCALERS) for _ in range(draw(st.integers(0, 2)))]
    first = draw(st.sampled_from(["", "", "imputer", "select"]))
    if first:
        steps.insert(0, draw(imputers() if first == "imputer" else SELECT))
    last: Any = draw(forests())
    kind = draw(st.sampled_from(["", "", "threshold", "quantile"]))
    protects = draw(st.sampled_from([True, True, False]))

    def wrapped(model: Any) -> Any:
        if kind == "threshold":
            return anomaly.ThresholdFilter(model, draw(st.sampled_from([0.5, 0.95])), protects)
        return anomaly.QuantileFilter(model, draw(st.sampled_from([0.1, 0.5, 0.9])), protects)

    inside = draw(st.booleans())
    if kind and (inside or not steps):
        last = wrapped(last)
    model = compose.Pipeline(*(_named(s, i) for i, s in enumerate([*steps, last])))
    model = model if steps else last
    return wrapped(model) if kind and not inside and steps else model


def _named(step: Any, number: int) -> tuple[str, Any]:
    return f"{number}{type(step).__name__}", step


@drawn(55)
@given(model=detectors(), stream=streams("xy"), learn=LEARN, gate=GATES)
def test_pipelines_of_scalers_and_half_space_trees(
    model: Any, stream: Stream, learn: Any, gate: Any
) -> None:
    compiled_equals_river(model, ["x", "y"], stream, learn=learn, gate=gate)


@pytest.mark.parametrize("window", [1, 255, 256, 300])
def test_masses_of_one_byte_and_of_more_over_several_windows(window: int) -> None:
    rng, n = np.random.default_rng(window), 1300
    values = {name: np.where(rng.random(n) < 0.1, np.nan, rng.normal(0, 1, n)) for name in "xy"}
    # A node that all readings pass is as full as it can be.
    values["x"][:600] = 0.0
    device, time = np.zeros(n, np.int32), np.arange(n)
    whole = Batch(["a"], device, time, time, values)
    stream = Stream(tuple(whole.take(np.arange(i, i + 325)) for i in range(0, n, 325)))
    model = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(2, 8, window, seed=7)
    compiled_equals_river(model, ["x", "y"], stream)


@drawn(40)
@given(
    window=st.none() | st.integers(1, 60),
    grace=st.integers(0, 120),
    stream=streams("xy"),
    learn=LEARN,
    gate=GATES,
)
def test_gaussian_scorers(window: Any, grace: int, stream: Stream, learn: Any, gate: Any) -> None:
    model = anomaly.GaussianScorer(window, grace)
    compiled_equals_river(model, ["y"], stream, target="x", learn=learn, gate=gate)


@drawn(25)
@given(stream=streams("xy"), learn=LEARN, gate=GATES)
def test_standard_absolute_deviations(stream: Stream, learn: Any, gate: Any) -> None:
    model = anomaly.StandardAbsoluteDeviation()
    compiled_equals_river(model, ["y"], stream, target="x", learn=learn, gate=gate)


@drawn(25)
@given(q=st.sampled_from([0.1, 0.5, 0.95]), protects=st.booleans(), stream=streams("x", MILD))
def test_a_filter_around_a_scorer(q: float, protects: bool, stream: Stream) -> None:
    model = anomaly.QuantileFilter(anomaly.GaussianScorer(None, 3), q, protects)
    compiled_equals_river(model, [], stream, target="x")


@drawn(60)
@given(
    delta=st.sampled_from([0.002, 0.1, 0.9]),
    clock=st.sampled_from([1, 2, 32]),
    buckets=st.integers(2, 7),
    shortest=st.integers(1, 12),
    grace=st.integers(1, 40),
    stream=streams("x", most=2500),
)
def test_adwin(
    delta: float, clock: int, buckets: int, shortest: int, grace: int, stream: Stream
) -> None:
    compiled_equals_river(drift.ADWIN(delta, clock, buckets, shortest, grace), ["x"], stream)


def test_adwin_value_by_value_over_a_long_stream() -> None:
    rng = np.random.default_rng(7)
    levels = np.repeat(rng.choice([0.0, 1.0, -3.0, 0.1, 1e6], 60), rng.integers(1, 1500, 60))
    values = levels + rng.normal(0, rng.choice([0, 0.1, 1], len(levels)))
    own, river = compile_watcher(drift.ADWIN(clock=1), "x"), drift.ADWIN(clock=1)
    state = State("law5", "drift", Memory(own.fields), Index())
    found, row, drifts = np.zeros(1), np.zeros(1, np.int32), 0
    for value in values.tolist():
        river.update(value)
        own.kernel.run(own.part(state), row, np.array([value]), found)
        width, total, spread = state["window"][0].tolist()
        assert (found[0], width, total) == (river.drift_detected, river.width, river.total)
        assert (spread, total / width) == (river.variance, river.estimation)
        drifts += river.drift_detected
    assert drifts > 30


@drawn(40)
@given(
    mode=st.sampled_from(["up", "down", "both"]),
    grace=st.integers(1, 40),
    delta=st.sampled_from([0, 0.005, 1.5]),
    threshold=st.sampled_from([0.5, 5, 50]),
    alpha=st.sampled_from([1 - 0.0001, 0.9, 1]),
    stream=streams("x"),
)
def test_page_hinkley(
    mode: str, grace: int, delta: float, threshold: float, alpha: float, stream: Stream
) -> None:
    compiled_equals_river(drift.PageHinkley(grace, delta, threshold, alpha, mode), ["x"], stream)


@drawn(40)
@given(imputer=imputers(), stream=streams("xy"))
def test_imputers_of_a_stage(imputer: Any, stream: Stream) -> None:
    compiled_equals_river(imputer, ["x", "y"], stream)


WARM = st.sampled_from([0, 3, 30])
RESOLUTIONS = st.sampled_from([(0.0025, 0.005, 0.01), (0.1,), (0.2, 0.5)])
OWN = st.one_of(
    st.builds(ValueNovelty, resolutions=RESOLUTIONS, warm_up=WARM),
    st.builds(
        SeasonalNovelty, resolutions=RESOLUTIONS, warm_up=WARM, time=st.sampled_from(["time", None])
    ),
    st.builds(LevelShift, warm_up=WARM, rarity_weight=st.sampled_from([0.5, 1.25])),
    st.builds(AutoDetector, warm_up=WARM),
    st.builds(
        Mahalanobis,
        ridge=st.sampled_from([0.0, 0.5, 2.0]),
        grace=st.integers(0, 30),
        warm_up=st.integers(0, 60),
    ),
)


def hourly(stream: Stream) -> Stream:
    """The stream with 100 minutes from each reading to the next."""
    batches = [item for item in stream.items if isinstance(item, Batch)]
    return Stream(tuple(batch.replace(time=batch.time * 6_000 * 10**9) for batch in batches))


@drawn(60)
@given(
    model=OWN,
    sensors=st.sampled_from(["x", "xy", "zxy"]),
    stream=streams("xyz"),
    learn=st.sampled_from([True, True, "score < 4"]),
)
def test_detectors_of_our_own(model: Any, sensors: str, stream: Stream, learn: Any) -> None:
    compiled_equals_river(model, list(sensors), hourly(stream), learn=learn)


@pytest.mark.parametrize("kind", ["noise", "growth", "unkind at times"])
def test_all_parts_of_the_auto_detector_over_a_long_stream(kind: str) -> None:
    rng, n = np.random.default_rng(7), 2000
    columns = {name: np.cumsum(rng.normal(0, 1, n)) for name in "xy"}
    columns["z"] = columns["x"] + rng.normal(0, 0.1, n)
    if kind == "growth":
        columns["y"] = 1.01 ** np.arange(n)
    if kind == "unkind at times":
        columns["y"] = np.where(rng.random(n) < 0.01, rng.choice(UNKIND, n), columns["y"])
    columns["x"][rng.random(n) < 0.1] = np.nan
    time = np.arange(n)
    whole = Batch(["a"], np.zeros(n, np.int32), time, time, columns)
    stream = Stream(tuple(whole.take(np.arange(i, i + 500)) for i in range(0, n, 500)))
    compiled_equals_river(AutoDetector(), ["x", "y", "z"], hourly(stream))


def test_what_is_not_compiled_is_said() -> None:
    stream = Stream((Batch.of([{"device": "a", "time": 0, "x": 1.0}], ["x"]),))
    with pytest.raises(AssertionError, match=r"law 5.*LocalOutlierFactor has no kernel"):
        compiled_equals_river(anomaly.LocalOutlierFactor(), ["x"], stream)
