"""`streamflow`: parse the command, run it, turn errors into one sentence and an exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from streamflow.cli import (
    backtest,
    check,
    demo,
    describe,
    letters,
    listing,
    profile,
    replay,
    run,
    state,
    warm,
)
from streamflow.errors import FlowError, StreamflowError

COMMANDS = (
    demo,
    profile,
    run,
    replay,
    backtest,
    check,
    listing,
    describe,
    state,
    letters,
    warm,
)

_DESCRIPTION = """\
Anomaly detection on live IoT streams that survives production.

A flow is a Python file that says where readings come from, what happens to them, and where
alerts go. Try `streamflow demo` first: it needs no file, no broker and no network.
"""
_EPILOG = """\
example:
  streamflow check machines.py && streamflow run machines.py --workers 2

exit codes: 0 done, 1 it ran and failed, 2 nothing has run: the command or the flow is wrong
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    parser = argparse.ArgumentParser(
        "streamflow",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        own = commands.add_parser(
            command.NAME,
            allow_abbrev=False,
            help=command.HELP,
            description=command.HELP,
            epilog=f"example:\n  {command.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.arguments(own)
        own.set_defaults(main=command.main)
    options = parser.parse_args(argv)
    try:
        code: int = options.main(options)
    except StreamflowError as error:
        print(f"streamflow: {error}", file=sys.stderr)
        return 2 if isinstance(error, FlowError) else 1
    except KeyboardInterrupt:
        print("streamflow: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone; so may we.
        sys.stderr.close()
        return 1
    return code
