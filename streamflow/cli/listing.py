"""`streamflow list`: all stages, fleet steps, connectors and formats."""

from __future__ import annotations

import argparse

from streamflow.cli.output import print_json

NAME = "list"
HELP = "list stages, fleet steps, connectors and formats, plug-ins included"
EXAMPLE = "streamflow list stages"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    kinds = ["stages", "fleet_steps", "connectors", "formats"]
    parser.add_argument("kind", nargs="?", choices=kinds, help="default all")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    """Print names and summaries."""
    from streamflow.flow.describe import summary
    from streamflow.flow.registry import KINDS, names

    kinds = [options.kind] if options.kind else KINDS
    found = {kind: {name: summary(kind, name) for name in names(kind)} for kind in kinds}
    if options.json:
        print_json(found)
        return 0
    for kind, components in found.items():
        print(kind)
        for name, line in components.items():
            print(f"  {name:<16} {line}")
    return 0
