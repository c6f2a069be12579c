"""Series in which nothing is wrong: noise of several kinds, and real ones between incidents."""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow import Batch

SECOND = 10**9
EVERY = 300 * SECOND
"""Between two readings of noise."""
DATA = "STREAMFLOW_DATA"
"""Names a folder with `nab.parquet` and `nab_windows.json`: then all of that benchmark is read."""
NOISE_KINDS = (
    "gaussian",
    "heavy-tailed",
    "autocorrelated 0.9",
    "autocorrelated 0.99",
    "seasonal",
)
Noise = NDArray[np.float64]


@dataclass(frozen=True)
class Size:
    """How much noise: devices, and readings of each."""

    devices: int
    readings: int

    @property
    def weeks(self) -> float:
        """Of all devices together."""
        return self.devices * self.readings * EVERY / SECOND / 604_800


def noise(kind: str, size: Size, seed: int) -> Batch:
    """Readings of one sensor, `t`, every five minutes.

    Parameters
    ----------
    kind
        "gaussian"; "heavy-tailed", Student's t with 3 degrees of freedom; "autocorrelated 0.9"
        and so on, x[t] = a x[t-1] + noise; "seasonal", noise and a daily sine three times as
        large.
    """
    rng = np.random.default_rng(seed)
    shape = (size.readings, size.devices)
    x = rng.standard_normal(shape)
    word, _, number = kind.partition(" ")
    if word == "heavy-tailed":
        x = rng.standard_t(3, shape)
    elif word == "autocorrelated":
        for i in range(1, len(x)):
            x[i] += float(number) * x[i - 1]
    elif word == "seasonal":
        day = np.arange(len(x)) * EVERY / SECOND / 86_400
        x += 3 * np.sin(2 * np.pi * day)[:, None]
    time = np.repeat(np.arange(len(x), dtype=np.int64) * EVERY, size.devices)
    device = np.tile(np.arange(size.devices, dtype=np.int32), len(x))
    return Batch([f"{i}" for i in range(size.devices)], device, time, time, {"t": x.ravel()})


def quiet() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Each real series without its incidents: the longest stretch that no label touches."""
    folder = os.environ.get(DATA)
    series = _nab(Path(folder)) if folder else _demo()
    for name, times, values, busy in series:
        edges = np.flatnonzero(np.diff(np.concatenate([[True], busy, [True]]).astype(int)))
        start, end = max(zip(edges[::2], edges[1::2], strict=True), key=lambda e: e[1] - e[0])
        pairs = zip(times[start:end].tolist(), values[start:end].tolist(), strict=True)
        yield name, [{"device": name, "time": int(at), "t": value} for at, value in pairs]


Series = Iterator[tuple[str, NDArray[np.int64], Noise, NDArray[np.bool_]]]
"""Name, times, values, and where a label is."""


def _demo() -> Series:
    shipped = files("streamflow.cli.demo_data")
    with (shipped / "incidents.csv").open("r", encoding="utf-8") as lines:
        labels = [(r["machine"], _ns(r["start"]), _ns(r["end"])) for r in csv.DictReader(lines)]
    rows: dict[str, list[tuple[int, float]]] = {}
    with (shipped / "fleet.csv.gz").open("rb") as packed, gzip.open(packed, "rt") as text:
        for row in csv.DictReader(text):
            one = (_ns(row["timestamp"]), float(row["value"]))
            rows.setdefault(row["machine"], []).append(one)
    for name, pairs in rows.items():
        times = np.array([at for at, _ in pairs], np.int64)
        busy = np.zeros(len(times), bool)
        for machine, start, end in labels:
            busy |= (machine == name) & (times >= start) & (times <= end)
        yield name, times, np.array([value for _, value in pairs]), busy


def _nab(folder: Path) -> Series:
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "nab.parquet").to_pydict()
    windows = json.loads((folder / "nab_windows.json").read_text())
    names = np.array(table["file"])
    times = np.array(table["timestamp"], "datetime64[ns]").astype(np.int64)
    values = np.array(table["value"], float)
    for name in dict.fromkeys(names.tolist()):
        mine = names == name
        busy = np.zeros(int(mine.sum()), bool)
        for first, last in windows.get(name, []):
            busy[first : last + 1] = True
        yield name, times[mine], values[mine], busy


def _ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND
