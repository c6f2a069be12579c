"""`python tests/faults/report.py PAGE`: break flows, and write what was observed into a page.

Runs the tests of faults and of servers that put down lines with the fixture `observe`; if all
pass, the table between two markers of the page is replaced by them. What follows PAGE is for
pytest; with `--torture N` it is the table of what was tortured.
"""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


class Observations:
    """A pytest plugin: what tests that pass have observed, in their order."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Only tests that put something down."""
        items[:] = [item for item in items if "observe" in getattr(item, "fixturenames", ())]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a test has put down."""
        if report.when == "call" and report.passed:
            found = [str(value) for name, value in report.user_properties if name == "fault"]
            self.rows += [json.loads(row) for row in found]


def table(rows: list[list[str]]) -> str:
    """The rows as Markdown, and what they were observed with."""
    lines = ["| Fault | Expected | Observed |", "|---|---|---|"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    where = f"Python {platform.python_version()}, Bytewax {version('bytewax')}, {platform.system()}"
    return "\n".join([*lines, "", f"Observed with {where}.", ""])


def main(page: Path, *more: str) -> int:
    """Run the tests; the page is written if they pass."""
    observations = Observations()
    name = "tortured faults" if "--torture" in more else "faults"
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    arguments = [str(TESTS / "faults"), str(TESTS / "servers"), "--timeout=0", *more]
    code = int(pytest.main(arguments, plugins=[observations]))
    if code == 0:
        before, _, rest = page.read_text().partition(start)
        after = rest.partition(end)[2]
        page.write_text(f"{before}{start}{table(observations.rows)}{end}{after}")
        print(f"{len(observations.rows)} observations written to {page}")
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
