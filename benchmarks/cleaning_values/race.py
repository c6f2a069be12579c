"""Stages, a copy of the same columns, and a loop by turns in one process; ns of CPU a reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import process_time_ns
from typing import Any

import numpy as np
import orjson
from river import anomaly, preprocessing

from benchmarks.cleaning_values.stages import CASES, CHAIN, HIGH, LOW, Stages
from benchmarks.kernels.data import BATCH, SENSORS
from streamflow import Alert, Batch, Detect, Flow, Json, Messages, Schema, Sensor
from streamflow.core.index import Index
from streamflow.core.state import State
from streamflow.engine.shard import Shard

GAPS = 0.02
"""Share of the values that are missing."""
LOOPED = 8192
"""Readings that a loop is given in a run."""
_FIRST = 1_767_225_600 * 10**9


def stream(devices: int, seed: int = 1) -> Iterator[Batch]:
    """Batches without end: in each round every device sends one reading, in random order."""
    rng = np.random.default_rng(seed)
    names = [f"machine-{number:05d}" for number in range(devices)]
    sent = 0
    order = np.zeros(0, np.int32)
    while True:
        while len(order) < BATCH:
            order = np.concatenate([order, rng.permutation(devices).astype(np.int32)])
        now, order = order[:BATCH], order[BATCH:]
        time = _FIRST + (sent + np.arange(BATCH)) // devices * 10**10
        sent += BATCH
        columns = {name: rng.normal(20, 1, BATCH).round(3) for name in SENSORS}
        for values in columns.values():
            values[rng.random(BATCH) < GAPS] = np.nan
        yield Batch(names, now, time, time, columns)


class Row:
    """Stages in a row, with the state of some devices."""

    def __init__(self, case: Stages, devices: int) -> None:
        sensors = {name: Sensor("degC", low=LOW, high=HIGH) for name in SENSORS}
        schema = Schema("device", "time", sensors)
        self.stages = [stage.bind(schema) for stage in case.stages]
        index = Index()
        names = [f"machine-{number:05d}" for number in range(devices)]
        rows = [index.add(name) for name in names]
        self.states = [State("bench", one.step, one.memory, index) for one in self.stages]
        for stage, state in zip(self.stages, self.states, strict=True):
            state.table.grow(devices)
            stage.on_devices(names, rows, state)

    def run(self, batches: Sequence[Batch]) -> None:
        """Batch by batch."""
        for batch in batches:
            got: Any = batch
            for stage, state in zip(self.stages, self.states, strict=True):
                got = stage.on_batch(got, state)


def _timed(run: Callable[[], Any]) -> int:
    begun = process_time_ns()
    run()
    return process_time_ns() - begun


def _copy(batches: Sequence[Batch]) -> None:
    for batch in batches:
        for values in batch.columns.values():
            values.copy()


def races(devices: int, batches: int, repeats: int) -> list[dict[str, list[float]]]:
    """Of each case: ns a reading of the stages, of a copy, and of the loop if there is one."""
    return [_race(case, devices, batches, repeats) for case in CASES]


def _race(case: Stages, devices: int, batches: int, repeats: int) -> dict[str, list[float]]:
    source, row = stream(devices), Row(case, devices)
    loop = case.loop() if case.loop else None
    # Until every device has a past and every kernel is compiled.
    row.run([next(source) for _ in range(max(4, 40 * devices // BATCH))])
    found: dict[str, list[float]] = {"ours": [], "copy": [], **({"loop": []} if loop else {})}
    for _ in range(repeats):
        given = [next(source) for _ in range(batches)]
        n = sum(map(len, given))
        found["ours"].append(_timed(partial(row.run, given)) / n)
        found["copy"].append(_timed(partial(_copy, given)) / n)
        if loop:
            whole = Batch.concat(given[: -(-LOOPED // BATCH)])
            xs = [{name: values[name] for name in SENSORS} for values in whole.rows()]
            names = [whole.name(i) for i in range(len(whole))]
            found["loop"].append(_timed(partial(loop, names, xs)) / len(whole))
    return found


def chain(devices: int, batches: int, repeats: int) -> dict[str, list[float]]:
    """ns a reading of the recommended chain, and of the hot path: bytes to columns to alerts."""
    source, row = stream(devices), Row(CHAIN, devices)
    model = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=7)
    made = Flow("hot", sensors=list(SENSORS)) | Detect(model) | Alert("score > 0.95")
    hot, decoder = Shard(made.plan()), Json().decoder(made.schema)
    for _ in range(max(4, 260 * devices // BATCH)):  # until the trees score
        batch = next(source)
        row.run([batch])
        hot.on_batch(batch)

    def run(messages: Sequence[Messages]) -> None:
        for one in messages:
            hot.on_batch(decoder.decode(one, _lost).batch)

    found: dict[str, list[float]] = {"chain": [], "hot path": []}
    for _ in range(repeats):
        given = [next(source) for _ in range(batches)]
        n = sum(map(len, given))
        messages = [_messages(batch) for batch in given]
        found["chain"].append(_timed(partial(row.run, given)) / n)
        found["hot path"].append(_timed(partial(run, messages)) / n)
    return found


def _messages(batch: Batch) -> Messages:
    # Complete, as decoding likes them: what is missing would make the hot path look dearer.
    full = batch.with_columns({name: np.nan_to_num(batch[name]) for name in SENSORS})
    payloads = [orjson.dumps(row) for row in full.rows()]
    return Messages(payloads, range(len(payloads)))


def _lost(i: int, reason: str, byte: int | None = None) -> None:
    raise RuntimeError(f"message {i}, byte {byte}: {reason}")
