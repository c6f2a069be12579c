"""What both sides measure at their sinks, and what they must agree on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from time import perf_counter, process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.process import peak_memory


@dataclass
class Meter:
    """Counts readings until all have come, and sums their columns.

    Parameters
    ----------
    wanted
        How many readings there are.
    started
        How many of them had come when the work began.
    """

    wanted: int
    count: int = 0
    started: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    began_wall: float = field(default_factory=perf_counter)
    began_cpu: float = field(default_factory=process_time)
    figures: dict[str, float] = field(default_factory=dict)

    def begin(self) -> None:
        """The work begins now."""
        self.started = self.count
        self.began_wall, self.began_cpu = perf_counter(), process_time()

    def take(self, columns: dict[str, NDArray[np.float64]], devices: int) -> bool:
        """Columns of some readings; True once all have come."""
        for name, values in columns.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(values.sum())
        self.count += len(next(iter(columns.values())))
        self.sums["devices"] = max(self.sums.get("devices", 0), devices)
        if self.count < self.wanted:
            return False
        self.end()
        return True

    def end(self) -> None:
        """The work is done now."""
        self.figures = {
            "wall": perf_counter() - self.began_wall,
            "cpu": process_time() - self.began_cpu,
            "memory": peak_memory(),
        }

    def told(self) -> dict[str, Any]:
        """As JSON can hold it."""
        tree = asdict(self)
        return {name: tree[name] for name in ("count", "started", "sums", "figures")}
