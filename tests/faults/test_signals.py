"""SIGTERM and SIGINT: a last snapshot, exit 0, what is held stays held; a second stops at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable

import pytest
from lab import READINGS, Lab, Whole, children, until

from streamflow.engine.statedir import StateDir

QUICK = 5.0
"""Seconds that a stop may take."""
LAYOUTS = {
    "1 worker": ["--workers=1"],
    "2 workers": ["--workers=2"],
    "2 processes": ["--processes=2"],
}


def stop(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """As a service manager does, or a Ctrl-C, which every process in the foreground gets."""
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop(
    number: signal.Signals,
    layout: str,
    whole: Whole,
    make_lab: Callable[..., Lab],
    rng: random.Random,
    observe: Callable[[str, str, str], None],
) -> None:
    lab = make_lab(SPEED="300x")
    (lab.folder / "in.csv").symlink_to(whole.input)
    # The epoch is longer than the run: only the last snapshot can have kept anything.
    process = lab.start(*LAYOUTS[layout], "--epoch=1h")
    enough = rng.uniform(0.05, 0.3) * whole.rows
    assert lab.wait_for(process, lambda: lab.size("rows.jsonl") >= enough), lab.log(process)
    began = time.monotonic()
    stop(process, number)
    stopped = lab.end(process)
    seconds = time.monotonic() - began
    assert stopped.code == 0, stopped.err
    assert seconds < QUICK
    balance, positions = stopped.balance, lab.positions()
    _, line = positions["csv", "0"]["position"]
    assert balance["received"] == line - 2 < READINGS
    held = sum(len(steps["latest"]["held"]) for steps in lab.remembered().values())
    assert balance["held"] == held > 0
    before = (lab.folder / "rows.jsonl").read_bytes()
    assert positions["jsonl_rows", "0"][0] == len(before), "the snapshot is not the last"
    lab.environment = {}
    ended = lab.run(*LAYOUTS[layout])
    whole.compare(lab, ended)
    assert (lab.folder / "rows.jsonl").read_bytes().startswith(before)
    observe(
        f"{number.name}, {layout}",
        f"exit 0 within {QUICK:.0f} s, a last snapshot; what is held stays held, and the next "
        "start goes on exactly there",
        f"exit 0 after {seconds:.1f} s with {balance['received']:,} messages read and {held} "
        "readings held; the rest came with the next start, nothing was read again",
    )


def test_a_stop_that_reaches_one_process_first(whole: Whole, make_lab: Callable[..., Lab]) -> None:
    """To the others the input seems to end; but a stop is not an end: what is held stays held."""
    lab = make_lab(SPEED="300x")
    (lab.folder / "in.csv").symlink_to(whole.input)
    process = lab.start("--processes=2", "--epoch=100ms")
    enough = 0.1 * whole.rows  # every device has been heard of
    assert lab.wait_for(process, lambda: lab.size("rows.jsonl") >= enough), lab.log(process)
    for member in children(process):  # only one of them reads the file
        os.kill(member, signal.SIGTERM)
        if not lab.runs_for(process, 2):
            break
    stopped = lab.end(process)
    assert stopped.code == 0, stopped.err
    assert stopped.balance["received"] < READINGS
    assert stopped.balance["held"] == len(whole.remembered)
    lab.environment = {}
    whole.compare(lab, lab.run("--processes=2"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_second_signal(
    layout: str, make_lab: Callable[..., Lab], observe: Callable[[str, str, str], None]
) -> None:
    lab = make_lab("slow")
    process = lab.start(*LAYOUTS[layout])
    assert lab.wait_for(process, lambda: "asleep" in lab.log(process)), lab.log(process)
    process.send_signal(signal.SIGTERM)
    assert lab.runs_for(process, 0.5), lab.log(process)
    assert "stopping" in lab.log(process)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert lab.end(process).code != 0
    seconds = time.monotonic() - began
    assert seconds < QUICK
    lab.wait_unlocked()
    observe(f"a second SIGTERM while a stage sleeps, {layout}", "stops at once", f"{seconds:.1f} s")


def test_a_source_that_backs_off_holds_up_neither_stop_nor_epochs(
    make_lab: Callable[..., Lab],
) -> None:
    lab = make_lab("away")
    process = lab.start("--epoch=100ms")
    until(lambda: lab.state.exists() and StateDir(lab.state).durable().get("half/there", 0) > 5)
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert lab.end(process).code == 0
    assert time.monotonic() - began < QUICK
    assert lab.size("asked") == 1
