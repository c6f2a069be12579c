"""One stage on one number of devices: all sides by turns in one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from time import process_time
from typing import Any

import numpy as np

from benchmarks.cleaning_speed.data import HIGH, LOW, SENSORS, SIZES
from benchmarks.cleaning_speed.pairs import PAIRS, Pair
from streamflow import Batch, Schema, Sensor, Stage
from streamflow.core.index import Index
from streamflow.core.state import State


class Row:
    """Stages in a row, with the state of some devices."""

    def __init__(self, stages: Sequence[Stage], names: Sequence[str]) -> None:
        sensors = {name: Sensor("degC", low=LOW, high=HIGH) for name in SENSORS}
        self.stages = [stage.bind(Schema("device", "time", sensors)) for stage in stages]
        index = Index()
        rows = [index.add(name) for name in names]
        self.states = [State("benchmark", one.step, one.memory, index) for one in self.stages]
        for stage, state in zip(self.stages, self.states, strict=True):
            state.table.grow(len(names))
            stage.on_devices(names, rows, state)

    def run(self, given: Sequence[Batch]) -> list[Batch]:
        """Batch by batch; the rejected readings are still in."""
        out = []
        for batch in given:
            for stage, state in zip(self.stages, self.states, strict=True):
                got = stage.on_batch(batch, state)
                after = got[0] if isinstance(got, tuple) else got
                assert after is not None
                batch = after
            out.append(batch)
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
    """ns of CPU per reading, run by run, of each side; a run before gives devices a past.

    Raises RuntimeError where the stage and the loop give different readings.
    """
    given = pair.data.batches(devices, SIZES[size], 0)
    ours, loop = Row([pair.stage], given[0].devices), pair.loop and pair.loop()
    spent: dict[str, list[float]] = {"stage": [], "copy": [], **({"loop": []} if loop else {})}
    for number in range(1 + repeats):
        given = pair.data.batches(devices, SIZES[size], number)
        readings = sum(map(len, given))
        got, cpu = timed(ours.run, given)
        costs = {"stage": cpu / readings, "copy": timed(copied, given)[1] / readings}
        if loop:
            listed = [pair.data.listed(batch) for batch in given[: pair.data.looped]]
            wanted, cpu = timed(lambda rows, loop=loop: [loop(some) for some in rows], listed)
            costs["loop"] = cpu / sum(map(len, listed))
            if None not in wanted:
                _same(f"{pair.name}, {devices:,} devices", got, list(chain.from_iterable(wanted)))
        if number:
            for side, cost in costs.items():
                spent[side].append(cost * 1e9)
    return spent


def timed(function: Callable[..., Any], given: Any) -> tuple[Any, float]:
    """What a function returns, and the CPU it took, in s."""
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
            "name": f"{pair.name}, {devices:,}",
            "floor": pair.small if size == "small" else pair.full,
            "ns": run(pair, size, devices, repeats),
        }
        for pair in PAIRS
        for devices in pair.data.devices[size]
    ]
