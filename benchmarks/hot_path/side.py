"""One run of one side; the benchmark calls it in a process of its own."""

from __future__ import annotations

import importlib
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.hot_path.data import Workload
from benchmarks.hot_path.outcome import Outcome


def measure(module: str, data: str, *arguments: Any) -> dict[str, Any]:
    """Import a side, run it, and return results and figures as JSON can hold them.

    Parameters
    ----------
    module
        Module with ``run(work: Workload, *arguments) -> Outcome``.
    data
        File written by `Workload.write`.
    arguments
        What else the side is to know.
    """
    work = Workload.read(Path(data))
    began = time.process_time()
    side = importlib.import_module(module)
    imported = time.process_time() - began
    outcome: Outcome = side.run(work, *arguments)
    return {
        "scores": outcome.results.scores,
        "alerts": sorted(outcome.results.alerts),
        "figures": asdict(outcome.figures),
        "import_cpu": imported,
    }
