from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamflow.cli.main import COMMANDS, main

RUN = [sys.executable, "-P", "-m", "streamflow"]
HEAD = """\
from streamflow import Alert, Flow, Map, Stage
from streamflow_connectors import files
"""
FLOW = (
    HEAD
    + """
flow = (
    Flow("machines", sensors=["t", "p"])
    | files.csv("in.csv")
    | Alert("t > 30", hold="1s")
    | files.jsonl("alerts.jsonl", of="alerts")
    | files.jsonl("rejected.jsonl", of="rejected")
    | files.jsonl("dead.jsonl", of="dead_letters")
    | files.csv("rows.csv", of="rows", where="t > 20")
)
"""
)
DATA = "device,time,t,p\na,0,20,1\nb,1,31,1\na,2,hot,1\na,never,31,1\nb,3,inf,1\nb,9,5\n"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder with a flow and its data, and nothing left behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("machines.py").write_text(FLOW)
    Path("in.csv").write_text(DATA)
    logger = logging.getLogger("streamflow")
    handlers = list(logger.handlers)
    yield
    logger.handlers[:] = handlers
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def called(*argv: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Really called, in a process of its own."""
    more = {**os.environ, "RUST_BACKTRACE": "0", **(env or {})}
    return subprocess.run([*RUN, *argv], capture_output=True, text=True, timeout=100, env=more)


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(name).read_text().splitlines()]


@pytest.mark.parametrize(
    "what", ["import streamflow", "from streamflow.cli.main import main; main(['--help'])"]
)
def test_looking_at_help_loads_nothing_heavy(what: str) -> None:
    code = (
        "import sys\n"
        f"try:\n    {what}\nexcept SystemExit:\n    pass\n"
        "heavy = {'river', 'scipy', 'numba', 'bytewax', 'pandas', 'pyarrow', 'sklearn'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "loaded: []", done.stderr


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for own in action.choices.values():
                yield from parsers(own)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.NAME)
def test_every_command_has_help_with_an_example(
    command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main([command.NAME, "--help"])
    assert left.value.code == 0
    told = capsys.readouterr().out
    assert f"example:\n  streamflow {command.NAME}" in told
    own = argparse.ArgumentParser(epilog="example:")
    command.arguments(own)
    for parser in parsers(own):
        assert "example:" in parser.format_help()
        for action in parser._actions:
            known = action.help or action.metavar in ("ACTION", "DEVICE")
            assert known, f"{command.NAME}: {action.dest} has no help"


def test_help_names_every_command_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert all(f"    {command.NAME}" in told for command in COMMANDS)
    assert "exit codes: 0 done, 1 it ran and failed, 2 nothing has run" in told


@pytest.mark.parametrize(
    "argv", [[], ["runn"], ["run"], ["run", "machines.py", "--wrong"], ["list", "x"]]
)
def test_a_wrong_command_is_2_with_its_usage(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(argv)
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("usage: streamflow")
    assert "error: " in told


def test_the_whole_way_from_a_file_to_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "machines.py"]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "messages  6 received = 4 decoded + 2 dead",
        "readings  4 in = 4 out",
        "flagged   t: 1 invalid",
        "worst     a: t: 1 invalid",
    ]
    assert [row["status"] for row in lines("alerts.jsonl")] == ["opened"]
    assert [(row["place"], row["reason"][:12]) for row in lines("dead.jsonl")] == [
        (5, "time: 'never"),
        (7, "3 fields whe"),
    ]
    assert [line.split(",")[0] for line in Path("rows.csv").read_text().splitlines()] == [
        "device",
        "b",
        "b",
    ]


def test_a_fresh_run_leaves_nothing_of_the_last_one_even_if_it_writes_nothing() -> None:
    for name in ("alerts.jsonl", "rejected.jsonl", "rows.csv"):
        Path(name).write_text("stale\n")
    assert main(["run", "machines.py"]) == 0
    assert lines("rejected.jsonl") == []
    assert "stale" not in Path("alerts.jsonl").read_text() + Path("rows.csv").read_text()


def test_processes_do_what_threads_do_and_give_one_balance(
    capfd: pytest.CaptureFixture[str],
) -> None:
    rows = [f"m{i % 37},{i},{i % 50},1" for i in range(2000)]
    Path("in.csv").write_text("\n".join(["device,time,t,p", *rows, "x,never,1,1", "short"]) + "\n")

    def written() -> list[list[str]]:
        names = ("alerts.jsonl", "dead.jsonl", "rows.csv")
        return [sorted(Path(name).read_text().splitlines()) for name in names]

    assert main(["run", "machines.py", "--json", "--workers=2"]) == 0
    threads, by_threads = json.loads(capfd.readouterr().out), written()
    done = called("run", "machines.py", "--json", "--processes=2")
    assert done.returncode == 0, done.stderr
    processes = json.loads(done.stdout)
    assert processes == threads
    assert written() == by_threads
    assert processes["adds_up"] is True
    assert processes["received"] == 2002
    alerts, dead, _ = by_threads
    assert len(alerts) > 100
    assert len(dead) == 2


def test_a_lambda_is_refused_when_processes_are_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = FLOW.replace("| Alert", '| Map(lambda r: {"x": 1.0}, adds=["x"], name="mine") | Alert')
    Path("machines.py").write_text(text)
    assert main(["run", "machines.py", "--processes", "2"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "streamflow: step 'mine': <lambda> is not at module level: other processes cannot import "
        "it; write it as a def in the module"
    ]
    assert not Path("alerts.jsonl").exists()
    assert main(["run", "machines.py", "--workers", "2"]) == 0


BROKEN = (
    HEAD
    + """
class Broken(Stage):
    def on_batch(self, batch, state):
        raise KeyError("on purpose")

flow = Flow("x", sensors=["t"]) | files.csv("in.csv") | Broken()
"""
)


@pytest.mark.parametrize("command", ["replay", "run"])
def test_a_flow_that_fails_while_running_is_1_and_says_where(command: str) -> None:
    Path("broken.py").write_text(BROKEN)
    done = called(command, "broken.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "streamflow: step 'broken': KeyError: 'on purpose'"
    assert "Traceback" not in done.stderr


def test_a_run_whose_balance_does_not_add_up_is_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from streamflow.engine.balance import Balance

    monkeypatch.setattr(Balance, "adds_up", False)
    assert main(["replay", "machines.py"]) == 1
    assert "THE BALANCE DOES NOT ADD UP" in capsys.readouterr().out
    assert main(["replay", "machines.py", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["adds_up"] is False


FAULTS = {
    "nowhere.py": (None, "nowhere.py does not exist"),
    "machnes.py": (None, "machnes.py does not exist; did you mean machines.py?"),
    "machines.py:flw": (None, "machines.py has no flow called 'flw'; did you mean 'flow'?"),
    "machines": (None, "no file and no module 'machines'; a flow file ends with .py"),
    ".": (None, ". is a directory; name the file in it that holds the flow"),
    "syntax.py": (FLOW + ")\n", "syntax.py, line 13: unmatched ')': )"),
    "two.py": (FLOW + "other = flow | Alert('t > 1', name='x')\n", "two.py has several flows; say"),
    "none.py": (HEAD, "none.py has no flow: assign one at module level"),
    "raises.py": (FLOW + "1 / 0\n", "raises.py, line 13: ZeroDivisionError: division by zero"),
    "missing.py": (
        FLOW.replace("in.csv", "im.csv"),
        "source 'csv': im.csv: no such file; did you m",
    ),
    "folder.py": (FLOW.replace("in.csv", "."), "source 'csv': . is a folder; name a file"),
    "columns.py": (
        FLOW.replace('"p"]', '"pp"]'),
        "no column 'pp' in the header; did you mean 'p'?",
    ),
    "expr.py": (
        FLOW.replace("t > 30", "tt > 30"),
        "when='tt > 30' uses 'tt', which does not exist",
    ),
    "kind.py": (FLOW.replace('hold="1s"', "hold=1"), "1 is not a duration; write it like 250ms"),
    "sink.py": (
        FLOW.replace("rows.csv", "no/rows.csv"),
        "rows.csv cannot be written: there is no f",
    ),
    "sinks.py": (
        FLOW.replace('"rows.csv", of="rows"', '"rows.csv"').replace(', where="t > 20"', ""),
        """source 'csv' comes after a stage; sources come first, and a sink says what it""",
    ),
    "same.py": (
        FLOW.replace('| Alert("t', '| Alert("t > 1") | Alert("t'),
        "two steps are called 'al",
    ),
    "zone.py": (
        FLOW.replace('"p"]', '"p"], timezone="Mars"'),
        "no time zone 'Mars'; write it like",
    ),
}


@pytest.mark.parametrize("reference", FAULTS)
def test_what_is_wrong_is_one_sentence_and_2_before_anything_is_written(
    reference: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text, sentence = FAULTS[reference]
    if text is not None:
        Path(reference).write_text(text)
    before = sorted(Path().glob("*.jsonl"))
    assert main(["run", reference]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert line.startswith("streamflow: ")
    assert sentence in line
    assert sorted(Path().glob("*.jsonl")) == before
    assert main(["check", reference, "--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert not report["ok"]
    assert any(sentence in finding["text"] for finding in report["findings"])


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["run", "machines.py", "--workers", "0"], "--workers 0: at least 1"),
        (["run", "machines.py", "--processes", "-1"], "--processes -1: at least 1"),
        (["demo", "--workers", "-1"], "workers=-1"),
        (["replay", "machines.py", "none.csv"], "no such file"),
        (["replay", "machines.py", "x.xlsx"], "its ending does not say what it is"),
        (["replay", "machines.py", "in.csv", "--page", "no/page.html"], "there is no folder no"),
        (["replay", "machines.py", "in.csv", "--page", "."], ". is a folder; name a file"),
        (
            ["demo", "--page", "no/page.html"],
            "no/page.html cannot be written: there is no folder no",
        ),
        (["describe", "alrt"], "nothing is called 'alrt'; did you mean 'alert'?"),
        (["check", "nowhere.py"], ""),
    ],
    ids=" ".join,
)
def test_wrong_arguments_are_one_sentence_and_2(
    argv: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    told = capsys.readouterr()
    assert sentence in told.err
    assert len(told.err.splitlines()) == bool(sentence)


@pytest.mark.parametrize(
    "argv",
    [
        ["run", "machines.py", "--json"],
        ["replay", "machines.py", "--json"],
        ["replay", "machines.py", "in.csv", "--json", "--page", "page.html"],
        ["check", "machines.py", "--json"],
        ["list", "--json"],
        ["list", "stages", "--json"],
        ["describe", "alert", "--json"],
        ["describe", "files", "--json"],
    ],
    ids=" ".join,
)
def test_json_is_one_strict_document_alone_on_stdout(
    argv: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(text: str) -> Any:
        raise AssertionError(f"{text} is not JSON")

    assert main(argv) == 0
    out = capfd.readouterr().out
    assert json.loads(out, parse_constant=refuse)


def test_a_replay_in_json_has_all_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "machines.py", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["adds_up"] is True
    assert told["balance"]["received"] == 6
    assert [event["status"] for event in told["events"]] == ["opened"]
    assert [letter["place"] for letter in told["dead_letters"]] == [5, 7]
    assert {"threshold": 30.0, "episodes": 1} in told["firings"]
    assert not Path("alerts.jsonl").exists()


def test_a_replay_for_people_has_all_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "machines.py", "--page", "page.html"]) == 0
    told = capsys.readouterr().out
    assert "messages  6 received = 4 decoded + 2 dead" in told
    assert "alerts    1 episodes on 1 devices" in told
    assert "dead      csv, 5: time: 'never' is not a time" in told
    assert "with this threshold it would have fired" in told
    assert Path("page.html").read_text().lower().startswith("<!doctype html>")


def test_a_replay_without_a_threshold_to_vary_says_nothing_of_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("machines.py").write_text(FLOW.replace("t > 30", "t > p"))
    assert main(["replay", "machines.py", "--page", "page.html"]) == 0
    assert "with this threshold" not in capsys.readouterr().out


def test_a_check_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "machines.py"]) == 0
    told = capsys.readouterr().out
    assert "warning  sensor 'p' is never used by any stage" in told
    assert "after a crash\n  csv: " in told
    assert "memory for each device\n  alert " in told
    assert told.endswith("\nmachines: can run\n")
    assert main(["check", "nowhere.py"]) == 2
    assert "nowhere.py: cannot run" in capsys.readouterr().out


def test_components_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    told = capsys.readouterr().out
    assert [line for line in told.splitlines() if line[0] != " "] == [
        "stages",
        "fleet_steps",
        "connectors",
        "formats",
    ]
    assert main(["describe", "alert"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("alert (stage)\n\nOpen an episode when")
    assert "  hold: str | None = None\n      How long `until` must hold" in told
    assert '  >>> flow = Flow("doc"' in told


def test_logs_are_for_people_or_one_json_object_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    text = FLOW.replace("| Alert", '| Map(broken, name="map") | Alert')
    text = text.replace("flow =", "def broken(r):\n    1 / (r.time // 10**9 - 1)\n\nflow =")
    Path("machines.py").write_text(
        text.replace('sensors=["t", "p"]', 'sensors=["t", "p"], shards=1')
    )
    assert main(["run", "machines.py", "--log", "json"]) == 0
    entries = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert entries[0] | {"time": ""} == {
        "time": "",
        "level": "info",
        "logger": "streamflow.run",
        "message": "flow machines starts",
    }
    assert entries[0]["time"].endswith("Z")
    (fault,) = [entry for entry in entries if entry["level"] == "warning"]
    assert "ZeroDivisionError: division by zero" in fault["traceback"]
    assert main(["run", "machines.py", "--log", "text"]) == 0
    assert "INFO streamflow.run: flow machines starts" in capfd.readouterr().err


def test_python_m_streamflow_is_streamflow() -> None:
    done = called("list", "formats", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert list(json.loads(done.stdout)) == ["formats"]


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    piped = subprocess.run(
        " ".join([*RUN, "describe", "files", "|", "head", "-c", "10"]),
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (piped.stdout, piped.stderr) == ("files.CsvF", "")
