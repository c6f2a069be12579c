"""The clock is set back an hour, and forward, while a flow runs: it goes on, with equal output."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lab import Lab, Whole


@pytest.mark.parametrize("layout", ["--workers=1", "--processes=2"])
def test_an_hour(
    layout: str,
    whole: Whole,
    make_lab: Callable[..., Lab],
    need: Callable[[str, str], str],
    observe: Callable[[str, str, str], None],
) -> None:
    lab = make_lab(SPEED="500x")
    clock = lab.folder / "clock"
    clock.write_text("+0\n")
    python = lab.folder / "python"
    python.write_text(
        f"#!/bin/sh\nLD_PRELOAD='{library(need)}' FAKETIME_TIMESTAMP_FILE={clock} "
        f'FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 exec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    if "processes" in layout:
        # Only for the members: libfaketime breaks the sleep of the process that watches them.
        lab.program = [sys.executable, str(Path(__file__).parent / "members.py"), str(python)]
    else:
        lab.program = [str(python), "-m", "streamflow"]
    (lab.folder / "in.csv").symlink_to(whole.input)
    process = lab.start(layout, "--epoch=100ms")
    for offset in ("-3600", "+0", "+3600", "+0"):
        more = lab.size("rows.jsonl") + 1
        goes_on = lab.wait_for(process, lambda more=more: lab.size("rows.jsonl") >= more)
        assert goes_on, lab.log(process)
        assert lab.runs_for(process, 1), lab.log(process)
        clock.write_text(f"{offset}\n")
    ended = lab.end(process)
    whole.compare(lab, ended)
    assert "the clock was set back by 3600." in ended.err
    back = ended.err.count("again")  # each process of several says that it noticed; one starts all
    assert back == 2, ended.err
    observe(
        f"the clock set back an hour, forward, forward, and back again, {layout[2:]}",
        "the flow goes on; its output is equal",
        f"noticed {back} times of 2 backward, never forward; started again by itself; equal",
    )


def library(need: Callable[[str, str], str]) -> str:
    """Where libfaketime is."""
    command = [need("faketime", "to set a process's clock"), "-m", "-f", "+0", "printenv"]
    done = subprocess.run([*command, "LD_PRELOAD"], capture_output=True, text=True, check=True)
    return done.stdout.strip()
