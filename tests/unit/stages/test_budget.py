from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.budgets.data import NOISE_KINDS, Size, noise
from streamflow import Alert, Batch, Detect, Flow, Map, ValueNovelty
from streamflow.engine.rows import Batches
from streamflow.errors import FlowError
from streamflow.stages.budget import fields

HOUR = 3600 * 10**9
WEEKLY = Alert(budget="3 per device per week", of="t")
FLOW = Flow("test", sensors=["t", "p"])


def opened(flow: Flow, data: Any) -> list[tuple[str, int]]:
    events = flow.replay(data).alerts
    return [(e.device, e.time) for e in events if e.fields["status"] == "opened"]


def rows(values: Any, *, every: int = 300, start: int = 0, device: str = "a") -> Any:
    return [{"device": device, "time": start + every * i, "t": v} for i, v in enumerate(values)]


def gaussian(n: int, seed: int = 3) -> Any:
    return np.random.default_rng(seed).standard_normal(n)


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_a_budget_is_kept_on_noise(kind: str) -> None:
    size = Size(24, 8_064)
    count = len(opened(Flow("test", sensors=["t"]) | WEEKLY, noise(kind, size, seed=11)))
    assert 0.5 * 3 * size.weeks <= count <= 2 * 3 * size.weeks


def test_no_device_ever_exceeds_twice_its_budget_however_its_scores_rise() -> None:
    rising = np.arange(8_064.0)
    steps = np.repeat(np.arange(84.0), 96) + gaussian(8_064) / 10
    bursts = gaussian(8_064) + 9 * (np.random.default_rng(5).random(8_064) < 0.02)
    for values in (rising, steps, bursts):
        times = [time for _, time in opened(FLOW | WEEKLY, rows(values))]
        assert times
        for n, time in enumerate(times, start=1):
            assert n <= 2 * 3 * time / (168 * HOUR)


def test_a_score_far_above_all_opens_an_episode_in_an_old_device() -> None:
    values = gaussian(6_000)
    values[5_000] = 9.0
    (event,) = [e for e in (FLOW | WEEKLY).replay(rows(values)).alerts if e.time == 5_000 * 300e9]
    assert event.fields["severity"] == "severe"
    assert 2 < event.fields["level"] < 5


