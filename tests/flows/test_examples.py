"""Every example can be checked and run, and does what its docstring says."""

from __future__ import annotations

import ast
import json
import logging
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamflow import Stage
from streamflow.cli.main import main
from streamflow.engine.result import Result
from streamflow.flow.flow import Flow
from streamflow.flow.load import load_flow
from streamflow.testing import check_laws

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(path.name for path in FOLDER.glob("*.py"))

Run = Callable[..., str]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # What a command sets up stays with the process: its own place, log and path.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    logger = logging.getLogger("streamflow")
    handlers, level = logger.handlers.copy(), logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run an example to its end; what it printed before its balance, which adds up."""

    def run(name: str, *options: str) -> str:
        assert main(["run", example(name), "--json", *options]) == 0
        printed = capsys.readouterr().out
        said, json_ = printed[: printed.index("{")], printed[printed.index("{") :]
        balance = json.loads(json_)
        assert balance["adds_up"]
        assert balance["out"] > 1000
        return said

    return run


def example(name: str) -> str:
    return str(FOLDER / name)


def flow(name: str) -> Flow:
    loaded: Flow = load_flow(example(name))
    return loaded


def lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def openings(path: str) -> list[tuple[str, str]]:
    return [(e["device"], e["time"]) for e in lines(path) if e["status"] == "opened"]


def reasons(result: Result) -> list[tuple[str, int, str]]:
    return [(row["device"], row["time"], row["reason"]) for row in result.rejected]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 8


@pytest.mark.parametrize("name", EXAMPLES)
def test_its_docstring_shows_how_to_run_it(name: str) -> None:
    shown = ast.get_docstring(ast.parse((FOLDER / name).read_text())) or ""
    commands = [shlex.split(line, comments=True) for line in shown.splitlines()]
    assert ["streamflow", "run", f"examples/{name}"] in [command[:3] for command in commands]


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_passes_the_check(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", example(name)]) == 0
    printed = capsys.readouterr().out
    assert "can run" in printed
    assert "warning" not in printed


def test_the_quickstart_writes_alerts_of_every_machine(run: Run) -> None:
    run("01_quickstart.py")
    assert len({device for device, _ in openings("alerts.jsonl")}) == 7


@pytest.mark.parametrize("name", ["02_own_stage.py", "03_own_vectorised_stage.py"])
def test_an_own_stage_sees_the_machine_warm_up_and_the_repeated_times(name: str, run: Run) -> None:
    run(name)
    days = [time[:10] for _, time in openings("rises.jsonl")]
    assert days == ["2013-12-16", "2014-02-03", "2014-02-09"]
    repeated = [row["device"] for row in lines("repeated.jsonl")]
    assert repeated == ["machine_temperature"] * 12 + ["request_latency"] * 11


def test_both_ways_to_write_a_stage_give_the_same() -> None:
    function = flow("02_own_stage.py").replay()
    columns = flow("03_own_vectorised_stage.py").replay()
    assert function.rows == columns.rows
    assert reasons(function) == reasons(columns)
    assert function.events == columns.events


@pytest.mark.parametrize("name", ["02_own_stage.py", "03_own_vectorised_stage.py"])
def test_own_stages_obey_the_laws(name: str) -> None:
    stages = [part for part in flow(name).parts if isinstance(part, Stage)]
    alone = Flow("laws", sensors=["value"]) | stages[0]
    check_laws(alone, examples=25)


def test_an_own_connector_goes_on_where_it_was(run: Run) -> None:
    assert "pager: boiler-2 opened at 2026-01-01T08:26:00Z" in run(
        "04_own_connector.py", "--state", "boilers"
    )
    assert "pager" not in run("04_own_connector.py", "--state", "boilers")
    assert len(lines("boilers.jsonl")) == 1200


def test_a_tested_flow_finds_the_overheated_machine(run: Run) -> None:
    run("05_test_a_flow.py")
    assert openings("overheated.jsonl") == [("machine_temperature", "2013-12-26T15:30:00Z")]


def test_the_tests_in_an_example_pass() -> None:
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider"]
    command += [example("05_test_a_flow.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_a_followed_file_is_followed_and_left_in_good_order() -> None:
    command = [sys.executable, "-m", "streamflow", "run", example("06_follow_a_file.py")]
    live = Path("live.csv")
    live.write_text("pump,time,bar\npump-1,2026-01-01T00:00:00Z,8.1\n")
    with subprocess.Popen([*command, "--state", "live"], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        with live.open("a") as file:
            file.write("pump-1,2026-01-01T00:01:00Z,4.2\npump-1,yesterday,4.2\n")
        said = [run.stdout.readline(), run.stdout.readline()]
        run.send_signal(signal.SIGINT)
        said += run.stdout.readlines()
    assert run.returncode == 0
    assert "pump-1 alert" in said[0]
    assert "'yesterday' is not a time" in said[1]
    assert said[2:] == ["messages  3 received = 2 decoded + 1 dead\n", "readings  2 in = 2 out\n"]
