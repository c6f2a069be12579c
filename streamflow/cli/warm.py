"""`streamflow warm`: compile a flow's kernels ahead of its first run."""

from __future__ import annotations

import argparse
import dataclasses

from streamflow.cli.output import print_json

NAME = "warm"
HELP = "compile a flow's kernels and keep them, for images and quick starts"
EXAMPLE = "streamflow warm machines.py"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("flow", metavar="FLOW", help="machines.py, machines.py:flow or module:flow")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def main(options: argparse.Namespace) -> int:
    """Warm, and say how many kernels there are and where; 1 if they cannot be kept."""
    from streamflow.engine.warm import warm
    from streamflow.flow.load import load_flow

    flow = load_flow(options.flow)
    found = warm(flow.plan())
    kept = bool(found.folders) or not found.kernels
    if options.json:
        print_json({"flow": flow.name, **dataclasses.asdict(found)})
        return 0 if kept else 1
    there = found.kernels - found.compiled
    print(f"{flow.name}: {found.kernels} kernels, {found.compiled} compiled, {there} were there")
    for folder in found.folders:
        print(f"kept in   {folder}")
    if not kept:
        print("they cannot be kept: no folder can be written to; set NUMBA_CACHE_DIR to one")
    return 0 if kept else 1
