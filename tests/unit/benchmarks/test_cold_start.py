from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from benchmarks.cold_start import benchmark
from benchmarks.frame import BenchmarkError

BUSY = "import time; t = time.process_time()\nwhile time.process_time() < t + 0.2: pass\n"


def test_a_command_is_measured_until_it_says_so() -> None:
    program = BUSY + "print('first x', flush=True); time.sleep(600)"
    cpu, wall = benchmark.until([sys.executable, "-c", program], "first ", os.environ)
    assert 0.2 <= cpu < 10
    assert cpu - 0.05 <= wall < 60


def test_a_demo_without_an_alert_fails() -> None:
    program = "import sys; print('other'); sys.stderr.write('oops')"
    with pytest.raises(BenchmarkError, match=r"found no alert:\noops"):
        benchmark.until([sys.executable, "-c", program], "first ", os.environ)


def test_twice_the_imports_is_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(command: Any, *_: Any) -> tuple[float, float]:
        return (4.5, 9.0) if "demo" in command else (2.0, 3.0)

    monkeypatch.setattr(benchmark, "until", told)
    cases = {case.name: case for case in benchmark.run("small", 2).cases}
    assert not cases["warm kernels, CPU"].ok
    assert cases["warm kernels, wall"].ok
    assert cases["empty kernel cache, CPU"].ours == (4.5,)
