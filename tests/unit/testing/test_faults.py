from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from streamflow import Batch
from streamflow.testing import (
    ClockAhead,
    ClockJump,
    ClockReset,
    ClockSkew,
    Drift,
    Duplicates,
    Fault,
    Flatline,
    Gaps,
    Infinities,
    LateDelivery,
    MissingValues,
    NoiseBurst,
    Offset,
    OutOfRange,
    Quantisation,
    Saturation,
    Silence,
    Spikes,
    SwappedSensors,
    TimeZoneShift,
    Truth,
    UnitChange,
    inject,
)
from streamflow.testing.faults import SEVERITIES

SECOND = 10**9
START = 1_767_225_600 * SECOND
SENSOR = (MissingValues, Infinities, OutOfRange, Spikes, Flatline, Saturation, Quantisation)
SENSOR += (UnitChange, Offset, Drift, NoiseBurst, SwappedSensors)
CLOCK = (ClockAhead, ClockSkew, ClockJump, ClockReset, TimeZoneShift)
DELIVERY = (Gaps, Silence, Duplicates, LateDelivery)
ALL = (*SENSOR, *CLOCK, *DELIVERY)


def clean(devices: int = 2, count: int = 2000) -> Batch:
    """Two sensors of each device, all values different, device after device each second."""
    rng = np.random.default_rng(3)
    code = np.tile(np.arange(devices, dtype=np.int32), count)
    time = START + np.repeat(np.arange(count) * 10 * SECOND, devices) + code
    wave = np.sin(np.arange(count * devices) / 50)
    columns = {"t": 20 + wave + rng.normal(0, 0.1, len(code)), "p": 5 + rng.random(len(code))}
    return Batch([f"d{i}" for i in range(devices)], code, time, time.copy(), columns)


BATCH = clean()


def same(a: Batch, b: Batch) -> bool:
    columns = all(np.array_equal(a[name], b[name], equal_nan=True) for name in a.columns)
    times = np.array_equal(a.time, b.time) and np.array_equal(a.arrived, b.arrived)
    return columns and times and np.array_equal(a.device, b.device)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("fault", ALL)
def test_a_fault_is_where_the_truth_says_and_nowhere_else(
    fault: Callable[..., Fault], severity: str
) -> None:
    one = fault(severity)
    out, truth = inject(BATCH, [one], seed=5)
    assert truth.kinds == [one.kind]
    was = BATCH.take(truth.origin)
    for sensor in BATCH.columns:
        changed = out[sensor] != was[sensor]
        where = truth.value(one.kind, sensor)
        assert not (changed & ~where).any()
        if fault is not Flatline:  # what is frozen may be right by chance
            assert (where & ~changed).sum() <= 0.02 * where.sum()
        assert where.any() == (fault in SENSOR)
    moved = truth.readings.get(one.kind, np.zeros(len(out), bool))
    assert np.array_equal(out.time != was.time, moved & (fault in CLOCK))
    assert moved.any() or fault in SENSOR or (fault, severity) == (Silence, "severe")
    if fault in (*SENSOR, *CLOCK):
        assert np.array_equal(truth.origin, np.arange(len(BATCH)))
        assert np.array_equal(out.arrived, BATCH.arrived)
    assert bool(truth.lost) == (fault in (Gaps, Silence))


@pytest.mark.parametrize("fault", ALL)
def test_more_is_wrong_the_more_severe_it_is(fault: Callable[..., Fault]) -> None:
    def harm(severity: str) -> float:
        one = fault(severity)
        out, truth = inject(BATCH, [one], seed=2)
        if truth.lost:
            return sum(lost.count for lost in truth.lost)
        was = BATCH.take(truth.origin)
        off = sum(np.nansum(np.abs(np.clip(out[s], -1e9, 1e9) - was[s])) for s in BATCH.columns)
        missing = sum(np.isnan(out[s]).sum() for s in BATCH.columns)
        late = truth.reading(one.kind).sum()
        return float(off + missing + np.abs((out.time - was.time) / 1e9).sum() + late)

    mild, middle, severe = map(harm, SEVERITIES)
    assert 0 < mild < middle < severe


def test_the_same_seed_gives_the_same_and_another_seed_something_else() -> None:
    faults = [Spikes(), Flatline(), ClockReset("mild"), Gaps("mild"), Duplicates(), LateDelivery()]
    first, truth = inject(BATCH, faults, seed=1)
    again, truth_again = inject(BATCH, faults, seed=1)
    other, _ = inject(BATCH, faults, seed=2)
    assert same(first, again)
    assert np.array_equal(truth.origin, truth_again.origin)
    assert not same(first, other)


