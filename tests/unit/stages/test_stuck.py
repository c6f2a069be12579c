from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamflow import Flow, Sensor, Stuck
from streamflow.errors import FlowError

FLOW = Flow("test", sensors={"t": Sensor(), "p": Sensor()}, tags=["mode"])
MOVING = [20.1, 20.4, 20.2]


def flags(stage: Stuck, values: Any, every: int = 60, flow: Flow = FLOW, **also: Any) -> list[Any]:
    rows = [
        {"device": "a", "time": i * every, "t": t, **{k: v[i] for k, v in also.items()}}
        for i, t in enumerate(values)
    ]
    got = (flow | stage).replay(rows).rows.rows()
    return [" ".join(row.get("quality", {}).get("t", [])) for row in got]


def noise(n: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(20, 1, n)


def test_a_value_shown_for_too_long_is_flagged_and_missing_from_the_limit_on() -> None:
    values = [*MOVING, *[20.2] * 5, 20.3]
    rows = [{"device": "a", "time": 60 * i, "t": t} for i, t in enumerate(values)]
    got = (FLOW | Stuck(after="4m")).replay(rows).rows
    assert [q.get("quality") for q in got.rows()] == [None] * 6 + [{"t": ["stuck"]}] * 2 + [None]
    assert np.isnan(got["t"]).tolist() == [False] * 6 + [True] * 2 + [False]


def test_a_number_of_readings_counts_readings_not_time() -> None:
    assert flags(Stuck(after=3), [*MOVING, 20.2, 20.2, 20.2], every=9999)[3:] == [
        "",
        "stuck",
        "stuck",
    ]


def test_missing_values_neither_end_a_run_nor_make_it_longer() -> None:
    values = [*MOVING, 20.2, None, 20.2]
    assert flags(Stuck(after=3), values) == ["", "", "", "", "", "stuck"]


def test_a_sensor_that_never_moved_is_not_judged() -> None:
    assert set(flags(Stuck(after="5m"), [20.0] * 500)) == {""}


def test_what_has_happened_twice_is_usual_unless_it_lasts_twice_as_long() -> None:
    day = [*noise(30), *[20.0] * 30]
    got = flags(Stuck(after="10m"), [*day, *day, *day, *noise(5), *[20.0] * 100])
    flagged = [name == "stuck" for name in got]
    assert [sum(flagged[at : at + 60]) for at in (0, 60, 120)] == [20, 20, 0]
    assert sum(flagged[180:]) == 100 - 58  # 2 x 29 minutes pass


def test_another_device_of_the_kind_learns_for_itself() -> None:
    rest = [{"device": "b", "time": 60 * i, "t": 1.0} for i in range(100)]
    rows = [{"device": "a", "time": 60 * i, "t": t} for i, t in enumerate(noise(100))]
    got = (FLOW | Stuck(after="5m")).replay([*rows, *rest]).balance
    assert got.flagged == {}


def test_unless_says_where_constancy_is_as_it_should_be() -> None:
    values = [*MOVING, *[20.2] * 6]
    running = [1] * 3 + [0] * 4 + [1] * 2
    assert set(flags(Stuck(after=3, unless="p == 0"), values, p=running)) == {""}
    modes = ["on"] * 3 + ["off"] * 6
    assert set(flags(Stuck(after=3, unless='mode == "off"'), values, mode=modes)) == {""}
    assert flags(Stuck(after=3, unless="p == 0"), values, p=[1] * 9)[-1] == "stuck"


def test_with_a_sibling_a_run_grows_only_while_that_moves() -> None:
    values = [*MOVING, *[20.2] * 6]
    stage = Stuck(after="3m", siblings={"t": "p"})
    assert set(flags(stage, values, p=[5.0] * 9)) == {""}
    assert flags(stage, values, p=list(range(9)))[-4:] == ["stuck"] * 4
    assert flags(stage, values, p=[1, 2, 3, 3, 3, 4, 5, 6, 6])[-2:] == ["stuck"] * 2


def test_jitter_below_the_resolution_is_no_movement() -> None:
    values = [*MOVING, 20.2, 20.25, 20.2, 20.15]
    assert "stuck" not in flags(Stuck(after=3), values)
    assert flags(Stuck(after=3, resolution={"t": 0.1}), values)[-1] == "stuck"


def test_a_clock_that_steps_back_does_not_make_a_run_longer() -> None:
    times = [0, 60, 120, 100, 121, 101, 122]
    values = [20.1, 20.4, 20.2, 20.2, 20.2, 20.2, 20.2]
    rows = [{"device": "a", "time": t, "t": x} for t, x in zip(times, values, strict=True)]
    assert (FLOW | Stuck(after="3s")).replay(rows).balance.flagged == {}


def test_the_declared_end_of_a_range_is_saturation_and_the_value_stays() -> None:
    flow = Flow("test", sensors={"t": Sensor(low=0, high=100)})
    values = [*MOVING, *[100.0] * 4, 50.0, 50.0, 50.0, 50.0]
    rows = [{"device": "a", "time": i, "t": t} for i, t in enumerate(values)]
    got = (flow | Stuck(pinned=3)).replay(rows).rows
    assert got["t"].tolist() == values
    assert got.flags("t").astype(bool).tolist() == [False] * 5 + [True] * 2 + [False] * 4


def test_its_own_extreme_is_an_end_once_it_has_a_past() -> None:
    top = 30.0
    past = np.minimum(noise(300), 25.0)
    got = flags(Stuck(), [*past, *[top] * 8, *noise(10)])
    assert got[:304] == [""] * 304
    assert got[304:308] == ["saturated"] * 4
    assert "saturated" not in flags(Stuck(), [*past, *[20.0] * 8])


def test_a_ceiling_that_was_always_there_is_told_twice_then_usual() -> None:
    waves = 20 + 8 * np.sin(np.arange(2000) / 20) + noise(2000) / 100
    got = flags(Stuck(after=None, coarse=None), np.minimum(waves, 25.0))
    runs = [at for at in range(1, 2000) if got[at] and not got[at - 1]]
    assert len(runs) == 2
    assert runs[0] == 49  # of the first values none is an extreme
    assert set(flags(Stuck(after=None, coarse=None), waves)) == {""}


def test_short_runs_at_the_end_do_not_hide_a_long_one() -> None:
    values = [*noise(200).clip(17, 23)]
    for count in (2, 3, 4):
        values += [23.0] * count + [*noise(20).clip(17, 22)]
    got = flags(Stuck(after=None), [*values, *[23.0] * 6, 20.0])
    assert [at - len(values) for at, name in enumerate(got) if name == "saturated"] == [4, 5]


def test_coarse_steps_are_flagged_and_kept() -> None:
    fine = noise(600).round(3)
    coarse = fine.copy()
    coarse[300:400] = (coarse[300:400] / 0.5).round() * 0.5
    got = flags(Stuck(), coarse)
    assert "coarse" not in got[:300]
    assert got[320:400] == ["coarse"] * 80
    assert "coarse" not in got[401:]
    assert set(flags(Stuck(coarse=None), coarse)) == {""}


@pytest.mark.parametrize("step", [1.0, 0.5, 0.01])
def test_a_sensor_with_steps_of_its_own_is_not_coarse(step: float) -> None:
    values = (noise(2000).cumsum() / 20 / step).round() * step
    assert "coarse" not in flags(Stuck(), values)


def test_coarse_for_a_thousand_changes_is_how_the_sensor_is_now() -> None:
    values = np.concatenate([noise(300), noise(4000, seed=2).round()])
    got = flags(Stuck(), values)
    assert got[400] == "coarse"
    assert "coarse" not in got[2500:]


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        (Stuck(after="1x"), "'1x' is not a duration"),
        (Stuck(after="0s"), "after='0s' is no time"),
        (Stuck(after=1), "after=1 is a number of readings with one value: at least 2"),
        (Stuck(after=True), "after=True is a number of readings"),
        (Stuck(pinned=0), "pinned=0 is a number of readings with one value: at least 2"),
        (Stuck(coarse=1), "coarse=1 must be more than 1 usual step"),
        (Stuck(None, None, None), "nothing to look for"),
        (Stuck(sensors=["tt"]), "sensors names the column 'tt'"),
        (Stuck(siblings={"t": "x"}), "siblings names the column 'x'"),
        (Stuck(siblings={"t": "t"}), "the sibling of 't' must be another sensor"),
        (Stuck(siblings={"t": "p"}, sensors=["p"]), "siblings names 't', which is not in sensors"),
        (Stuck(resolution={"t": -1}), "resolution of 't' is -1"),
        (Stuck(unless="runing == 0"), "unless='runing == 0' uses 'runing'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(stage: Stuck, sentence: str) -> None:
    with pytest.raises(FlowError) as error:
        (FLOW | stage).plan()
    assert sentence in str(error.value)