def test_a_second_fault_not_quite_as_large_as_the_first_opens_one_too() -> None:
    found = []
    for seed in range(20):
        values = gaussian(8_000, seed)
        values[[6_000, 6_300]] = 9.0, 8.5
        times = [time // (300 * 10**9) for _, time in opened(FLOW | WEEKLY, rows(values))]
        found.append({6_000, 6_300} <= set(times))
    assert np.mean(found) >= 0.8  # the others have spent their budget just before


def test_a_long_fault_counts_as_one_peak() -> None:
    values = gaussian(9_000)
    values[5_000:6_000] += 20  # three and a half days
    values[7_000] = 9.0
    times = [time // (300 * 10**9) for _, time in opened(FLOW | WEEKLY, rows(values))]
    assert {5_000, 7_000} <= set(times)


def test_a_young_device_keeps_silent() -> None:
    values = gaussian(300)  # 25 hours: less than half of the 56 in which there is one
    values[250] = 50.0
    assert opened(FLOW | WEEKLY, rows(values)) == []


def test_the_clock_starts_with_the_second_score_that_there_is() -> None:
    values = np.concatenate([np.zeros(4_000), [5.0], gaussian(300)])
    values[-1] = 50.0
    assert opened(FLOW | WEEKLY, rows(values)) == []


def test_a_silence_is_no_history() -> None:
    early = rows(gaussian(200))  # 17 hours, in which there are five peaks
    late = rows(gaussian(50, seed=4) + 5, start=10**8)
    assert opened(FLOW | WEEKLY, [*early, *late]) == []


def test_a_device_that_sends_seldom_has_the_same_budget() -> None:
    count = sum(
        len(opened(FLOW | WEEKLY, rows(gaussian(1_000, seed=s), every=6 * 3600))) for s in range(10)
    )
    weeks = 10 * 1_000 / 28
    assert 0.4 * 3 * weeks <= count <= 2 * 3 * weeks


def test_missing_scores_and_a_clock_that_jumps_do_no_harm() -> None:
    values = gaussian(8_000)
    values[::7] = np.nan
    data = rows(values)
    data[4_000]["time"] = 10**10
    data[4_100]["time"] = 0
    count = len(opened(FLOW | WEEKLY, data))
    assert 2 <= count <= 24


def test_equal_scores_open_nothing() -> None:
    assert opened(FLOW | WEEKLY, rows(np.arange(8_000) % 7)) == []


def learning(r: Any) -> dict[str, float]:
    return {"learning": float(r.get("p") == 1), "score": r["t"]}


def test_a_learning_detector_opens_only_far_above_and_enters_no_history() -> None:
    flow = FLOW | Map(learning, adds=["learning", "score"]) | Alert(budget="3 per device per week")
    young = gaussian(4_000) + 100
    old = gaussian(4_000, seed=9)
    old[3_900:3_910] = np.linspace(4, 20, 10)
    data = [*rows(young), *rows(old, start=300 * 4_000)]
    for row in data[:4_000]:
        row["p"] = 1
    for row in data[7_900:7_910]:
        row["p"] = 1
    times = [time // (300 * 10**9) for _, time in opened(flow, data)]
    assert not [time for time in times if time < 4_000]
    (again,) = [time for time in times if 7_900 <= time < 7_910]
    assert old[again - 4_000] > 2 * 3  # at least twice the largest peak, which is above 3


def test_a_fleet_prior_lets_a_young_device_alert_once() -> None:
    steady = [row for d in range(6) for row in rows(gaussian(6_000, seed=d), device=f"old-{d}")]
    values = gaussian(120)
    values[[60, 100]] = 9.0, 10.0
    young = rows(values, start=300 * 6_000, device="young")
    data = sorted([*steady, *young], key=lambda row: row["time"])
    prior = Alert(budget="3 per device per week", of="t", prior="fleet")
    assert [d for d, _ in opened(FLOW | WEEKLY, data) if d == "young"] == []
    assert [t // (300 * 10**9) for d, t in opened(FLOW | prior, data) if d == "young"] == [6_060]


def test_a_fleet_prior_keeps_the_budget() -> None:
    size = Size(24, 8_064)
    prior = Alert(budget="3 per device per week", of="t", prior="fleet")
    count = len(opened(Flow("test", sensors=["t"]) | prior, noise("heavy-tailed", size, seed=2)))
    assert 0.5 * 3 * size.weeks <= count <= 2 * 3 * size.weeks


def test_the_state_of_a_device_is_small() -> None:
    assert sum(field.make(1).nbytes for field in fields().values()) == 216
    assert (FLOW | WEEKLY).plan().stages[0].bytes_per_device < 1000


def test_a_budget_is_on_the_last_score() -> None:
    flow = FLOW | Detect(ValueNovelty()) | Detect(ValueNovelty(), name="second")
    plan = (flow | Alert(budget="1 per device per day")).plan()
    assert plan.stages[-1].uses == ("second_score",)


@pytest.mark.parametrize(
    ("alert", "sentence"),
    [
        (Alert(), "step 'alert' has neither when= nor budget="),
        (Alert("t > 1", budget="1 per device per day"), "has both when= and budget="),
        (Alert(budget="0 per device per week", of="t"), "'0 per device per week' allows no alert"),
        (
            Alert(budget="few", of="t"),
            "budget='few' is none; write it like '3 per device ",
        ),
        (Alert(budget="-1 per device per day", of="t"), "budget='-1 per device per day' is none"),
        (Alert(budget=3, of="t"), "budget=3 is none; write it like"),  # type: ignore[arg-type]
        (Alert(budget="1 per device per day"), "a budget is on a score, and there is none here"),
        (Alert(budget="1 per device per day", of="tt"), "of names the column 'tt', which does not"),
        (Alert(budget="1 per device per day", of="t", prior="site"), "prior='site'; it is 'fleet'"),
        (Alert("t > 1", of="t"), "of= is for a budget; it has when="),
        (Alert("t > 1", prior="fleet"), "prior= is for a budget; it has when="),
        (Alert("t > 1", severe="tt > 2"), "severe='tt > 2' uses 'tt'"),
        (Alert("t > 1", after="1h", new_normal="1h"), "new_normal='1h' must be longer than after="),
        (Alert("t > 1", hold="2h", new_normal="1h"), "new_normal='1h' must be longer than after="),
        (Alert("t > 1", quiet="soon"), "'soon' is not a duration"),
        (Alert("t > 1", silent="soon"), "'soon' is not a duration"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(alert: Alert, sentence: str) -> None:
    with pytest.raises(FlowError) as error:
        (FLOW | alert).plan()
    assert sentence in str(error.value)


def test_batches_do_not_matter_to_a_fleet_prior() -> None:
    prior = Alert(budget="3 per device per day", of="t", prior="fleet")
    batch = noise("gaussian", Size(20, 1_500), seed=1)
    whole = (Flow("test", sensors=["t"]) | prior).replay(batch).events
    late = batch.take((batch.device < 10) | (batch.time > 100 * HOUR))
    parts = tuple(late.take(np.arange(i, min(i + 37, len(late)))) for i in range(0, len(late), 37))
    one = (Flow("test", sensors=["t"]) | prior).replay(Batch.concat(list(parts))).events
    other = (Flow("test", sensors=["t"]) | prior).replay(Batches(parts)).events
    assert [e.row() for e in one] == [e.row() for e in other]
    assert [e.id for e in one] != [e.id for e in whole]
