"""The signals: real ones, those that ship with the project and those that STREAMFLOW_DATA names."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.detection.data import SHIPPED
from streamflow import Batch, Flow, Words
from streamflow.core.batch import Mask
from streamflow.engine.episodes import Incident

SKAB = ("acc1", "acc2", "current", "pressure", "temperature", "thermocouple", "voltage", "flow")


@dataclass(frozen=True)
class Signals:
    """Readings of some devices in order of arrival, and what is known to have gone wrong.

    Each reading has the tag `n`, its number as text, by which it is found again.
    """

    name: str
    batch: Batch
    incidents: Sequence[Incident]

    @property
    def sensors(self) -> list[str]:
        """Their names."""
        return list(self.batch.columns)

    @property
    def limits(self) -> Mapping[str, Mapping[str, tuple[float, float]]]:
        """device -> sensor -> what it ever showed, a twentieth wider: what a data sheet says."""
        order, start, code = self.batch.groups
        out: dict[str, dict[str, tuple[float, float]]] = {}
        for device, (a, b) in zip(code.tolist(), pairwise(start.tolist()), strict=True):
            own = out.setdefault(self.batch.devices[device], {})
            for sensor in self.sensors:
                values = self.batch[sensor][order[a:b]]
                low, high = float(np.nanmin(values)), float(np.nanmax(values))
                room = (high - low or abs(high) or 1.0) / 20
                own[sensor] = (low - room, high + room)
        return out


def numbered(batch: Batch) -> Batch:
    """The batch with the tag `n`."""
    count = len(batch)
    numbers = Words(np.arange(count, dtype=np.int32), list(map(str, range(count))))
    return batch.replace(tags={"n": numbers}, quality={})


def load() -> list[Signals]:
    """NAB's, and SKAB's where they are."""
    folder = Path(os.environ.get("STREAMFLOW_DATA", "/nowhere"))
    flow = Flow("nab", device="file", time="timestamp", sensors=["value"])
    batch = flow.replay(SHIPPED / "nab.parquet").rows
    known = json.loads((SHIPPED / "nab_windows.json").read_text())
    found = [_signals("NAB", batch, _windows(batch, known))]
    if (folder / "skab_a.parquet").exists():
        flow = Flow("skab", device="file", time="timestamp", sensors=[*SKAB, "anomaly"])
        batch = flow.replay(folder / "skab_a.parquet").rows
        incidents = _stretches(batch, batch["anomaly"] > 0)
        plain = batch.replace(columns={name: batch[name] for name in SKAB})
        found.append(_signals("SKAB", plain, incidents))
    return found


def _signals(name: str, batch: Batch, incidents: Sequence[Incident]) -> Signals:
    """Sorted by arrival."""
    batch = batch.take(np.argsort(batch.arrived, kind="stable"))
    return Signals(name, numbered(batch), incidents)


def _windows(batch: Batch, known: Mapping[str, Sequence[tuple[int, int]]]) -> list[Incident]:
    order, start, code = batch.groups
    out = []
    for device, (a, b) in zip(code.tolist(), pairwise(start.tolist()), strict=True):
        time, name = batch.time[order[a:b]], batch.devices[device]
        out += [Incident(name, int(time[i]), int(time[j])) for i, j in known.get(name, ())]
    return out


def _stretches(batch: Batch, wrong: Mask) -> list[Incident]:
    order, start, code = batch.groups
    out = []
    for device, (a, b) in zip(code.tolist(), pairwise(start.tolist()), strict=True):
        rows = order[a:b]
        edges = np.flatnonzero(np.diff(np.concatenate([[0], wrong[rows].astype(int), [0]])))
        for first, end in edges.reshape(-1, 2).tolist():
            span = batch.time[rows[first:end]]
            out.append(Incident(batch.devices[device], int(span.min()), int(span.max())))
    return out
