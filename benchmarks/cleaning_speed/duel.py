"""One stage on one number of devices: three sides by turns in one process, equal results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import process_time
from typing import Any

import numpy as np

from benchmarks.cleaning_speed.data import SENSORS, SIZES, batches, dicts
from benchmarks.cleaning_speed.pairs import PAIRS, Pair
from streamflow import Batch, Schema, Sensor, Stage
from streamflow.core.index import Index
from streamflow.core.state import State


class InStage:
    """A stage, with the state of some devices."""

    def __init__(self, stage: Stage, names: Sequence[str]) -> None:
        self.stage = stage.bind(Schema("device", "time", {name: Sensor() for name in SENSORS}))
        index = Index()
        rows = [index.add(name) for name in names]
        self.state = State("benchmark", stage.step, self.stage.memory, index)
        self.state.table.grow(len(names))
        self.stage.on_devices(names, rows, self.state)

    def run(self, given: Sequence[Batch]) -> list[Batch]:
        """Batch by batch; the rejected ones are still in."""
        out = []
        for batch in given:
            got = self.stage.on_batch(batch, self.state)
            after = got[0] if isinstance(got, tuple) else got
            assert after is not None
            out.append(after)
        return out


def copied(given: Sequence[Batch]) -> list[Batch]:
    """A plain copy of the same columns: what touching them costs at least."""
    return [
        batch.replace(
            device=batch.device.copy(),
            time=batch.time.copy(),
            arrived=batch.arrived.copy(),
            columns={name: values.copy() for name, values in batch.columns.items()},
        )
        for batch in given
    ]


def run(pair: Pair, size: str, devices: int, repeats: int) -> dict[str, list[float]]:
    """ns of CPU per reading, run by run, of each side.

    Raises RuntimeError where the stage and the loop give different readings.
    """
    name = type(pair.stage).__name__
    given = batches(devices, SIZES[size].readings, 0)
    ours, loop = InStage(pair.stage, given[0].devices), pair.loop()
    spent: dict[str, list[float]] = {"stage": [], "copy": [], "loop": []}
    for number in range(1 + repeats):
        given = batches(devices, SIZES[size].readings, number)
        listed = [dicts(batch) for batch in given]
        readings = sum(map(len, given))
        got, stage_cpu = _timed(ours.run, given)
        _, copy_cpu = _timed(copied, given)
        wanted, loop_cpu = _timed(lambda rows: [loop(some) for some in rows], listed)
        _same(f"{name}, {devices:,} devices", got, [row for some in wanted for row in some])
        if number:
            for side, cpu in (("stage", stage_cpu), ("copy", copy_cpu), ("loop", loop_cpu)):
                spent[side].append(cpu / readings * 1e9)
    return spent


def _timed(function: Callable[..., Any], given: Any) -> tuple[Any, float]:
    begun = process_time()
    result = function(given)
    return result, process_time() - begun


def _same(what: str, got: Sequence[Batch], wanted: Sequence[dict[str, Any]]) -> None:
    kept = [b if b.reason is None else b.take(b.reason.codes < 0) for b in got]
    names = [name for batch in kept for name in map(batch.name, range(len(batch)))]
    if names != [row["device"] for row in wanted]:
        raise RuntimeError(f"{what}: {len(names)} readings go on, the loop's are {len(wanted)}")
    for column in ("time", *SENSORS):
        parts = [batch.time if column == "time" else batch[column] for batch in kept]
        ours = np.concatenate(parts)
        if ours.tobytes() != np.array([row[column] for row in wanted], ours.dtype).tobytes():
            raise RuntimeError(f"{what}: {column} differs from the loop's")


def duels(size: str, repeats: int) -> list[dict[str, Any]]:
    """All of them."""
    return [
        {
            "name": type(pair.stage).__name__,
            "devices": devices,
            "floor": pair.floor,
            "ns": run(pair, size, devices, repeats),
        }
        for pair in PAIRS
        for devices in SIZES[size].devices
    ]
