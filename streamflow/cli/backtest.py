"""`streamflow backtest`: flows over history in which it is known what went wrong, judged by it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamflow.cli.output import ProgressLine, check_writable, print_json, set_up_logs
from streamflow.errors import FlowError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamflow.backtest.evaluate import Backtest
    from streamflow.backtest.goals import Met

NAME = "backtest"
HELP = "judge flows by what is known to have gone wrong: what they find, miss and cry wolf over"
EXAMPLE = (
    "streamflow backtest machines.py --data history.csv --labels known.csv "
    '--goal "recall >= 0.8, alerts per week <= 5"'
)
_DEVICES = 20
"""So many devices are printed."""
_NOTES = 5


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    flow = "machines.py, machines.py:flow or module:flow; several are compared"
    parser.add_argument("flows", metavar="FLOW", nargs="+", help=flow)
    data = "CSV, JSONL or Parquet; default the flow's sources"
    parser.add_argument("--data", metavar="FILE", help=data)
    labels = "the windows in which something was wrong: CSV device,start,end, or JSON as of NAB"
    parser.add_argument("--labels", metavar="FILE", required=True, help=labels)
    goal = 'exit with 1 unless every flow meets this, as in "recall >= 0.8, p99 latency <= 50ms"'
    parser.add_argument("--goal", metavar="GOALS", help=goal)
    page = "write a page with the figures and every device"
    parser.add_argument("--page", type=Path, metavar="FILE", help=page)
    parser.add_argument("--log", choices=["text", "json"], default="text", help="form of the logs")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def main(options: argparse.Namespace) -> int:
    """Backtest each flow, print the figures; 1 if a goal is not met or a balance is wrong."""
    from streamflow.backtest.goals import judge_goals, parse_goals
    from streamflow.flow.load import load_flow

    set_up_logs(options.log)
    goals = parse_goals(options.goal) if options.goal is not None else []
    if options.page:
        check_writable(options.page)
    flows = [load_flow(reference) for reference in options.flows]
    names = [flow.name for flow in flows]
    if len(set(names)) < len(names):
        raise FlowError(f"two flows have the same name, {', '.join(names)}: give each its own")
    backtests = []
    for flow in flows:
        line = ProgressLine(f"backtest {flow.name}")
        try:
            backtests.append(flow.backtest(options.data, options.labels, progress=line))
        finally:
            line.done()
    met = [judge_goals(goals, one.overall) for one in backtests]
    if options.page:
        from streamflow.backtest.page import page

        options.page.write_text(page(backtests, goals), encoding="utf-8")
    if options.json:
        print_json([_tree(*pair) for pair in zip(backtests, met, strict=True)])
    else:
        _print(backtests, met)
        if options.page:
            print(f"\npage  {options.page.resolve()}")
    good = all(one.met for judged in met for one in judged)
    return 0 if good and all(one.result.balance.adds_up for one in backtests) else 1


def _tree(one: Backtest, met: Sequence[Met]) -> dict[str, Any]:
    from streamflow.core.event import iso

    false = {episode.id for episode in one.false}
    return {
        "flow": one.flow,
        "score": one.score,
        "overall": one.overall.tree(),
        "devices": {name: figures.tree() for name, figures in one.devices.items()},
        "goals": [goal._asdict() for goal in met],
        "alerts": [
            {
                "id": episode.id,
                "step": episode.step,
                "device": episode.device,
                "start": iso(episode.start),
                "end": None if episode.end is None else iso(episode.end),
                "hit": episode.id not in false,
            }
            for episode in one.episodes
        ],
        "missed": [
            {"device": window.device, "start": iso(window.start), "end": iso(window.end)}
            for window in one.missed
        ],
        "notes": one.notes,
        "balance": one.result.balance.tree(),
        "adds_up": one.result.balance.adds_up,
        "seconds": one.result.seconds,
    }


def _print(backtests: Sequence[Backtest], met: Sequence[Sequence[Met]]) -> None:
    from streamflow.backtest.page import figures_rows

    flows = [one.flow for one in backtests]
    rows = [["", *flows], *figures_rows(backtests)]
    readings = [f"{one.result.balance.readings:,}" for one in backtests]
    seconds = [f"{one.result.balance.readings / one.result.seconds:,.0f}" for one in backtests]
    print(_table([*rows, ["readings", *readings], ["readings a second", *seconds]]))
    for one in backtests:
        if len(one.devices) > 1:
            print(f"\n{one.flow}, device by device\n{_table(_devices(one))}")
            if len(one.devices) > _DEVICES:
                print(f"and {len(one.devices) - _DEVICES:,} more: --json or --page")
    for one in backtests:
        if not one.result.balance.adds_up:
            print(f"\n{one.flow}: {one.result.balance.lines()[-1]}")
    for note in dict.fromkeys(note for one in backtests for note in one.notes[:_NOTES]):
        print(f"\nnote: {note}")
    for flow, judged in zip(flows, met, strict=True):
        for goal, value, ok in judged:
            print(f"\n{'met' if ok else 'NOT MET':<8}{goal}: {value} ({flow})", end="")
    if any(met):
        print()


def _devices(one: Backtest) -> list[list[str]]:
    from streamflow.backtest.figures import METRICS
    from streamflow.backtest.page import found_of

    names = ("median delay", "worst delay", "alerts per week", "false alarms per day", "vus pr")
    shown = [metric for metric in METRICS if metric.name in names]
    rows = [["", "found", "alerts", "false", *(metric.name for metric in shown)]]
    for name, figures in list(one.devices.items())[:_DEVICES]:
        found = found_of(figures.found, figures.labels)
        counts = ["-" if n is None else f"{n:,}" for n in (figures.alerts, figures.false)]
        rows.append([name, found, *counts, *(metric.shown(figures) for metric in shown)])
    return rows


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need, all but the first flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *rest in rows:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)
