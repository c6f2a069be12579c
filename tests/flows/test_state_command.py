"""`streamflow state`, and `--from-position`, on the state of real runs."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from river import anomaly, drift

from streamflow import (
    Alert,
    Batch,
    Detect,
    Flow,
    Impute,
    Memory,
    MonitorDrift,
    Stage,
    Validate,
)
from streamflow.cli.main import main
from streamflow.core.connect import Messages, Reader
from streamflow.core.memory import Field
from streamflow.core.state import State
from streamflow.engine.balance import Balance
from streamflow.engine.rows import Rows
from streamflow.engine.statedir import StateDir
from streamflow.engine.supervisor import open_state
from streamflow.formats.times import TimeParser
from streamflow.models.codec import RiverCodec
from streamflow.testing import Collect
from streamflow.testing.trace import Trace, difference, trace_of

READINGS = 240
HALF = 130
START = 1_767_225_600
ROWS = [
    {
        "device": ("pump-1", "boiler-77", "fan")[i % 3],
        "time": START + i,
        "t": 20.0 + i % 40 if i % 11 else None,
        "site": f"site of {('pump-1', 'boiler-77', 'fan')[i % 3]}",
    }
    for i in range(READINGS)
]


@dataclass(frozen=True)
class Keep(Stage):
    """Hold each device's last reading until its next one."""

    @property
    def memory(self) -> Memory:
        return Memory(holds=True)

    def on_batch(self, batch: Batch, state: State) -> Batch:
        parts = [batch.take([])]
        for i in range(len(batch)):
            if state.held is not None:
                before = state.release(np.flatnonzero(state.held.device == batch.device[i]))
                parts += [before] if before else []
            state.hold(batch.take([i]))
        return Batch.concat(parts)

    def on_end(self, state: State) -> Batch | None:
        return state.held and state.release(np.arange(len(state.held)))


@dataclass(frozen=True)
class Halting(Rows):
    """Rows; after `halt` of them SIGTERM comes, as from `kill`."""

    halt: int = -1

    def open(self, partition: str, position: Any) -> Reader:
        return _HaltingReader(super().open(partition, position), self.halt)


class _HaltingReader(Reader):
    def __init__(self, inner: Reader, halt: int) -> None:
        self._inner, self._halt = inner, halt

    def poll(self, limit: int) -> Messages | None:
        if self.position() == self._halt:
            os.kill(os.getpid(), signal.SIGTERM)
            return None
        got = self._inner.poll(10)
        assert isinstance(got, Messages)
        return got

    def position(self) -> int:
        return int(self._inner.position())


def machines(rows: Sequence[Any], halt: int = -1) -> Flow:
    return (
        Flow("machines", sensors=["t"], tags=["site"])
        | Halting(rows, halt=halt)
        | Impute(hold="1m")
        | Keep()
        | Detect(anomaly.LocalOutlierFactor(n_neighbors=3))
        | MonitorDrift("t", drift.ADWIN())
        | Alert("t > 50", hold="2s")
    )


def run(
    state: Path | None, halt: int = -1, rows: Sequence[Any] = ROWS
) -> tuple[list[Any], list[Any], Balance]:
    """What a run gave: rows, events, balance."""
    out, events = Collect(of="rows"), Collect(of="events")
    balance = (machines(rows, halt) | out | events).run(state=state, epoch="50ms")
    return out.items, events.items, balance


def joined(*runs: tuple[list[Any], list[Any], Balance]) -> Trace:
    return trace_of([b for r in runs for b in r[0]], [e for r in runs for e in r[1]])


