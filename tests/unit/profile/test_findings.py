"""Findings: every injected fault is found, and clean data has none."""

from __future__ import annotations

import numpy as np
import pytest

from streamflow import Batch
from streamflow.profile import survey as survey_module
from streamflow.profile.facts import DeviceFacts, facts
from streamflow.profile.findings import findings
from streamflow.profile.survey import Survey
from streamflow.testing import (
    ClockJump,
    ClockReset,
    Duplicates,
    Fault,
    Flatline,
    Gaps,
    Infinities,
    LateDelivery,
    MissingValues,
    Quantisation,
    Saturation,
    Spikes,
    TimeZoneShift,
    UnitChange,
    inject,
)

SECOND = 10**9
START = 1_767_225_600 * SECOND
NOW = START + 400 * 86_400 * SECOND
DEVICES, COUNT = 6, 3000


def fleet() -> Batch:
    """Temperatures with a daily wave and noise, a reading a minute."""
    rng = np.random.default_rng(1)
    code = np.tile(np.arange(DEVICES, dtype=np.int32), COUNT)
    time = START + np.repeat(np.arange(COUNT) * 60 * SECOND, DEVICES)
    wave = 5 * np.sin(2 * np.pi * np.arange(COUNT) / 1440)
    columns = {
        "t": 20 + np.repeat(wave, DEVICES) + rng.normal(0, 0.3, len(code)) + 0.1 * code,
        "p": 4 + rng.normal(0, 0.1, len(code)),
    }
    return Batch([f"d{i}" for i in range(DEVICES)], code, time, time.copy(), columns)


FLEET = fleet()


def looked(batch: Batch, size: int = 4096) -> list[DeviceFacts]:
    survey = Survey(["t", "p"], NOW)
    for first in range(0, len(batch), size):
        survey.add(batch.take(np.arange(first, min(first + size, len(batch)))))
    return facts(survey)