def test_what_happens_to_a_device_does_not_depend_on_the_others() -> None:
    faults = [Spikes(), NoiseBurst(), ClockSkew(), Gaps("mild")]
    both, truth = inject(BATCH, faults, seed=1)
    alone, own = inject(BATCH.take(BATCH.device == 0), faults, seed=1)
    mine = both.device == 0
    assert same(both.take(mine), alone)
    assert np.array_equal(truth.value("spikes", "t")[mine], own.value("spikes", "t"))


def test_only_the_named_devices_and_sensors_are_struck() -> None:
    out, truth = inject(BATCH, [Spikes(devices=["d1"], sensors=["p"])], seed=1)
    assert np.array_equal(out["t"], BATCH["t"])
    assert set(out.device[truth.value("spikes", "p")].tolist()) == {1}
    with pytest.raises(ValueError, match="spikes: the batch has no 'q'"):
        inject(BATCH, [Spikes(sensors=["q"])])
    with pytest.raises(ValueError, match="it is mild, middle or severe"):
        Spikes("awful")  # type: ignore[arg-type]


def test_faults_compose_and_the_truth_follows_the_readings() -> None:
    faults = [Flatline("mild", sensors=["t"]), Gaps(), Duplicates(), LateDelivery()]
    out, truth = inject(BATCH, faults, seed=4)
    alone, first = inject(BATCH, faults[:1], seed=4)
    assert np.array_equal(truth.value("flatline", "t"), first.value("flatline", "t")[truth.origin])
    assert np.array_equal(out["t"], alone["t"][truth.origin])
    assert (np.diff(out.arrived) >= 0).all()
    assert truth.reading("duplicates").sum() == len(out) - len(np.unique(truth.origin))
    assert truth.kinds == ["duplicates", "flatline", "gaps", "late_delivery"]


def test_no_faults_change_nothing() -> None:
    out, truth = inject(BATCH, [])
    assert same(out, BATCH)
    assert truth.kinds == []
    assert not Truth(np.arange(3)).reading("gaps").any()


def test_a_gap_is_marked_at_the_first_reading_behind_it() -> None:
    out, truth = inject(BATCH, [Gaps("middle")], seed=1)
    assert [lost.count for lost in truth.lost] == [50, 50]
    for device, lost in enumerate(truth.lost):
        time = out.time[out.device == device]
        (at,) = np.flatnonzero(truth.reading("gaps")[out.device == device])
        assert time[at - 1] < lost.start <= lost.end < time[at]
        assert not ((time >= lost.start) & (time <= lost.end)).any()


def test_late_readings_are_those_that_another_of_their_device_overtook() -> None:
    out, truth = inject(BATCH, [LateDelivery("severe")], seed=1)
    for device in (0, 1):
        time = out.time[out.device == device]
        late = truth.reading("late_delivery")[out.device == device]
        assert np.array_equal(late, time < np.maximum.accumulate(time))


def test_duplicates_are_equal_to_a_reading_before_them() -> None:
    out, truth = inject(BATCH, [Duplicates("severe")], seed=1)
    seen: set[tuple[int, int]] = set()
    for device, time, again in zip(
        out.device.tolist(), out.time.tolist(), truth.reading("duplicates").tolist(), strict=True
    ):
        assert ((device, time) in seen) == again
        seen.add((device, time))


def test_spikes_are_alone() -> None:
    _, truth = inject(BATCH, [Spikes("severe")], seed=1)
    rows = np.flatnonzero(truth.value("spikes", "t")[BATCH.device == 0])
    assert len(rows) == 10
    assert all(b - a > 10 for a, b in pairwise(rows.tolist()))


def test_missing_values_are_not_said_to_be_wrong() -> None:
    holes = BATCH.with_columns({"t": np.where(np.arange(len(BATCH)) % 3, BATCH["t"], np.nan)})
    for fault in (Flatline(), Offset(), Saturation(), Drift(), NoiseBurst(), UnitChange()):
        out, truth = inject(holes, [fault], seed=1)
        assert np.array_equal(np.isnan(out["t"]), np.isnan(holes["t"]))
        assert not (truth.value(fault.kind, "t") & np.isnan(holes["t"])).any()


def test_a_sensor_that_mostly_rests_at_its_lowest_value_has_no_ceiling_there() -> None:
    pulses = np.where(np.arange(len(BATCH)) % 40 < 4, BATCH["t"], 0.0)
    out, truth = inject(BATCH.with_columns({"t": pulses}), [Saturation()])
    assert np.array_equal(out["t"], pulses)
    assert not truth.value("saturation", "t").any()
    assert truth.value("saturation", "p").any()


def test_few_readings_are_no_trouble() -> None:
    for count in (1, 2, 5):
        for fault in ALL:
            for severity in SEVERITIES:
                out, truth = inject(clean(1, count), [fault(severity)], seed=1)
                assert len(out) == len(truth.origin)


def test_two_sensors_are_needed_to_swap_them() -> None:
    with pytest.raises(ValueError, match="it takes two sensors"):
        inject(BATCH, [SwappedSensors(sensors=["t"])])
