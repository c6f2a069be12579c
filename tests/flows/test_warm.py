"""`streamflow warm`: a flow's kernels are there before it runs, also where nobody may write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streamflow.cli.main import main

FLOW = """
from river import anomaly
from streamflow import Detect, Flow, Impute
from streamflow_connectors import files

flow = (
    Flow("plant", sensors=["t", "p"], tags=["site"])
    | files.csv("in.csv")
    | Impute("1h")
    | Detect(anomaly.GaussianScorer(None, 5), target="t", learn="score < 0.9")
    | files.jsonl("out.jsonl", of="rows", where="score > 0.9")
)
"""
RUN = """
import tempfile
def refuse(**_):
    raise OSError("read-only")
tempfile.TemporaryFile = refuse  # so Numba asks whether it can write
from plant import flow
flow.run(state="state")
from streamflow.core.kernel import MADE
called = [made for made in MADE if made.signatures]
print(len(called), sum(len(made.stats.cache_misses) for made in called))
"""


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plant.py").write_text(FLOW)
    rows = [f"a,{i},{20 + i % 3 + 90 * (i == 80)},{'' if i % 7 else 1},n" for i in range(120)]
    (tmp_path / "in.csv").write_text("\n".join(["device,time,t,p,site", *rows]))
    return tmp_path


def shell(folder: Path, *command: str) -> Any:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "kernels"), "PYTHONPATH": "."}
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_warmed_flow_compiles_nothing_even_where_nobody_may_write(plant: Path) -> None:
    told = json.loads(shell(plant, "-m", "streamflow", "warm", "plant.py", "--json"))
    assert (told["flow"], told["compiled"]) == ("plant", told["kernels"])
    assert {Path(folder).parent for folder in told["folders"]} == {plant / "kernels"}
    assert shell(plant, "-c", RUN) == f"{told['kernels']} 0\n"
    assert len((plant / "out.jsonl").read_text().splitlines()) > 0


def test_it_says_how_many_kernels_there_are_and_where(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["warm", "plant.py"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("plant: ")
    assert " kernels, " in lines[0]
    assert all(line.startswith("kept in   ") for line in lines[1:])
    assert len(lines) > 1
