"""The labelled data: what ships with the project, and what lies in the folder STREAMFLOW_DATA."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.nab import Corpus, File
from streamflow import Batch

SHIPPED = Path(__file__).parent / "data"
VARIABLE = "STREAMFLOW_DATA"
LABELS = ("anomaly", "changepoint")


@dataclass(frozen=True)
class Series:
    """One recording of one machine.

    Parameters
    ----------
    name
        Of the file.
    batch
        Its readings.
    anomaly
        Of each reading, whether it is labelled; empty where windows are labelled instead.
    """

    name: str
    batch: Batch
    anomaly: NDArray[np.bool_]


def nab() -> tuple[Corpus, list[Series]]:
    """The Numenta Anomaly Benchmark: from STREAMFLOW_DATA if it is there, else what ships."""
    folder = _folder()
    if folder is None or not (folder / "nab.parquet").exists():
        folder = SHIPPED
    series = _series(folder / "nab.parquet")
    windows = json.loads((folder / "nab_windows.json").read_text())
    files = [
        File(one.name, len(one.batch), [(first, last) for first, last in windows[one.name]])
        for one in series
    ]
    return Corpus(files), series


def skab() -> list[Series]:
    """All of SKAB that lies in STREAMFLOW_DATA, without its run free of anomalies."""
    folder = _folder()
    paths = sorted(folder.glob("skab*.parquet")) if folder else []
    found = [one for path in paths for one in _series(path)]
    return [one for one in found if one.anomaly.any()]


def _folder() -> Path | None:
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


def _series(path: Path) -> list[Series]:
    from pyarrow import parquet

    table = parquet.read_table(path)
    columns: dict[str, Any] = {name: table[name].to_numpy() for name in table.column_names}
    file = columns.pop("file").astype(str)
    time = columns.pop("timestamp").astype("datetime64[ns]").astype(np.int64)
    edges = [0, *(np.flatnonzero(file[1:] != file[:-1]) + 1).tolist(), len(file)]
    out = []
    for first, last in pairwise(edges):
        part = {name: column[first:last] for name, column in columns.items()}
        labels = [part.pop(name, np.zeros(0)) for name in LABELS]
        rows = np.zeros(last - first, np.int32)
        values = {name: column.astype(np.float64) for name, column in part.items()}
        when = time[first:last]
        out.append(Series(str(file[first]), Batch(["m"], rows, when, when, values), labels[0] > 0))
    return out
