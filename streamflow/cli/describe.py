"""`streamflow describe`: a component's page."""

from __future__ import annotations

import argparse
import dataclasses
import textwrap

from streamflow.cli.output import print_json

NAME = "describe"
HELP = "describe a stage, connector or format: parameters, defaults, units, an example"
EXAMPLE = "streamflow describe alert"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", metavar="NAME", help="as `streamflow list` gives it")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    """Print the page."""
    from streamflow.flow.describe import describe

    pages = describe(options.name)
    if options.json:
        print_json([dataclasses.asdict(page) for page in pages])
        return 0
    for page in pages:
        print(f"{page.name} ({page.kind})\n\n{page.summary}\n")
        if page.text:
            print(f"{page.text}\n")
        for parameter in page.parameters:
            print(f"  {parameter.name}: {parameter.type} = {parameter.default}")
            if parameter.text:
                print(
                    textwrap.fill(
                        parameter.text, 92, initial_indent=" " * 6, subsequent_indent=" " * 6
                    )
                )
        if page.example:
            print(f"\n{textwrap.indent(page.example, '  ')}")
        print()
    return 0
