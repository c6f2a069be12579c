from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cleaning import benchmark, signals
from benchmarks.cleaning.alerts import Verdict
from benchmarks.cleaning.claims import CLAIMS, Claim, judged
from benchmarks.cleaning.due import Due, Trial, coarser, longer, standing_out, values
from benchmarks.cleaning.found import Count, judge, overtaking
from benchmarks.cleaning.signals import Signals, numbered
from streamflow import Batch, Flow, Quality, Stage
from streamflow.core.state import State
from streamflow.flow.registry import load
from streamflow.testing import Flatline, LateDelivery, Quantisation, Spikes, inject

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
    return Claim(Flatline, known.stage, lambda *_: Judge(says), known.find, known.due, known.faults)


def test_a_stage_that_flags_nothing_finds_nothing() -> None:
    nothing = judged(claim(lambda batch: np.zeros(len(batch), bool)), "middle", SIGNALS)
    assert (nothing.right, nothing.wrong, nothing.missed) == (0, 0, 164)
    assert (nothing.precision, nothing.recall) == (1.0, 0.0)


def test_what_the_untouched_copy_has_does_not_count() -> None:
    found = {"t": np.array([True, True, True, False])}
    before = {"t": np.array([True, False, False, False])}
    truth = {"t": np.array([True, True, False, True])}
    assert judge(found, before, truth, truth, np.arange(4), None) == Count(1, 1, 1, 1)
    # The same readings in another order: what was found before follows them.
    order = np.array([3, 2, 1, 0])
    turned = [{"t": one["t"][order]} for one in (found, truth, truth)]
    assert judge(turned[0], before, *turned[1:], order, None) == Count(1, 1, 1, 1)


def test_a_whole_fault_is_met_by_any_of_its_values_and_not_by_anothers() -> None:
    devices = np.array([0, 0, 1, 1, 2, 2], np.int32)
    found = {"t": np.array([True, False, False, False, True, False])}
    none = {"t": np.zeros(6, bool)}
    truth = {"t": np.array([True, True, True, True, False, False])}
    due = {"t": np.array([False, True, False, True, False, False])}
    assert judge(found, none, truth, due, np.arange(6), devices) == Count(1, 1, 1, 1)


def trial(own: np.ndarray, fault: Flatline | Spikes | Quantisation, seed: int = 1) -> Trial:
    time = START + np.arange(len(own)) * 60 * SECOND
    batch = Batch(["a"], np.zeros(len(own), np.int32), time, time.copy(), {"t": own})
    return Trial(batch, *inject(batch, [fault], seed), fault)


def due(what: Due, own: np.ndarray, fault: Flatline | Spikes | Quantisation) -> int:
    one = trial(own, fault)
    there = what(one)["t"]
    assert not (there & ~values(one)["t"]).any()
    return int(there.sum())


NOISE = np.random.default_rng(5).normal(20, 1, 1000)


def test_a_run_counts_from_when_it_can_be_known() -> None:
    assert due(longer(20), NOISE, Flatline()) == 100 - 18  # its value was there before
    resting = np.where(np.arange(1000) % 200 < 60, 0.0, NOISE)
    assert due(longer(20), resting, Flatline()) <= 100 - 59
    assert due(longer(20), np.zeros(1000), Flatline()) == 0


def test_rounding_counts_where_it_takes_something_away() -> None:
    assert due(coarser(8), NOISE, Quantisation()) > 200
    assert due(coarser(8), NOISE.round(), Quantisation()) == 0


def test_a_spike_counts_where_it_is_further_from_its_neighbours_than_the_signals_own() -> None:
    assert due(standing_out(14), NOISE, Spikes("severe")) == 4
    assert due(standing_out(0), NOISE, Spikes("severe")) == 5
    pulses = np.where(np.arange(1000) % 50 == 0, 500.0, NOISE)
    assert due(standing_out(14), pulses, Spikes("mild")) == 0
    assert due(standing_out(14), np.full(1000, 7.0), Spikes()) == 0


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
    assert count.recall >= 0.5


def test_what_ships_has_signals_and_a_folder_without_any_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMFLOW_DATA", str(tmp_path))
    (nab,) = signals.load()
    assert (nab.name, len(nab.batch.devices), len(nab.incidents)) == ("NAB", 58, 116)
    assert (np.diff(nab.batch.arrived) >= 0).all()
    low, high = nab.limits["realKnownCause/machine_temperature_system_failure.csv"]["value"]
    assert low < 2.09 < 108.5 < high


def test_cleaning_that_costs_more_than_five_points_is_below_its_floor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def told(precision: float) -> bool:
        one = (Verdict(0.6, 0.8, 9), [Verdict(precision, 0.8, 9)])
        all_ = dict.fromkeys(("plain", "cleaned", "cleaned, despike"), one)
        monkeypatch.setattr(benchmark, "compare", lambda *_: all_)
        monkeypatch.setattr(benchmark, "load", lambda: [SIGNALS])
        monkeypatch.setattr(benchmark, "CLAIMS", ())
        return benchmark.run("full", 1).ok

    assert told(0.56)
    assert not told(0.54)
