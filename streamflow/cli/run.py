"""`streamflow run`: a flow on Bytewax, until its sources end or a signal stops it."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamflow.cli.output import print_json, set_up_logs
from streamflow.errors import FlowError, StreamflowError

if TYPE_CHECKING:
    from streamflow.engine.balance import Balance
    from streamflow.engine.job import Job
    from streamflow.engine.plan import Plan

NAME = "run"
HELP = "run a flow on Bytewax, with threads or processes"
EXAMPLE = "streamflow run machines.py --workers 2 --state state/machines"

ONCE_ONLY = ("--forget", "--rename", "--from-position")
"""Options that change what is kept: a restart by itself must not apply them again."""

log = logging.getLogger("streamflow.run")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("flow", metavar="FLOW", help="machines.py, machines.py:flow or module:flow")
    add("--workers", type=int, default=1, help="threads in each process (1)")
    add("--processes", type=int, default=1, help="processes on this host (1)")
    add("--state", type=Path, metavar="DIR", help="keep state here; go on from what is there")
    add("--epoch", default="2s", help="time between two snapshots (2s)")
    add("--forget", action="append", default=[], metavar="STEP", help="let a step start anew")
    add("--rename", action="append", default=[], metavar="OLD=NEW", help="a step's new name")
    where = "start a source elsewhere than where it ended; VALUE is JSON, null the start"
    add("--from-position", action="append", default=[], metavar="SOURCE=VALUE", help=where)
    where = "serve /metrics, /ping and /ready here; process n takes the n-th port after"
    add("--metrics", metavar="HOST:PORT", help=where)
    add("--log", choices=["text", "json"], default="text", help="form of the logs")
    add("--json", action="store_true", help="print the balance as JSON")
    # How a process of several is told its place; see engine/cluster.py.
    add("--process-id", type=int, help=argparse.SUPPRESS)
    add("--addresses", help=argparse.SUPPRESS)
    add("--report", type=Path, help=argparse.SUPPRESS)
    add("--lifeline", type=int, help=argparse.SUPPRESS)


def main(options: argparse.Namespace) -> int:
    """Run, then print the balance; 1 if it does not add up."""
    from streamflow.flow.check import NOT_REDELIVERED
    from streamflow.flow.load import load_flow

    set_up_logs(options.log)
    for name in ("workers", "processes"):
        if getattr(options, name) < 1:
            raise FlowError(f"--{name} {getattr(options, name)}: at least 1")
    flow = load_flow(options.flow)
    plan = flow.checked()
    job = _job(plan, options)
    if options.process_id is not None:
        return _member(job, options)
    rename = dict(_pairs("--rename", options.rename))
    if options.state is None and (options.forget or rename):
        raise FlowError("--forget and --rename change what --state DIR holds; name it")
    _refuse_local_functions(plan, options.processes)
    if options.state is not None:
        from streamflow.engine.supervisor import open_state

        job.state = open_state(plan, options.state, options.forget, rename)
    log.info("flow %s starts", flow.name)
    for source in plan.sources:
        doubts = [NOT_REDELIVERED] * (source.promise == "redeliver" and not job.state)
        for doubt in [*doubts, *source.caveats]:
            log.warning("%s: %s", source.step, doubt)
    try:
        balance = _cluster(job, options) if options.processes > 1 else _alone(job, options)
    finally:
        if job.state:
            job.state.release()
    if options.json:
        print_json({"flow": flow.name, "adds_up": balance.adds_up, **balance.tree()})
    else:
        print("\n".join([*balance.lines(), *balance.quality()]))
    return 0 if balance.adds_up else 1


def _job(plan: Plan, options: argparse.Namespace) -> Job:
    from streamflow.core.duration import duration
    from streamflow.engine.job import Job

    positions = {}
    for name, value in _pairs("--from-position", options.from_position):
        if name.partition("/")[0] not in [source.step for source in plan.sources]:
            raise FlowError(f"--from-position {name}: the flow has no such source")
        try:
            positions[name] = json.loads(value)
        except ValueError:
            raise FlowError(f"--from-position {name}={value}: {value} is not JSON") from None
    epoch = duration(options.epoch)
    if epoch < 10**7:
        raise FlowError(f"--epoch {options.epoch}: at least 10ms")
    return Job(plan, epoch=epoch, positions=positions, on_failure=_give_up)


def _give_up(error: StreamflowError) -> None:
    """Say why, and end at once, as in a crash: what was durable is so still."""
    print(f"streamflow: {error}", file=sys.stderr, flush=True)
    os._exit(1)


def _alone(job: Job, options: argparse.Namespace) -> Balance:
    from streamflow.engine.supervisor import supervise

    def again() -> None:
        log.warning("starting again")
        os.execv(sys.executable, [sys.executable, *once_only_removed(sys.orig_argv[1:])])

    return supervise(
        job,
        workers=options.workers,
        metrics=_address(options),
        on_clock_step=again,
        alone=True,
    )


def once_only_removed(arguments: Sequence[str]) -> list[str]:
    """A command line without what was meant for its first start alone.

    >>> once_only_removed(["run", "f.py", "--forget", "detect", "--rename=a=b", "--workers", "2"])
    ['run', 'f.py', '--workers', '2']
    """
    out: list[str] = []
    skip = False
    for argument in arguments:
        if not skip and argument.partition("=")[0] not in ONCE_ONLY:
            out.append(argument)
        skip = not skip and argument in ONCE_ONLY
    return out


def _address(options: argparse.Namespace) -> tuple[str, int] | None:
    from streamflow.engine.health import parse_address

    return parse_address(options.metrics) if options.metrics else None


def _cluster(job: Job, options: argparse.Namespace) -> Balance:
    from streamflow.engine.cluster import Cluster

    command = [sys.executable, "-m", "streamflow", "run", options.flow]
    command += [f"--workers={options.workers}", f"--log={options.log}", f"--epoch={options.epoch}"]
    command += [f"--state={options.state}"] if options.state else []
    command += [f"--metrics={options.metrics}"] if options.metrics else []
    keep = [job.state.lock_fd] if job.state else []
    # Bytewax prints what it thinks of connections; that is no part of a JSON document.
    stdout = sys.stderr.fileno() if options.json else None
    first = [f"--from-position={given}" for given in options.from_position]
    again = job.state.store().settle if job.state else None
    return Cluster(command, options.processes, keep, stdout, first, again).run()


def _member(job: Job, options: argparse.Namespace) -> int:
    """One process of several: the first one holds the lock and has checked the state."""
    from streamflow.engine.cluster import RESTART, end_with_parent
    from streamflow.engine.statedir import StateDir
    from streamflow.engine.supervisor import supervise
    from streamflow.engine.wax import Place

    end_with_parent(options.lifeline)
    if options.state is not None:
        job.state = StateDir(options.state)
    balance = supervise(
        job,
        workers=options.workers,
        place=Place(tuple(options.addresses.split(";")), options.process_id),
        metrics=_address(options),
        on_clock_step=lambda: os._exit(RESTART),
        alone=True,
    )
    options.report.write_text(json.dumps(balance.tree()))
    return 0


def _refuse_local_functions(plan: Plan, processes: int) -> None:
    from streamflow.stages.map import NOT_IMPORTABLE, Map

    for stage in plan.stages:
        name = getattr(getattr(stage, "fn", None), "__qualname__", "")
        if processes > 1 and isinstance(stage, Map) and "<" in name:
            raise FlowError(f"step {stage.step!r}: {name} {NOT_IMPORTABLE}")


def _pairs(option: str, given: Sequence[str]) -> list[tuple[str, Any]]:
    out = []
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise FlowError(f"{option} {text}: write it as NAME=VALUE")
        out.append((name, value))
    return out
