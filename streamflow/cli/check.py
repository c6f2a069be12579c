"""`streamflow check`: what can be known about a flow without running it."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from streamflow.cli.output import print_json
from streamflow.errors import FlowError

NAME = "check"
HELP = "build a flow without running it: errors, doubts, promises, memory"
EXAMPLE = "streamflow check machines.py"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("flow", metavar="FLOW", help="machines.py, machines.py:flow or module:flow")
    where = "the state directory it is meant to run with"
    parser.add_argument("--state", type=Path, metavar="DIR", help=where)
    tried = "try the connections, too: sources and sinks say what they found"
    parser.add_argument("--connect", action="store_true", help=tried)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def main(options: argparse.Namespace) -> int:
    """Print the findings; 2 if the flow cannot run."""
    from streamflow.flow.check import Finding, Report, check
    from streamflow.flow.load import load_flow

    try:
        flow = load_flow(options.flow)
    except FlowError as error:
        name, report = options.flow, Report([Finding("error", options.flow, str(error))], [], {})
    else:
        name, report = flow.name, check(flow, options.state, connect=options.connect)
    if options.json:
        print_json({"flow": name, "ok": report.ok, **dataclasses.asdict(report)})
        return 0 if report.ok else 2
    for finding in report.findings:
        print(f"{finding.level:<8} {finding.text}")
    if report.promise:
        print("\nafter a crash")
        for sentence in report.promise:
            print(f"  {sentence}")
    if report.bytes_per_device:
        print("\nmemory for each device")
        for step, size in report.bytes_per_device.items():
            print(f"  {step:<20} {size:>10,} bytes")
    print(f"\n{name}: {'can run' if report.ok else 'cannot run'}")
    return 0 if report.ok else 2
