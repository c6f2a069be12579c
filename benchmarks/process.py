"""Each run in a process of its own: nothing of one run is left in the next.

``python -m benchmarks.process TARGET ARGUMENTS RESULT`` is the other end of `call`.
"""

from __future__ import annotations

import importlib
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.frame import BenchmarkError

ROOT = Path(__file__).parent.parent


def call(target: str, *arguments: object) -> Any:
    """Call a function in a fresh Python process and return what it returned.

    Parameters
    ----------
    target
        ``package.module:function``.
    arguments
        What it is called with. They and the result travel as JSON, which keeps every bit of a
        float.

    Raises
    ------
    BenchmarkError
        If the process failed; with the end of what it printed.

    Examples
    --------
    >>> call("math:hypot", 3, 4)
    5.0
    """
    with tempfile.TemporaryDirectory() as directory:
        result = Path(directory) / "result.json"
        done = subprocess.run(
            [sys.executable, "-m", __name__, target, json.dumps(arguments), str(result)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise BenchmarkError(f"{target} failed:\n{(done.stdout + done.stderr)[-4000:]}")
        return json.loads(result.read_text())


def peak_memory() -> float:
    """The largest resident size this process has had, in megabytes (10**6 bytes).

    On Linux from ``VmHWM``: ``ru_maxrss`` of a child starts at the size of the process that
    started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (peak if sys.platform == "darwin" else peak * 1024) / 1e6


def main(target: str, arguments: str, result: str) -> None:
    """Call the target in this process and write what it returned."""
    module, _, function = target.partition(":")
    value = getattr(importlib.import_module(module), function)(*json.loads(arguments))
    Path(result).write_text(json.dumps(value))


if __name__ == "__main__":
    main(*sys.argv[1:])
