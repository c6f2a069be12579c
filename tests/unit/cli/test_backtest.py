"""`streamflow backtest`: figures, goals as exit codes, and one sentence for what is wrong."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamflow.cli.main import main

FLOW = """\
from streamflow import Alert, Flow

flow = Flow("NAME", sensors=["t"]) | Alert("t > LIMIT")
"""
HOURS = 24 * 14
OPTIONS = ["--data", "history.csv", "--labels", "known.csv"]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two flows, two weeks of two devices, and what went wrong with them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name, limit in (("strict", 30), ("loose", 25)):
        text = FLOW.replace("NAME", name).replace("LIMIT", str(limit))
        Path(f"{name}.py").write_text(text)
    hot = {("a", 50): 40, ("b", 70): 27}
    rows = [
        f"{device},{hour * 3600},{hot.get((device, hour), 20)}"
        for hour in range(HOURS + 1)
        for device in "ab"
    ]
    Path("history.csv").write_text("\n".join(["device,time,t", *rows]))
    Path("known.csv").write_text("device,start,end\na,1970-01-03,1970-01-04\nb,1970-01-08,691200\n")
    logger = logging.getLogger("streamflow")
    handlers = list(logger.handlers)
    yield
    logger.handlers[:] = handlers
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def test_it_prints_the_figures_and_each_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backtest", "strict.py", *OPTIONS]) == 0
    told = capsys.readouterr().out.splitlines()
    table = {line[:28].strip(): line[28:].strip() for line in told}
    assert table["labelled windows found"] == "1 of 2"
    assert table["false alerts"] == "0 of 1"
    assert table["median delay"] == "2h"
    assert "strict, device by device" in told
    assert [line.split()[:6] for line in told if line[:2] == "a "] == [
        ["a", "1", "of", "1", "1", "0"]
    ]


def test_two_flows_stand_beside_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backtest", "strict.py", "loose.py", *OPTIONS, "--page", "page.html"]) == 0
    told = capsys.readouterr().out
    head, *lines = told.splitlines()
    assert head.split() == ["strict", "loose"]
    assert ["precision", "100.0%", "50.0%"] in [line.split() for line in lines]
    page = Path("page.html").read_text(encoding="utf-8")
    assert "Backtest of strict, loose" in page
    assert "a · strict" in page
    assert "b · loose" in page


@pytest.mark.parametrize(
    ("flows", "goal", "code"),
    [
        (["strict.py"], "recall >= 0.5, alerts per week <= 1, p99 latency <= 1h", 0),
        (["strict.py"], "recall >= 0.8, precision >= 0.8", 1),
        (["strict.py", "loose.py"], "precision >= 0.8", 1),
        (["strict.py", "loose.py"], "recall >= 50%", 0),
    ],
)
def test_goals_set_the_exit_code(
    flows: list[str], goal: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backtest", *flows, *OPTIONS, "--goal", goal]) == code
    told = capsys.readouterr().out
    assert ("NOT MET" in told) == bool(code)
    assert main(["backtest", *flows, *OPTIONS, "--goal", goal, "--json"]) == code
    trees = json.loads(capsys.readouterr().out)
    assert all(goal["met"] for tree in trees for goal in tree["goals"]) == (code == 0)


def test_json_has_it_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backtest", "loose.py", *OPTIONS, "--json"]) == 0
    (tree,) = json.loads(capsys.readouterr().out)
    assert (tree["flow"], tree["score"], tree["adds_up"]) == ("loose", "t", True)
    assert tree["overall"]["recall"] == 0.5
    assert tree["overall"]["false_alarms_per_day"] == pytest.approx(1 / 14)
    assert set(tree["devices"]) == {"a", "b"}
    assert [(alert["device"], alert["hit"]) for alert in tree["alerts"]] == [
        ("a", True),
        ("b", False),
    ]
    assert [window["start"] for window in tree["missed"]] == ["1970-01-08T00:00:00Z"]


def test_what_is_not_counted_is_noted(capsys: pytest.CaptureFixture[str]) -> None:
    with Path("known.csv").open("a") as file:
        file.write("b,1980-01-01,1980-01-02\n")
    assert main(["backtest", "strict.py", *OPTIONS]) == 0
    assert "note: known.csv, line 4: 1980-01-01T00:00:00Z to" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["strict.py", *OPTIONS, "--goal", "recal > 1"], "did you mean 'recall'?"),
        (["strict.py", "--labels", "no.csv"], "the labels no.csv cannot be read: No such file"),
        (["strict.py", *OPTIONS, "--page", "no/page.html"], "there is no folder no"),
        (["strict.py", "strict.py:flow", *OPTIONS], "two flows have the same name"),
        (["strict.py", "--labels", "known.csv"], "flow 'strict' has no source; give replay a file"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_code_2(
    options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backtest", *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith("streamflow: ")
    assert told in said
    assert said.count("\n") == 1
