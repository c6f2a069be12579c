"""Draws what stages do to faults: ``python -m benchmarks.cleaning.pictures``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.cleaning.drawing import BLUE, Panel, spans, svg
from streamflow import (
    Alert,
    Batch,
    Deduplicate,
    Despike,
    Flow,
    GuardClock,
    Impute,
    Maintenance,
    Quality,
    Reorder,
    Resample,
    Sensor,
    Silent,
    Stage,
    Stuck,
    Validate,
)
from streamflow.core.batch import Mask, Values
from streamflow.engine.result import Result
from streamflow.testing import (
    Duplicates,
    Fault,
    Flatline,
    LateDelivery,
    MissingValues,
    NoiseBurst,
    OutOfRange,
    Quantisation,
    Saturation,
    Silence,
    Spikes,
    TimeZoneShift,
    Truth,
    UnitChange,
    inject,
)

START, MINUTE, HOUR = 1_767_225_600 * 10**9, 60 * 10**9, 3600 * 10**9
SENSORS = {"t": Sensor("degC")}
FOLDER = "docs/field-faults"


def clean(count: int, noise: float = 0.4) -> Batch:
    """A reading a minute of one device, waves of 80 minutes."""
    rng = np.random.default_rng(3)
    values = 20 + 8 * np.sin(np.arange(count) / 80 * 2 * np.pi) + noise * rng.normal(size=count)
    time = START + np.arange(count) * MINUTE
    return Batch(["pump"], np.zeros(count, np.int32), time, time, {"t": values})


def minutes(batch: Batch) -> Values:
    """When its readings arrived."""
    return np.asarray((batch.arrived - START) / MINUTE)


def put(fault: Fault, count: int = 400, noise: float = 0.4) -> tuple[Batch, Truth]:
    """The clean stream with a fault."""
    return inject(clean(count, noise), [fault], seed=1)


def through(batch: Batch, *stages: Stage) -> Result:
    """What stages make of it."""
    flow = Flow("picture", sensors=SENSORS, tags=list(batch.tags))
    for stage in stages:
        flow = flow | stage
    return flow.replay(batch)


def valued(fault: Fault, stage: Stage, flag: Quality, count: int = 400) -> str:
    """A fault of values: it in red, and what the stage flags behind a bar."""
    batch, truth = put(fault, count)
    return flagged(batch, truth.value(fault.kind, "t"), through(batch, stage).rows, flag)


def flagged(batch: Batch, wrong: Mask, rows: Batch, flag: Quality) -> str:
    """What is wrong, in red, and what was flagged, behind bars."""
    found = spans(minutes(rows), (rows.flags("t") & flag) != 0)
    return svg(
        Panel("as it came", minutes(batch), batch["t"], wrong),
        Panel("flagged", minutes(rows), rows["t"], none(rows), bars=found),
    )


def none(batch: Batch) -> Mask:
    """No reading."""
    return np.zeros(len(batch), bool)


def clock() -> str:
    """Hours between event time and arrival."""
    batch, truth = put(TimeZoneShift("mild"), 120)
    rows = through(batch, GuardClock()).rows
    off, left = ((b.time - b.arrived) / HOUR for b in (batch, rows))
    at = truth.reading("time_zone_shift")
    above = Panel("hours off", minutes(batch), off, at, dots=True)
    right = rows.time != batch.time[np.searchsorted(batch.arrived, rows.arrived)]
    return svg(above, Panel("corrected", minutes(rows), left, right, BLUE, dots=True))


def duplicates() -> str:
    """Readings in the order in which they came."""
    batch, truth = put(Duplicates("severe"), 60)
    rows = through(batch, Deduplicate()).rows
    x = np.arange(len(batch), dtype=float)
    above = Panel("as it came", x, batch["t"], truth.reading("duplicates"))
    return svg(above, Panel("once", x[: len(rows)], rows["t"], none(rows)))


def order() -> str:
    """Readings in the order in which they came, then in that of their times."""
    batch, truth = put(LateDelivery("severe"), 120, noise=0.0)
    rows = through(batch, Reorder(lateness="15m")).rows
    x = np.arange(len(batch), dtype=float)
    above = Panel("as it came", x, batch["t"], truth.reading("late_delivery"))
    return svg(above, Panel("in order", x[: len(rows)], rows["t"], none(rows)))


def saturated() -> str:
    """A rise that the sensor's range does not hold."""
    batch = clean(400)
    batch["t"][250:320] += 14
    batch, truth = inject(batch, [Saturation()])
    rows = through(batch, Stuck(after=None)).rows
    return flagged(batch, truth.value("saturation", "t"), rows, Quality.SATURATED)