def test_clean_data_has_no_findings() -> None:
    assert findings(looked(FLEET)) == []


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (Gaps(devices=["d1"]), "gaps"),
        (MissingValues(devices=["d1"], sensors=["t"]), "missing"),
        (Infinities(devices=["d1"], sensors=["t"]), "infinite"),
        (Spikes("severe", devices=["d1"], sensors=["t"]), "spikes"),
        (Flatline(devices=["d1"], sensors=["t"]), "stuck"),
        (Saturation(devices=["d1"], sensors=["t"]), "saturated"),
        (UnitChange("severe", devices=["d1"], sensors=["t"]), "unit changed"),
        (ClockReset(devices=["d1"]), "clock reset"),
        (ClockJump("severe", devices=["d1"]), "future"),
        (Duplicates(devices=["d1"]), "duplicates"),
        (LateDelivery(devices=["d1"]), "disorder"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_a_fault_is_found_on_the_device_that_has_it_and_on_no_other(
    fault: Fault, what: str
) -> None:
    batch, truth = inject(FLEET, [fault], seed=3)
    found = [one for one in findings(looked(batch)) if one.what == what]
    assert [one.device for one in found] == ["d1"]
    if fault.sensors:
        assert found[0].sensor == "t"
    assert {one.device for one in findings(looked(batch))} == {"d1"}
    assert truth.kinds == [fault.kind]


def test_counts_are_those_of_the_truth() -> None:
    faults = [MissingValues(), Infinities("mild"), ClockReset("mild"), Duplicates("mild")]
    batch, truth = inject(FLEET, faults, seed=3)
    both = looked(batch)
    again = truth.reading("duplicates")
    assert sum(one.copies for one in both) == again.sum()
    reset = truth.reading("clock_reset") & ~again
    assert sum(one.old for one in both) == reset.sum()
    for sensor in ("t", "p"):
        missing, infinite = np.isnan(batch[sensor]) & ~again, np.isinf(batch[sensor]) & ~again
        assert sum(one.sensors[sensor].missing for one in both) == missing.sum()
        assert sum(one.sensors[sensor].infinite for one in both) == infinite.sum()


def test_late_readings_are_counted_exactly() -> None:
    batch, truth = inject(FLEET, [LateDelivery("severe")], seed=3)
    assert sum(one.late for one in looked(batch)) == truth.reading("late_delivery").sum()


def test_the_longest_run_and_the_gap_are_where_they_were_put() -> None:
    batch, truth = inject(FLEET, [Flatline(devices=["d2"], sensors=["t"]), Gaps("middle")], seed=3)
    two = looked(batch)[2]
    where = np.flatnonzero(truth.value("flatline", "t"))
    run = two.sensors["t"].longest
    assert run.readings == len(where) + 1  # with the value that was right
    assert run.end == batch.time[where[-1]]
    lost = next(lost for lost in truth.lost if lost.device == "d2")
    assert two.longest == [(lost.start - 60 * SECOND, 51 * 60 * SECOND)]


def test_a_time_zone_is_told_from_disorder() -> None:
    shift = TimeZoneShift(devices=["d1"])
    batch, truth = inject(FLEET, [shift], seed=3)
    wrong = truth.reading(shift.kind)
    back = batch.replace(time=np.where(wrong, batch.time - 4 * 3600 * SECOND, batch.time))
    (found,) = [one for one in findings(looked(back)) if one.what == "clock set back"]
    assert "a time zone or summer time" in found.words


def test_another_unit_is_found_among_the_devices() -> None:
    batch = FLEET.with_columns(
        {"t": np.where(FLEET.device == 4, FLEET["t"] * 1.8 + 32, FLEET["t"])}
    )
    (found,) = findings(looked(batch))
    assert (found.device, found.sensor, found.what) == ("d4", "t", "other unit")
    assert "degC to degF" in found.words


def test_a_placeholder_is_told_from_a_value() -> None:
    t = FLEET["t"].copy()
    t[100] = -999.0
    found = findings(looked(FLEET.with_columns({"t": t})))
    assert [one.what for one in found if "placeholder" in one.what] == ["placeholder"]


def test_a_coarse_sensor_is_seen() -> None:
    batch, _ = inject(FLEET, [Quantisation("severe", sensors=["p"])], seed=3)
    coarse = batch.with_columns({"p": np.round(batch["p"] * 5) / 5})
    assert {one.what for one in findings(looked(coarse)) if one.sensor == "p"} == {"coarse"}


def test_sensors_that_go_together_are_named() -> None:
    together = FLEET.with_columns({"p": FLEET["t"] * 2})
    assert looked(together)[0].correlations == {("t", "p"): 1.0}
    assert looked(FLEET)[0].correlations == {}


def test_it_does_not_matter_how_readings_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = [Flatline(), Gaps(), ClockReset(), LateDelivery(), MissingValues()]
    batch, _ = inject(FLEET, faults, seed=3)

    def counts(size: int, chunk: int) -> list[tuple[object, ...]]:
        monkeypatch.setattr(survey_module, "CHUNK", chunk)
        return [
            (
                *(one.readings, one.late, one.late_most, one.longest, one.old, one.first, one.last),
                *((s.values, s.low, s.high, s.longest) for s in one.sensors.values()),
            )
            for one in looked(batch, size)
        ]

    assert counts(4096, 1 << 20) == counts(1000, 3000) == counts(77, 77)


def test_devices_beyond_the_budget_are_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey_module, "BUDGET", 1)
    n = 40
    code = np.arange(n, dtype=np.int32)
    time = np.full(n, START)
    values = {"t": np.ones(n), "p": np.ones(n)}
    survey = Survey(["t", "p"], NOW)
    survey.add(Batch([f"d{i}" for i in range(n)], code, time, time, values))
    assert len(facts(survey)) == 16
    assert survey.beyond == n - 16
