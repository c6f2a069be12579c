"""`python -m benchmarks.connectors.page PAGE [SIZE]`: a run as a page of the documentation."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.connectors.benchmark import run
from benchmarks.frame import Report
from benchmarks.table import render

HEAD = """\
# How fast the connectors are

Written by `python -m benchmarks.connectors.page docs/connector-speed.md SIZE`; the size is named \
below. What is compared with what, and how to read the table: \
[benchmarks/README.md](../benchmarks/README.md).

"""


def page(report: Report) -> str:
    """The page."""
    return f"{HEAD}```\n{render(report)}\n```\n"


def main(path: Path, size: str = "full") -> int:
    """Measure, and write the page; 1 if a case is below its floor."""
    report = run(size, 3)
    path.write_text(page(report))
    print(render(report))
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