def silence() -> str:
    """A gap, and the event that says so."""
    batch, _ = put(Silence("middle"), 300)
    begun, ended = (float((e.time - START) / MINUTE) for e in through(batch, Silent()).events)
    x = minutes(batch)
    apart = np.insert(batch["t"], int(np.argmax(np.diff(x))) + 1, np.nan)
    x = np.insert(x, int(np.argmax(np.diff(x))) + 1, begun)
    nothing = np.zeros(len(x), bool)
    return svg(
        Panel("as it came", x, apart, nothing),
        Panel("silence", x, apart, nothing, bars=[(begun, ended)]),
    )


def units() -> str:
    """Degrees Fahrenheit from one version of the firmware on."""
    batch, truth = put(UnitChange("middle"))
    wrong = truth.value("unit_change", "t")
    tagged = [{**row, "firmware": str(1 + at)} for row, at in zip(batch.rows(), wrong, strict=True)]
    given = Batch.of(tagged, ["t"], ["firmware"])
    rows = through(given, Validate(units={"t": ("firmware", {"2": "degF"})})).rows
    above = Panel("as it came", minutes(batch), batch["t"], wrong)
    return svg(above, Panel("converted", minutes(batch), rows["t"], none(rows)))


def required() -> str:
    """Readings that lack another sensor, and those that go on."""
    batch = clean(160)
    both = batch.replace(columns={"t": batch["t"], "p": np.ones(len(batch))})
    given, truth = inject(both, [MissingValues("severe", sensors=["p"])], seed=1)
    flow = Flow("picture", sensors={**SENSORS, "p": Sensor()}) | Validate(required=["p"])
    rows = flow.replay(given).rows
    above = Panel("lacks p", minutes(given), given["t"], truth.value("missing_values", "p"))
    return svg(above, Panel("goes on", minutes(rows), rows["t"], none(rows), dots=True))


def gaps() -> str:
    """Values that are missing, and what stands for them."""
    batch, _ = put(MissingValues("severe"), 160)
    rows = through(batch, Impute(hold="1h", by="linear")).rows
    filled = (rows.flags("t") & Quality.IMPUTED) != 0
    above = Panel("as it came", minutes(batch), batch["t"], none(batch))
    return svg(above, Panel("filled in", minutes(rows), rows["t"], filled, BLUE))


def grid() -> str:
    """A sensor that is read every 7 minutes or so, on a grid of 5."""
    rng = np.random.default_rng(1)
    batch = clean(300).take(np.cumsum(rng.integers(3, 12, 36)))
    rows = through(batch, Resample(every="5m", gap="10m")).rows
    made = (rows.flags("t") & Quality.RESAMPLED) != 0
    when = np.asarray((rows.time - START) / MINUTE)
    above = Panel("as it came", minutes(batch), batch["t"], none(batch), dots=True)
    return svg(above, Panel("every 5 min", when, rows["t"], made, BLUE, dots=True))


def maintenance(folder: Path) -> str:
    """Alerts without the stage; with it, a window and none."""
    batch, truth = put(NoiseBurst("severe"))
    at = truth.value("noise_burst", "t")
    x, inside = minutes(batch), np.flatnonzero(at)
    begun, ended = (int(batch.time[i]) // 10**9 for i in (inside[0], inside[-1] + 1))
    windows = folder / "windows.csv"
    windows.write_text(f"device,start,end\npump,{_iso(begun)},{_iso(ended)}\n")
    alert = Alert("abs(t - 20) > 14")
    without = through(batch, alert).events
    with_it = through(batch, Maintenance(str(windows)), alert)
    windows.unlink()
    assert not with_it.events
    opened = [float((e.time - START) / MINUTE) for e in without if e.fields["status"] == "opened"]
    nothing = none(batch)
    window = spans(x, with_it.rows["maintenance"] == 1)
    alerts = np.isin(x, opened)
    return svg(
        Panel("alerts", x, batch["t"], alerts),
        Panel("a window", x, batch["t"], nothing, bars=window),
    )


def _iso(seconds: int) -> str:
    return f"{np.datetime64(seconds, 's')}Z"


FLAGGED: Sequence[tuple[str, Callable[[], str]]] = (
    (
        "range",
        lambda: valued(
            OutOfRange(), Validate(limits={"t": (0, 40)}), Quality.OUT_OF_RANGE, count=800
        ),
    ),
    (
        "rate",
        lambda: valued(Spikes("severe"), Validate(rates={"t": 0.1}), Quality.TOO_FAST, count=800),
    ),
    ("stuck", lambda: valued(Flatline(), Stuck(after="20m"), Quality.STUCK)),
    ("coarse", lambda: valued(Quantisation(), Stuck(after=None), Quality.COARSE, count=800)),
    ("spikes", lambda: valued(Spikes("severe"), Despike(), Quality.SPIKE, count=800)),
)


def main(folder: Path) -> None:
    """Write all pictures."""
    drawn = {name: draw() for name, draw in FLAGGED}
    for draw in (clock, duplicates, order, saturated, silence, units, required, gaps, grid):
        drawn[draw.__name__] = draw()
    drawn["maintenance"] = maintenance(folder)
    for name, picture in drawn.items():
        (folder / f"{name}.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else FOLDER))
