"""The command: ``python -m benchmarks hot_path --size small``."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

import benchmarks
from benchmarks.frame import BenchmarkError, Report
from benchmarks.machine import describe
from benchmarks.table import render

EXAMPLE = """\
example:
  python -m benchmarks list
  python -m benchmarks hot_path --size full --json hot_path.json

exit code: 0 all floors hold, 1 a case is below its floor or a benchmark failed, 2 wrong usage
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    names = available()
    parser = _parser()
    options = parser.parse_args(argv)
    if options.names == ["list"]:
        for name in names:
            print(f"{name:<12}  {_summary(name)}")
        return 0
    wanted = names if options.names == ["all"] else options.names
    for name in wanted:
        if name not in names:
            parser.error(f"no benchmark {name!r}; there are: {', '.join(names)}, and all, list")
    reports = []
    for name in wanted:
        report = run(name, options.size, options.repeats)
        print(render(report), end="\n\n", flush=True)
        reports.append(report)
    if options.json is not None:
        lines = [json.dumps(report.as_json()) + "\n" for report in reports]
        options.json.write_text("".join(lines))
    return 0 if all(report.ok for report in reports) else 1


def available() -> list[str]:
    """The benchmarks: the packages in this directory, each with a module ``benchmark``."""
    return sorted(found.name for found in pkgutil.iter_modules(benchmarks.__path__) if found.ispkg)


def run(name: str, size: str, repeats: int) -> Report:
    """Run one benchmark; one that fails gives a report that says so."""
    try:
        module = importlib.import_module(f"benchmarks.{name}.benchmark")
        report: Report = module.run(size, repeats)
    except BenchmarkError as error:
        return Report(name, size, describe(), (), f"{repeats} runs of each side", str(error))
    return report


def _summary(name: str) -> str:
    text = importlib.import_module(f"benchmarks.{name}").__doc__ or ""
    return text.partition("\n")[0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Compare streamflow with the program a user would write without it.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="benchmarks, or: all, list")
    parser.add_argument(
        "--size", choices=("small", "full"), default="small", help="small is for CI (default)"
    )
    parser.add_argument(
        "--repeats", type=_positive, default=7, metavar="N", help="runs of each side (default 7)"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write one JSON object a line and benchmark"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
