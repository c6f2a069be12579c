"""What the documents show works: their programs run, their commands, files and figures are real."""

from __future__ import annotations

import doctest
import inspect
import re
import shlex
import sys
import tomllib
from collections.abc import Callable
from math import sin
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest

from streamflow import Flow
from streamflow.cli.demo import DATA, demo_flow
from streamflow.cli.main import COMMANDS, main
from streamflow.flow.registry import KINDS

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "tests/README.md"]
PAGES += sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))
PROGRAMS = ["README.md", "CONTRIBUTING.md"]
_NAMED = ("backtest", "concepts", "field-faults", "formats", "from-score-to-alert", "kafka")
PROGRAMS += [f"docs/{name}.md" for name in (*_NAMED, "kernels", "mqtt", "notifications")]

NESTED = ["state", "dead-letters"]
"""Commands with actions, which have options of their own."""
Run = Callable[[str], ModuleType]


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in a language, also those inside lists."""
    fence = rf"^( *)```{language}\n(.*?)^\1```$"
    found = re.findall(fence, text(page), flags=re.MULTILINE | re.DOTALL)
    return [dedent(block) for _, block in found]


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", text(page), flags=re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    """The command lines of a page's shell blocks, and what its prose shows as one."""
    lines = [line.partition("#")[0].strip() for b in blocks(page, "sh") for line in b.splitlines()]
    return [line for line in [*lines, *re.findall(r"`([^`\n]+)`", prose(page))] if line]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a page's programs, one after the other, in one module and an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(page: str) -> ModuleType:
        module = ModuleType(re.sub(r"\W", "_", f"page_{page}"))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        for block in blocks(page, "python"):
            exec(compile(block, page, "exec", dont_inherit=True), vars(module))
        return module

    return run


@pytest.fixture
def machines(tmp_path: Path) -> None:
    """A file machines.csv as the README's flow reads it: one machine overheats in its last hour."""
    lines = ["machine,timestamp,temperature"]
    for minute in range(1200):
        usual = 150 + 10 * sin(minute / 30)
        hot = 60 * (minute >= 1140)
        for machine, value in (("press-1", usual), ("press-2", usual + hot)):
            lines.append(f"{machine},{1_767_225_600 + 60 * minute},{value:.2f}")
    (tmp_path / "machines.csv").write_text("\n".join(lines) + "\n")


def test_every_page_with_a_program_is_here() -> None:
    assert [page for page in PAGES if blocks(page, "python")] == PROGRAMS


@pytest.mark.usefixtures("machines")
@pytest.mark.parametrize("page", PROGRAMS)
def test_programs_run_and_their_tests_pass(
    page: str, run: Run, request: pytest.FixtureRequest
) -> None:
    module = run(page)
    own: list[Any] = [
        value
        for value in vars(module).values()
        if getattr(value, "__module__", "") == module.__name__
    ]
    for test in own:
        if getattr(test, "__name__", "").startswith("test_"):
            test(*(request.getfixturevalue(name) for name in inspect.signature(test).parameters))
    assert doctest.testmod(module).failed == 0


@pytest.mark.usefixtures("machines")
def test_the_readmes_flow_finds_the_overheated_machine(run: Run, tmp_path: Path) -> None:
    result = run("README.md").result
    opened = [event for event in result.alerts if event.fields["status"] == "opened"]
    assert "press-2" in [
        event.device for event in opened if event.time >= (1_767_225_600 + 68_400) * 10**9
    ]
    assert (tmp_path / "streamflow.html").exists()
    assert not (tmp_path / "alerts.jsonl").exists()


def test_the_connector_of_the_guide_resumes(run: Run) -> None:
    dice = run("CONTRIBUTING.md").Dice()
    assert len((Flow("dice", sensors=["eyes"]) | dice).replay().rows) == 100
    assert list(dice.open("0", None))[40:] == list(dice.open("0", 40))


def test_entry_points_are_of_a_known_kind() -> None:
    shown = [tomllib.loads(block) for block in blocks("CONTRIBUTING.md", "toml")]
    groups = [group for table in shown for group in table["project"]["entry-points"]]
    assert groups == ["streamflow.stages", "streamflow.connectors"]
    assert {group.removeprefix("streamflow.") for group in groups} < set(KINDS)


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    targets = re.findall(r"^(\w+):", text("Makefile"), flags=re.MULTILINE)
    for line in commands(page):
        program, *words = line.split()
        options = [word for word in [program, *words] if word.startswith("--")]
        if program == "make":
            assert {word for word in words if "=" not in word} <= set(targets), line
        elif program == "streamflow" and words:
            known = help_of(words[:2] if words[0] in NESTED else words[:1], capsys)
            assert set(options) <= known, line
        elif program.startswith("--"):
            assert set(options) <= help_of(["run"], capsys), line


def test_the_changelog_names_all_commands() -> None:
    (line,) = re.findall(r"^- Commands: (.*)\.$", text("CHANGELOG.md"), flags=re.MULTILINE)
    assert sorted(re.findall(r"`([\w-]+)`", line)) == sorted(command.NAME for command in COMMANDS)


def help_of(command: list[str], capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The options of a command."""
    with pytest.raises(SystemExit) as done:
        main([*command, "--help"])
    assert done.value.code == 0, command
    return set(re.findall(r"--[a-z-]+", capsys.readouterr().out))


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = prose(page)
    links = re.findall(r"\]\(([^)]+)\)", text)
    titles = [re.sub(r"[^\w -]", "", t.lower()) for t in re.findall(r"^#+ (.*)$", text, re.M)]
    places = {"#" + title.replace(" ", "-") for title in titles}
    for link in links:
        there = link in places or link.startswith("https://")
        assert there or ((ROOT / page).parent / link).exists(), link


def test_files_named_in_the_architecture_exist() -> None:
    paths = re.findall(r"`([\w./]+/[\w./]*)`", text("ARCHITECTURE.md"))
    assert len(paths) > 30
    for path in paths:
        assert (ROOT / path).exists(), path


def test_the_readmes_figures_are_the_demos() -> None:
    flow = demo_flow(DATA / "fleet.csv.gz")
    judged = flow.backtest(None, DATA / "incidents.csv")
    overall = judged.overall
    said = " ".join(text("README.md").split())
    for sentence in (
        f"replays {judged.result.balance.readings:,} readings of seven machines",
        f"which has {overall.labels} incidents labelled",
        f"It finds {overall.found} of the {overall.labels} incidents "
        f"and misses {len(judged.missed)}.",
        f"It raises {overall.alerts} alerts, of which {overall.false} lie in no labelled incident.",
    ):
        assert sentence in said


def test_the_figures_of_the_backtest_are_those_that_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(ROOT)
    (command,) = [
        line for line in commands("docs/backtest.md") if "--goal" in line and "01_" in line
    ]
    program, *words = shlex.split(command)
    assert program == "streamflow"
    page = tmp_path / "page.html"
    assert main([str(page) if word == "backtest.html" else word for word in words]) == 0
    assert page.exists()
    printed = capsys.readouterr().out.splitlines()
    shown = blocks("docs/backtest.md", "text")[0].splitlines()
    timing = ("p99 latency of a batch", "readings a second")
    assert len(shown) > 25
    assert [line for line in shown if not line.startswith(timing)] == [
        line for line in printed[: len(shown)] if not line.startswith(timing)
    ]
