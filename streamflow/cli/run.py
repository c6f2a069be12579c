"""`streamflow run`: a flow on Bytewax, until its sources end."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from streamflow.cli.output import print_json, set_up_logs
from streamflow.errors import FlowError

NAME = "run"
HELP = "run a flow on Bytewax, with threads or processes"
EXAMPLE = "streamflow run machines.py --workers 2"

log = logging.getLogger("streamflow.run")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("flow", metavar="FLOW", help="machines.py, machines.py:flow or module:flow")
    parser.add_argument("--workers", type=int, default=1, help="threads in each process (1)")
    parser.add_argument("--processes", type=int, default=1, help="processes on this host (1)")
    parser.add_argument("--log", choices=["text", "json"], default="text", help="form of the logs")
    parser.add_argument("--json", action="store_true", help="print the balance as JSON")
    # How a process of several is told its place; see engine/cluster.py.
    parser.add_argument("--process-id", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--addresses", help=argparse.SUPPRESS)
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)


def main(options: argparse.Namespace) -> int:
    """Run, then print the balance; 1 if it does not add up."""
    from streamflow.flow.flow import Flow
    from streamflow.flow.load import load_flow

    set_up_logs(options.log)
    for name in ("workers", "processes"):
        if getattr(options, name) < 1:
            raise FlowError(f"--{name} {getattr(options, name)}: at least 1")
    flow: Flow = load_flow(options.flow)
    plan = flow.checked()
    if options.process_id is not None:
        from streamflow.engine.wax import execute

        balance = execute(
            plan,
            workers=options.workers,
            addresses=options.addresses.split(";"),
            process=options.process_id,
        )
        options.report.write_text(json.dumps(balance.tree()))
        return 0
    log.info("flow %s starts", flow.name)
    if options.processes > 1:
        from streamflow.engine.cluster import launch
        from streamflow.stages.map import NOT_IMPORTABLE, Map

        for stage in plan.stages:
            if isinstance(stage, Map) and "<" in getattr(stage.fn, "__qualname__", ""):
                raise FlowError(f"step {stage.step!r}: {stage.fn.__qualname__} {NOT_IMPORTABLE}")
        command = [sys.executable, "-m", "streamflow", "run", options.flow]
        command += [f"--workers={options.workers}", f"--log={options.log}"]
        balance = launch(command, options.processes)
    else:
        balance = flow.run(workers=options.workers)
    if options.json:
        print_json({"flow": flow.name, "adds_up": balance.adds_up, **balance.tree()})
    else:
        print("\n".join(balance.lines()))
    return 0 if balance.adds_up else 1
