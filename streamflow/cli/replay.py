"""`streamflow replay`: a flow over history, sinks closed, and what would have come of it."""

from __future__ import annotations

import argparse
from pathlib import Path

from streamflow.cli.output import ProgressLine, check_writable, print_json, set_up_logs
from streamflow.errors import FlowError

NAME = "replay"
HELP = "run a flow's stages over a file, sinks closed, and show what comes of it"
EXAMPLE = "streamflow replay machines.py history.csv --page history.html"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("flow", metavar="FLOW", help="machines.py, machines.py:flow or module:flow")
    parser.add_argument(
        "data", metavar="DATA", nargs="?", help="CSV, JSONL or Parquet; default the flow's sources"
    )
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="write a page that shows every device"
    )
    parser.add_argument("--log", choices=["text", "json"], default="text", help="form of the logs")
    parser.add_argument(
        "--json", action="store_true", help="print balance, events and firings as JSON"
    )


def main(options: argparse.Namespace) -> int:
    """Replay, then print the balance, the alerts and other thresholds; 1 if it does not add up."""
    from streamflow.engine.episodes import episodes
    from streamflow.flow.load import load_flow

    set_up_logs(options.log)
    if options.page:
        check_writable(options.page)
    line = ProgressLine("replay")
    result = load_flow(options.flow).replay(options.data, progress=line)
    line.done()
    try:
        firings = result.firings()
    except FlowError:
        firings = {}
    if options.page:
        result.plot(options.page)
    if options.json:
        print_json(
            {
                "flow": result.plan.name,
                "adds_up": result.balance.adds_up,
                "balance": result.balance.tree(),
                "seconds": result.seconds,
                "remarks": list(result.remarks),
                "events": [event.row() for event in result.events],
                "dead_letters": [letter.row() for letter in result.dead_letters],
                "firings": [{"threshold": t, "episodes": n} for t, n in firings.items()],
            }
        )
        return 0 if result.balance.adds_up else 1
    print("\n".join(result.balance.lines()))
    found = episodes(result.events)
    print(f"alerts    {len(found):,} episodes on {len({e.device for e in found}):,} devices")
    for told in result.balance.quality():
        print(told)
    for letter in result.dead_letters[:5]:
        print(f"dead      {letter.source}, {letter.place}: {letter.reason}")
    for text in result.remarks:
        print(f"note      {text}")
    if firings:
        print("\nwith this threshold it would have fired")
        for threshold, count in firings.items():
            print(f"  {threshold:>12g}  {count:,} times")
    if options.page:
        print(f"\npage      {options.page}")
    return 0 if result.balance.adds_up else 1