def bytes_below(folder: Path) -> Iterator[bytes]:
    yield from (path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A flow stopped halfway: its state, and what it had given."""
    state = tmp_path_factory.mktemp("halved") / "state"
    return state, run(state, HALF)


@pytest.fixture
def state(halved: tuple[Path, Any], tmp_path: Path) -> Path:
    """A copy of its state."""
    return Path(shutil.copytree(halved[0], tmp_path / "state"))


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # What a command sets up stays with the process: its log and its path.
    monkeypatch.setattr(sys, "path", sys.path.copy())
    logger = logging.getLogger("streamflow")
    handlers, level = logger.handlers.copy(), logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


# Looking


def test_show(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["state", "show", str(state), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["flow"], shown["generation"], shown["process"]) == ("machines", 1, None)
    assert shown["devices"] == 3
    assert shown["sources"] == [{"source": "halting", "partition": "0", "position": HALF}]
    assert shown["balance"]["readings"] == HALF
    assert shown["balance"]["held"] == 3
    assert shown["adds_up"]
    assert 0 <= shown["snapshot_seconds"] < 600
    assert shown["epoch"] == StateDir(state).store().resume_epoch() > 1
    steps = shown["steps"]
    assert list(steps) == ["impute", "keep", "detect", "monitor_drift", "alert"]
    assert steps["impute"]["bytes_per_device"] == 16
    assert steps["keep"]["held"] == 3
    assert steps["detect"]["kind"] == "Detect"
    assert steps["detect"]["recipe"].startswith("LocalOutlierFactor")
    assert (steps["detect"]["objects"], steps["detect"]["codec"]) == (3, RiverCodec.version)
    assert f"river {shown['installed']['river']}" == RiverCodec.version

    assert main(["state", "show", str(state)]) == 0
    said = capsys.readouterr().out
    assert "flow       machines; nothing runs on it; generation 1\n" in said
    assert " ago, 20" in said
    assert "halting/0        130\n" in said
    assert "readings  130 in = 127 out + 3 held" in said


def test_show_before_the_first_snapshot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_state(machines(ROWS).plan(), tmp_path / "state").release()
    assert main(["state", "show", str(tmp_path / "state")]) == 0
    assert "snapshot   none yet\n" in capsys.readouterr().out


def test_inspect(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["state", "inspect", str(state), "boiler-77", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    own = [row for row in ROWS[:HALF] if row["device"] == "boiler-77"]
    last, learned = own[-1], sum(row["t"] is not None for row in own[:-1])
    assert (shown["device"], shown["flow"]) == ("boiler-77", "machines")
    assert shown["seen"] == "2026-01-01T00:02:07Z"
    steps = shown["steps"]
    assert steps["impute"]["fields"]["value"]["first"] == [last["t"]]
    assert steps["keep"]["held"] == [
        {"device": "boiler-77", "time": shown["seen"], "site": last["site"], "t": last["t"]}
    ]
    assert steps["detect"]["model"]["codec"] == RiverCodec.version
    assert steps["detect"]["model"]["bytes"] > 100
    # All its readings but the one held and those imputed.
    assert steps["detect"]["model"]["learned"]["nn"]["window"] == f"{learned} x tuple"
    assert steps["monitor_drift"]["fields"]
    alert = steps["alert"]["fields"]
    assert (alert["peak"], alert["quiet"]) == (58.0, (START + 124) * 10**9)

    assert main(["state", "inspect", str(state), "boiler-77"]) == 0
    said = capsys.readouterr().out
    assert "last seen 2026-01-01T00:02:07Z\n" in said
    assert f"  held                 1 readings\n    time={shown['seen']}" in said


@dataclass(frozen=True)
class Pile(Stage):
    """Hold all until the end."""

    @property
    def memory(self) -> Memory:
        return Memory({"grid": Field(np.float64, 0.5, (3, 4)), "hot": Field(bool)}, holds=True)

    def on_batch(self, batch: Batch, state: State) -> Batch:
        state.hold(batch)
        return batch.take([])


def test_inspect_tells_long_things_in_short(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = Flow("piles", sensors=["t"]) | Halting(ROWS, halt=20) | Validate() | Pile()
    flow.run(state=tmp_path / "state", epoch="50ms")
    assert main(["state", "inspect", str(tmp_path / "state"), "pump-1"]) == 0
    said = capsys.readouterr().out.split("\n\n")[1:]
    assert said[0] == "validate (Validate, state version 1)\n  nothing"
    assert said[1].splitlines() == [
        "pile (Pile, state version 1)",
        "  grid                 3 x 4 from 0.5 to 0.5: 0.5, 0.5, 0.5, 0.5, 0.5, ...",
        "  hot                  False",
        "  held                 7 readings",
        "    time=2026-01-01T00:00:00Z  t=missing",
        "    time=2026-01-01T00:00:03Z  t=23",
        "    time=2026-01-01T00:00:06Z  t=26",
        "    time=2026-01-01T00:00:09Z  t=29",
        "    time=2026-01-01T00:00:12Z  t=32",
        "    ...",
    ]


def test_a_model_of_another_river_is_told_not_loaded(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RiverCodec, "version", "river 9.9")
    assert main(["state", "inspect", str(state), "fan"]) == 0
    assert "a model was saved by river 0." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("device", "hint"),
    [
        ("pump1", "did you mean 'pump-1'?"),
        ("x", "it remembers 3, such as 'boiler-77', 'fan', 'pump-1'"),
    ],
)
@pytest.mark.parametrize("action", ["inspect", "erase"])
def test_an_unknown_device(
    action: str, device: str, hint: str, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["state", action, str(state), device]) == 2
    said = capsys.readouterr().err
    assert said == f"streamflow: {state} does not remember device {device!r}; {hint}\n"


def test_no_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"streamflow: {tmp_path} holds no state: it has no manifest.json\n"
    for action in (["show"], ["inspect", "a"], ["erase", "a"], ["export", "b"]):
        arguments = ["state", action[0], str(tmp_path), *action[1:]]
        assert main(arguments) == 1
        assert capsys.readouterr().err == words
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("action", [[], ["show"], ["inspect"], ["erase"], ["export"], ["import"]])
def test_help(action: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["state", *action, "--help"])
    assert f"example:\n  streamflow state {' '.join(action)}" in capsys.readouterr().out


# Erasing


def test_erased_equals_never_seen(
    halved: tuple[Path, Any], state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert any(b"boiler-77" in data for data in bytes_below(state))
    assert main(["state", "erase", str(state), "boiler-77"]) == 0
    said = capsys.readouterr().out
    assert said == (
        f"erased 1 devices from {state}\n  1 readings held of them now count as rejected\n"
    )
    assert not any(b"boiler-77" in data for data in bytes_below(state))
    assert main(["state", "inspect", str(state), "boiler-77"]) == 2

    first, after = halved[1], run(state)
    never = [row for row in ROWS[:HALF] if row["device"] != "boiler-77"] + ROWS[HALF:]
    kept = ([b.take([b.name(i) != "boiler-77" for i in range(len(b))]) for b in first[0]],
            [event for event in first[1] if event.device != "boiler-77"], first[2])  # fmt: skip
    expected = joined(run(None, rows=never))
    assert difference(expected, joined(kept, after), "never seen", "erased") is None
    assert after[2].adds_up
    assert after[2].rejected == {("keep", "erased"): 1}
    assert after[2].readings == READINGS == after[2].out + 1


def test_all_devices_can_go(state: Path) -> None:
    assert main(["state", "erase", str(state), "pump-1", "boiler-77", "fan"]) == 0
    first, after = run(state)[2], run(None, rows=ROWS[HALF:])[2]
    assert first.out == HALF - 3 + after.out
    assert first.rejected == {("keep", "erased"): 3}
    assert first.adds_up


# Carrying elsewhere


def test_a_run_goes_on_from_an_imported_state_as_from_the_original(
    halved: tuple[Path, Any], state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, other = str(tmp_path / "machines.state"), tmp_path / "elsewhere" / "state"
    assert main(["state", "export", str(state), file]) == 0
    assert main(["state", "import", file, str(other)]) == 0
    assert f"{other} holds the state of flow machines\n" in capsys.readouterr().out
    original, imported = run(state), run(other)
    assert difference(joined(original), joined(imported), "original", "imported") is None
    assert original[2].tree() == imported[2].tree()
    whole = run(None)
    expected = joined(whole)
    assert difference(expected, joined(halved[1], imported), "unbroken", "imported") is None
    assert whole[2].tree() == imported[2].tree()
    assert len(joined(imported)) < len(expected) * 2
    for folder in (state, other):
        assert main(["state", "show", str(folder), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["generation"] == 2


# While it runs


FOLLOW = """
from streamflow import Alert, Flow, Impute
from streamflow_connectors import files

flow = (
    Flow("live", sensors=["t"])
    | files.csv("in.csv", follow=True)
    | Impute(hold="1h")
    | Alert("t > 30")
    | files.jsonl("rows.jsonl", of="rows")
    | files.jsonl("alerts.jsonl", of="alerts")
)
"""
HEADER = "device,time,t\n"


def lines(start: int, stop: int) -> str:
    return "".join(f"pump-{i % 5},{START + i},{20 + i % 13}\n" for i in range(start, stop))


def by_device(path: Path) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = defaultdict(list)
    for line in path.read_text().splitlines():
        row = json.loads(line)
        out[row["device"]].append(row)
    return out


def waited_for(what: Any) -> Any:
    for _ in range(1200):
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen within a minute")


def test_a_running_flow_is_shown_and_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    (here / "live.py").write_text(FOLLOW)
    (here / "in.csv").write_text(HEADER + lines(0, 500))
    state, file = str(here / "state"), str(tmp_path / "live.state")
    command = [sys.executable, "-m", "streamflow", "run", "live.py"]
    process = subprocess.Popen([*command, "--state=state", "--epoch=50ms"], cwd=here)
    try:
        waited_for(lambda: (here / "rows.jsonl").exists())

        def shown(readings: int) -> Any:
            if main(["state", "show", state, "--json"]) != 0:
                return None
            found = json.loads(capsys.readouterr().out)
            return found if found["balance"]["readings"] >= readings else None

        found = waited_for(lambda: shown(500))
        assert found["process"] == str(process.pid)
        assert found["devices"] == 5
        with (here / "in.csv").open("a") as csv:
            csv.write(lines(500, 700))
        # It keeps on committing epochs, and all that is seen of it fits together.
        assert waited_for(lambda: shown(700))["epoch"] > found["epoch"]
        assert main(["state", "inspect", state, "pump-3"]) == 0
        assert main(["state", "show", state]) == 0
        assert f"process {process.pid} works on it" in capsys.readouterr().out
        assert main(["state", "erase", state, "pump-3"]) == 1
        told = capsys.readouterr().err
        assert f"a flow is running on {state} already (process {process.pid})" in told
        assert main(["state", "export", state, file]) == 0
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    shutil.copytree(here, there, ignore=shutil.ignore_patterns("state"))
    assert main(["state", "import", file, str(there / "state")]) == 0

    for folder in (here, there):
        (folder / "live.py").write_text(FOLLOW.replace("follow=True", ""))
        with (folder / "in.csv").open("a") as csv:
            csv.write(lines(700, 1000))
    balances = []
    for folder in (here, there):
        monkeypatch.chdir(folder)
        capsys.readouterr()
        assert main(["run", "live.py", "--state", "state", "--json"]) == 0
        balances.append(json.loads(capsys.readouterr().out))
    assert balances[0] == balances[1]
    assert balances[0]["readings"] == balances[0]["out"] == 1000
    for name in ("rows.jsonl", "alerts.jsonl"):
        assert by_device(here / name) == by_device(there / name)
    assert sum(map(len, by_device(here / "rows.jsonl").values())) == 1000


# Starting a source elsewhere


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a flow."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "live.py").write_text(FOLLOW.replace("follow=True", ""))
    (tmp_path / "in.csv").write_text(HEADER + lines(0, 100))
    return tmp_path


def started(*options: str) -> list[int]:
    """Run, and the numbers of the readings in its output."""
    assert main(["run", "live.py", "--epoch", "50ms", *options]) == 0
    rows = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    times = TimeParser(Flow("x", sensors=["t"]).schema)
    return [times.one(row["time"]) // 10**9 - START for row in rows]


def test_from_position_starts_a_source_elsewhere(elsewhere: Path) -> None:
    state = ["--state", "state"]
    assert sorted(started(*state)) == list(range(100))
    # Where it ended is where it goes on by itself.
    with (elsewhere / "in.csv").open("a") as csv:
        csv.write(lines(100, 110))
    assert sorted(started(*state)) == list(range(110))
    # At an offset and line, for all partitions or for one of them.
    offset = len(HEADER + lines(0, 95))
    for count, name in ((110, "csv"), (125, "csv/0")):
        again = started(*state, "--from-position", f"{name}=[{offset}, 97]")
        assert sorted(again[count:]) == list(range(95, 110))
    # From its start. It holds for that run only.
    assert sorted(started(*state, "--from-position", "csv=null")[140:]) == list(range(110))
    assert len(started(*state)) == 250
    # Without state, for a file that nobody has begun.
    assert sorted(started("--from-position", f"csv=[{offset}, 97]")) == list(range(95, 110))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("csv", "--from-position csv: write it as NAME=VALUE"),
        ("csv=[1", "--from-position csv=[1: [1 is not JSON"),
        ("mqtt=0", "--from-position mqtt: the flow has no such source"),
    ],
)
def test_a_wrong_position(
    given: str, said: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "live.py", "--from-position", given]) == 2
    assert capsys.readouterr().err == f"streamflow: {said}\n"
    assert not (elsewhere / "rows.jsonl").exists()
