from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cleaning import benchmark, signals
from benchmarks.cleaning.alerts import Verdict
from benchmarks.cleaning.claims import CLAIMS, Claim, judged
from benchmarks.cleaning.found import Count, behind, judge, overtaking, values
from benchmarks.cleaning.signals import Signals, numbered
from streamflow import Batch, Flow, Quality, Stage
from streamflow.core.state import State
from streamflow.flow.registry import load
from streamflow.testing import Flatline, LateDelivery, inject

SECOND = 10**9
START = 1_767_225_600 * SECOND


def some(count: int = 2000) -> Signals:
    rng = np.random.default_rng(2)
    code = np.tile(np.arange(2, dtype=np.int32), count)
    time = START + np.repeat(np.arange(count) * 60 * SECOND, 2)
    batch = Batch(["a", "b"], code, time, time.copy(), {"t": 20 + rng.normal(0, 1, 2 * count)})
    return Signals("made", numbered(batch), [])


SIGNALS = some()


@dataclass(frozen=True)
class Judge(Stage):
    """Flags what a function says."""

    says: Callable[[Batch], np.ndarray]

    def on_batch(self, batch: Batch, state: State) -> Batch:
        return batch.mark("t", self.says(batch), Quality.STUCK)


def claim(says: Callable[[Batch], np.ndarray]) -> Claim:
    (known,) = [one for one in CLAIMS if one.fault is Flatline]
    return Claim(Flatline, known.stage, lambda *_: Judge(says), known.find, known.due)


def test_a_stage_that_flags_nothing_finds_nothing() -> None:
    nothing = judged(claim(lambda batch: np.zeros(len(batch), bool)), "middle", SIGNALS)
    assert (nothing.right, nothing.wrong, nothing.missed) == (0, 0, 160)
    assert (nothing.precision, nothing.recall) == (1.0, 0.0)


def test_what_the_untouched_copy_has_does_not_count() -> None:
    found = {"t": np.array([True, True, True, False])}
    before = {"t": np.array([True, False, False, False])}
    truth = {"t": np.array([True, True, False, True])}
    assert judge(found, before, truth, truth, np.arange(4)) == Count(1, 1, 1)
    # The same readings in another order: what was found before follows them.
    order = np.array([3, 2, 1, 0])
    turned = [{"t": one["t"][order]} for one in (found, truth, truth)]
    assert judge(turned[0], before, *turned[1:], order) == Count(1, 1, 1)


def test_a_run_counts_from_when_it_can_be_known() -> None:
    batch, truth = inject(SIGNALS.batch, [Flatline()], seed=1)
    due = behind(20)(batch, truth, "flatline")["t"]
    whole = values(batch, truth, "flatline")["t"]
    assert (whole.sum(), due.sum()) == (200, 160)
    assert not (due & ~whole).any()
    first = np.flatnonzero(whole & (batch.device == 0))
    assert np.array_equal(np.flatnonzero(due & (batch.device == 0)), first[20:])


def test_late_readings_that_come_out_in_order_are_found() -> None:
    faulty, truth = inject(SIGNALS.batch, [LateDelivery()], seed=1)
    faulty = numbered(faulty)
    flow = Flow("x", sensors=["t"], tags=["n"]) | load("stages", "reorder")(lateness="1h")
    found = overtaking(flow.replay(faulty), faulty)[""]
    assert np.array_equal(found, truth.reading("late_delivery"))


@pytest.mark.parametrize("one", CLAIMS, ids=lambda one: one.fault.__name__)
def test_every_claim_is_judged_and_holds_where_it_is_severe(one: Claim) -> None:
    if not one.known:
        pytest.skip(f"there is no stage {one.stage!r}")
    count = judged(one, "severe", some(600))
    assert count.due
    assert count.precision > 0.9
    assert count.recall >= (0.5 if one.floors[1] > 0.5 else 0)


def test_the_demo_has_signals_and_a_folder_without_any_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMFLOW_DATA", str(tmp_path))
    (demo,) = signals.load("small")
    assert demo.name == "NAB, the demo's"
    assert len({demo.batch.name(i) for i in range(0, len(demo.batch), 100)}) == 4
    assert (np.diff(demo.batch.arrived) >= 0).all()
    assert demo.incidents
    low, high = demo.limits["machine_temperature"]["value"]
    assert low < 2.09 < 108.5 < high


def test_cleaning_that_costs_more_than_five_points_is_below_its_floor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def told(precision: float) -> bool:
        verdicts = {"clean": [Verdict(0.6, 0.8, 9)], "corrupted": [Verdict(precision, 0.8, 9)]}
        hows = ("plain", "cleaned", "cleaned, despike")
        all_ = {f"{how}, {what}": v for how in hows for what, v in verdicts.items()}
        monkeypatch.setattr(benchmark, "compare", lambda *_: all_)
        monkeypatch.setattr(benchmark, "load", lambda _: [SIGNALS])
        monkeypatch.setattr(benchmark, "CLAIMS", ())
        return benchmark.run("full", 1).ok

    assert told(0.56)
    assert not told(0.54)
