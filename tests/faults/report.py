"""`python tests/faults/report.py PAGE`: break flows, and write what was observed into a page.

Runs the tests beside it. Each puts down lines with its fixture `observe`; if all pass, the table
between the two markers of the page is replaced by them.
"""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

START, END = "<!-- faults -->\n", "<!-- end of faults -->"


class Observations:
    """A pytest plugin: what tests that pass have observed, in their order."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []

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


def main(page: Path) -> int:
    """Run the tests; the page is written if they pass."""
    observations = Observations()
    arguments = [str(Path(__file__).parent), "--timeout=0"]
    code = int(pytest.main(arguments, plugins=[observations]))
    if code == 0:
        before, _, rest = page.read_text().partition(START)
        after = rest.partition(END)[2]
        page.write_text(f"{before}{START}{table(observations.rows)}{END}{after}")
        print(f"{len(observations.rows)} observations written to {page}")
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
