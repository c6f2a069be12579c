"""Starts both sides as commands, by turns, with a warm kernel cache, and makes the report."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.frame import BenchmarkError, Case, Report, interleave
from benchmarks.machine import describe

IMPORTS = "import bytewax.dataflow, numba; from river import anomaly, drift, preprocessing"
PACKAGES = "import bytewax, numba, river"
"""Of River that imports nothing: its modules are imported one by one."""
FLOOR = 0.5
"""Ours takes at most twice the time."""
REPEATS = {"small": 3, "full": 15}
_TICK = os.sysconf("SC_CLK_TCK")


def run(size: str, repeats: int) -> Report:
    """Compare the demo's first alert with its imports.

    Parameters
    ----------
    size
        A key of `REPEATS`.
    repeats
        Runs of each side, no more than the size says.

    Raises
    ------
    BenchmarkError
        If a side fails, or the demo ends without an alert.
    """
    repeats = min(repeats, REPEATS[size])
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(Path(folder) / "kernels")}
        page = str(Path(folder) / "demo.html")
        demo = [sys.executable, "-m", "streamflow", "demo", "--page", page]
        cold = until(demo, "first ", environment)
        ours, baseline = interleave(
            lambda: until(demo, "first ", environment),
            lambda: whole(IMPORTS, environment),
            repeats,
        )
        packages = [whole(PACKAGES, environment) for _ in range(repeats)]
    about = f"from the command to the demo's first alert; {repeats} runs of each side."
    cases = (
        _case("warm kernels, CPU", 0, ours, baseline, FLOOR),
        _case("warm kernels, wall", 1, ours, baseline),
        _case("against the bare packages, CPU", 0, ours, packages),
        _case("empty kernel cache, CPU", 0, [cold], []),
    )
    return Report("cold_start", size, describe(), cases, about)


def _case(
    name: str,
    at: int,
    ours: Sequence[tuple[float, float]],
    baseline: Sequence[tuple[float, float]],
    floor: float | None = None,
) -> Case:
    a, b = (tuple(one[at] for one in side) for side in (ours, baseline))
    return Case(name, "s", a, b, lower_is_better=True, floor=floor)


def until(
    command: Sequence[str], start: str, environment: Mapping[str, str]
) -> tuple[float, float]:
    """Seconds of CPU and on the wall until a command prints a line that begins so."""
    begun = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(start):
                wall, cpu = time.perf_counter() - begun, _cpu(process.pid)
                process.kill()
                return cpu, wall
        assert process.stderr is not None
        raise BenchmarkError(f"{' '.join(command)} found no alert:\n{process.stderr.read()}")


def whole(program: str, environment: Mapping[str, str]) -> tuple[float, float]:
    """Seconds of CPU and on the wall of a program."""
    return until([sys.executable, "-c", f"{program}; print('done')"], "done", environment)


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process of ours has taken, all its threads together; Linux tells it
    until we ask how the process ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK
