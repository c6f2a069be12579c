"""Where flows are broken: real processes on real files, and what they leave behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamflow.engine.statedir import SHARDS_STEP, StateDir
from streamflow.errors import StateError

FLOWS = Path(__file__).parent / "flows"
READINGS = 6000
"""Messages for the flow "plant"."""
PACE = {"SPEED": "2000x"}
"""With it a run of them lasts about three seconds."""
PATIENCE = 60
"""Seconds after which something that should have happened is taken not to happen."""


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str

    @property
    def balance(self) -> dict[str, Any]:
        """The balance it printed."""
        return dict(json.loads(self.out))


@dataclass
class Lab:
    """A folder in which one flow runs, again and again.

    Parameters
    ----------
    folder
        Where it reads and writes.
    flow
        The name of a file in `flows`.
    environment
        What its processes find there, beside what there is.
    program
        How to start streamflow.
    """

    folder: Path
    flow: str = "plant"
    environment: Mapping[str, str] = field(default_factory=dict)
    program: Sequence[str] = (sys.executable, "-m", "streamflow")
    state: Path = field(init=False)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state = self.folder / "state"

    def start(self, *options: str, state: Path | None = None) -> subprocess.Popen[str]:
        """Start the flow with its state in `state`; `streamflow run` and the options given."""
        command = [*self.program, "run", str(FLOWS / f"{self.flow}.py")]
        command += ["--json", "--state", str(state or self.state), *options]
        number = len(self.started)
        with self._log("out", number).open("w") as out, self._log("err", number).open("w") as err:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                # Kernels as plain Python: what is broken here is not them, and they load slowly.
                env={**os.environ, "NUMBA_DISABLE_JIT": "1", **self.environment},
                stdout=out,
                stderr=err,
                text=True,
                start_new_session=True,  # a group of its own, for a Ctrl-C
            )
        self.started.append(process)
        return process

    def end(self, process: subprocess.Popen[str]) -> Ended:
        """Wait for its end."""
        code = process.wait(PATIENCE)
        return Ended(code, self.output(process), self.log(process))

    def output(self, process: subprocess.Popen[str]) -> str:
        """What it has printed so far."""
        return self._log("out", self.started.index(process)).read_text()

    def log(self, process: subprocess.Popen[str]) -> str:
        """What it has said so far."""
        return self._log("err", self.started.index(process)).read_text()

    def run(self, *options: str, state: Path | None = None) -> Ended:
        """Start it, and wait for its end."""
        return self.end(self.start(*options, state=state))

    def kill(self, process: subprocess.Popen[str]) -> None:
        """kill -9, and wait until nothing of it holds the state any more."""
        process.kill()
        process.wait()
        self.wait_unlocked()

    def wait_unlocked(self) -> None:
        """Wait until no process holds the state."""
        until(self._unlocked)

    def _unlocked(self) -> bool:
        lock = StateDir(self.state)
        try:
            lock.acquire()
        except StateError:
            return False
        lock.release()
        return True

    def wait_for(self, process: subprocess.Popen[str], happened: Callable[[], bool]) -> bool:
        """Wait until something has happened; False if the process ended before."""
        until(lambda: happened() or process.poll() is not None)
        return process.poll() is None

    def runs_for(self, process: subprocess.Popen[str], seconds: float) -> bool:
        """Wait so long, or until it ends; whether it still runs."""
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return process.poll() is None

    def size(self, name: str) -> int:
        """Bytes of a file; 0 if there is none."""
        path = self.folder / name
        return path.stat().st_size if path.exists() else 0

    def lines(self, name: str) -> list[str]:
        """The lines of a file; none if there is none."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def outputs(self) -> dict[str, dict[str, list[str]]]:
        """file -> device -> its lines in order; lines of no device go by their source."""
        out: dict[str, dict[str, list[str]]] = {}
        for name in ("rows", "alerts", "late", "dead"):
            by: dict[str, list[str]] = defaultdict(list)
            for line in self.lines(f"{name}.jsonl"):
                fields = json.loads(line)
                by[fields.get("device") or fields["source"]].append(line)
            out[name] = dict(by)
        by = defaultdict(list)
        for line in self.lines("rejected.csv")[1:]:
            by[line.split(",")[2]].append(line)
        return {**out, "rejected": dict(by)}

    def remembered(self) -> dict[str, dict[str, Any]]:
        """device -> step -> what it remembers, as the recovery store has it."""
        out: dict[str, dict[str, Any]] = {}
        for snap in StateDir(self.state).store().snaps():
            if snap.step == SHARDS_STEP:
                shard = snap.value
                for row, device in enumerate(shard["devices"]):
                    steps = {step: _of(tree, row) for step, tree in shard["steps"].items()}
                    out[device] = {**steps, "seen": int(shard["seen"][row]), "shard": snap.key}
        return out

    def positions(self) -> dict[tuple[str, str], Any]:
        """(step, partition) -> where each source and sink stands, as the recovery store has it."""
        snaps = StateDir(self.state).store().snaps()
        return {(s.step, s.key): s.value for s in snaps if s.step != SHARDS_STEP}

    def clean(self) -> None:
        """Let nothing run on."""
        for process in self.started:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    def _log(self, kind: str, number: int) -> Path:
        return self.folder / f"{kind}.{number}"


def _of(tree: Mapping[str, Any], row: int) -> dict[str, Any]:
    """What one step remembers of the device in this row of its shard."""
    objects, held = tree["objects"], tree["held"]
    known = dict(zip(objects["rows"], objects["data"], strict=True))
    return {
        "columns": {name: column[row].tobytes() for name, column in tree["columns"].items()},
        "object": known.get(row),
        "held": [] if held is None else held["time"][held["device"] == row].tolist(),
    }


@dataclass(frozen=True)
class Whole:
    """What a run of the flow "plant" that nobody disturbed left behind."""

    input: Path
    outputs: dict[str, dict[str, list[str]]]
    remembered: dict[str, dict[str, Any]]
    position: Any
    balance: dict[str, Any]
    rows: int

    @staticmethod
    def of(folder: Path) -> Whole:
        """Run it."""
        lab = Lab(folder)
        write_readings(folder / "in.csv", READINGS, random.Random(1))
        balance = lab.run().balance
        assert balance["adds_up"]
        assert balance["received"] == READINGS
        assert balance["held"] == 0
        outputs = lab.outputs()
        assert all(outputs.values()), "an output is empty, so comparing it would prove nothing"
        position = lab.positions()["csv", "0"]["position"]
        rows = lab.size("rows.jsonl")
        return Whole(folder / "in.csv", outputs, lab.remembered(), position, balance, rows)

    def compare(self, lab: Lab, ended: Ended) -> None:
        """What a disturbed run left behind at its end is the same."""
        assert ended.code == 0, ended.err
        assert ended.balance == self.balance
        outputs = lab.outputs()
        for name, expected in self.outputs.items():
            assert outputs[name].keys() == expected.keys(), (
                name,
                len(outputs[name]),
                len(expected),
            )
            for device, lines in expected.items():
                assert outputs[name][device] == lines, f"{name} of {device}"
        remembered = lab.remembered()
        assert remembered.keys() == self.remembered.keys()
        for device, steps in self.remembered.items():
            for step, memory in steps.items():
                assert remembered[device][step] == memory, f"{step} of {device}"
        assert lab.positions()["csv", "0"]["position"] == self.position


def children(process: subprocess.Popen[str]) -> list[int]:
    """The processes that a process has started."""
    out = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit():
                # The name, in brackets, may hold spaces; the parent is the second field after it.
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                out += [int(entry.name)] if int(parent) == process.pid else []
    return out


def until(happened: Callable[[], bool]) -> None:
    """Wait until something has happened; an error if it does not."""
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, f"did not happen within {PATIENCE} s"
        time.sleep(0.005)


def write_readings(path: Path, count: int, rng: random.Random) -> None:
    """A CSV file for the flow "plant": gaps, outliers, readings without a site, broken lines."""
    lines = ["machine,at,t,p,site"]
    for second in range(count):
        t = rng.gauss(20, 1) + (rng.random() < 0.01) * rng.gauss(40, 20)
        shown = "" if rng.random() < 0.05 else f"{t:.4f}"
        site = rng.choice(["north", "south", ""]) if rng.random() < 0.1 else "north"
        line = f"m{rng.randrange(40)},{1_700_000_000 + second},{shown},{rng.random():.4f},{site}"
        lines.append("not,a line" if rng.random() < 0.003 else line)
    path.write_text("\n".join(lines) + "\n")
