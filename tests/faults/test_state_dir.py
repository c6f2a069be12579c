"""State directories that are not what they should be: one clear sentence, a way out that works."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from lab import PACE, Lab, Whole, children, until, write_readings

from streamflow.engine.pack import pack
from streamflow.engine.statedir import SHARDS_STEP, StateDir
from streamflow.errors import StateError

PARTS = [f"part-{number}.sqlite3" for number in range(4)]
ROOM = "remount,size=200m"
"""Room enough: the log of each file grows to 1,000 pages of 16 kB before SQLite empties it."""
Observe = Callable[[str, str, str], None]


@pytest.fixture(scope="module")
def killed(whole: Whole, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the flow "plant" was killed half way, with much of its state in -wal."""
    lab = Lab(tmp_path_factory.mktemp("killed"), environment=PACE)
    (lab.folder / "in.csv").symlink_to(whole.input)
    process = lab.start("--epoch=20ms")
    assert lab.wait_for(process, lambda: lab.size("rows.jsonl") >= whole.rows / 2)
    lab.kill(process)
    for part in PARTS:
        assert lab.size(f"state/recovery/{part}-wal") > 0
    return lab.folder


@pytest.fixture
def lab(killed: Path, make_lab: Callable[..., Lab]) -> Lab:
    """A copy of it."""
    copy: Lab = make_lab()
    shutil.copytree(killed, copy.folder, symlinks=True, dirs_exist_ok=True)
    return copy


@pytest.fixture
def disk(
    tmp_path: Path, need: Callable[[str, str], str], missing: Callable[[str], None]
) -> Iterator[Path]:
    """A disk of 1 MB: a new state fits, that of a running flow does not."""
    mount, umount = need("mount", "to make a small disk"), need("umount", "to take it away")
    folder = tmp_path / "disk"
    folder.mkdir()
    done = _call(mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder))
    if done:
        missing(f"the right to mount a small disk, as root has it: {done}")
    yield folder
    _call(umount, "--lazy", str(folder))


def _call(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()


def refused(lab: Lab, *options: str, state: Path | None = None) -> str:
    """Start the flow in vain; the one sentence that it says, with no harm done to any output."""
    before = lab.outputs() if lab.flow == "plant" else None
    ended = lab.run(*options, state=state)
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert ended.out == ""
    said = ended.err.strip().splitlines()[-1].removeprefix("streamflow: ")
    if before is not None:
        assert lab.outputs() == before
    return said


# Whose state it is


def test_another_flow(lab: Lab, whole: Whole, observe: Observe) -> None:
    lab.flow, lab.environment = "counted", {"COUNT": "1"}
    said = refused(lab)
    assert said == (
        f"{lab.state} holds the state of flow 'plant', not of 'counted'; give this flow a --state "
        f"folder of its own"
    )
    assert lab.run(state=lab.folder / "its own").code == 0
    lab.flow, lab.environment = "plant", {}
    whole.compare(lab, lab.run())
    observe("state of another flow", "refused; no harm done", f"“{_short(lab, said)}”")


CHANGES: dict[str, tuple[dict[str, str], str, list[str], dict[str, str]]] = {
    "a step has a new name": (
        {"NAME": "sum"},
        "its step 'running' is not in the flow any more: --forget running or, if it has a new "
        "name, --rename running=sum",
        ["--rename", "running=sum"],
        {"impute": "impute", "running": "sum", "alert": "alert"},
    ),
    "a step is new, another is gone": (
        {"NAME": "sum"},
        "its step 'running' is not in the flow any more: --forget running or, if it has a new "
        "name, --rename running=sum",
        ["--forget", "running"],
        {"impute": "impute", "alert": "alert"},
    ),
    "a step is removed": (
        {"ALERT": "none"},
        "its step 'alert' is not in the flow any more: --forget alert",
        ["--forget", "alert"],
        {"impute": "impute", "running": "running"},
    ),
    "an estimator has other parameters": (
        {"WARM_UP": "20"},
        "undo that, or --forget detect",
        ["--forget", "detect"],
        {"impute": "impute", "running": "running", "alert": "alert"},
    ),
}
"""what -> (how, part of the sentence, the way out, step -> its name now, if it keeps its memory)"""


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A folder in which the flow "steps" ran over all readings."""
    lab = Lab(tmp_path_factory.mktemp("unchanged"), "steps", {"WARM_UP": "10"})
    write_readings(lab.folder / "in.csv", 2000, random.Random(2))
    assert lab.run().code == 0
    return lab


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_flow(
    change: str, unchanged: Lab, make_lab: Callable[..., Lab], observe: Observe
) -> None:
    environment, sentence, way_out, kept = CHANGES[change]
    lab = make_lab("steps")
    readings = unchanged.folder / "in.csv"
    lines = readings.read_text().splitlines(keepends=True)
    (lab.folder / "in.csv").write_text("".join(lines[:1000]))
    lab.environment = {"WARM_UP": "10"} if "WARM_UP" in environment else {}
    assert lab.run().code == 0
    lab.environment = environment
    said = refused(lab)
    assert said.startswith(f"{lab.state} does not fit the flow: ")
    assert sentence in said
    shutil.copy(readings, lab.folder / "in.csv")
    assert lab.run(*way_out).code == 0
    expected, remembered = unchanged.remembered(), lab.remembered()
    assert remembered.keys() == expected.keys()
    for device, steps in expected.items():
        for step, name in kept.items():
            assert remembered[device][name] == steps[step]
        if way_out[0] == "--forget":
            now = environment.get("NAME", way_out[1])
            assert remembered[device].get(now) != steps[way_out[1]]
    observe(
        f"changed flow: {change}",
        "refused; the way out that is named goes on, and no other step forgets anything",
        f"“{sentence}”; {' '.join(way_out)} went on, {', '.join(kept)} kept all they knew",
    )


def test_an_epoch_that_never_ended(make_lab: Callable[..., Lab]) -> None:
    """Snapshots of it must not be taken for those of the epoch that comes in its place.

    A flow killed late in an epoch leaves them behind. The epoch is run again with other readings
    in it; a shard that gets none writes no snapshot over the old one, which is ahead.
    """
    whole, lab = make_lab("steps", "whole"), make_lab("steps")
    write_readings(whole.folder / "in.csv", 1000, random.Random(2))
    assert whole.run().code == 0
    lines = (whole.folder / "in.csv").read_text().splitlines(keepends=True)
    readings = lab.folder / "in.csv"
    readings.write_text("".join(lines[:400]))
    assert lab.run().code == 0
    before = shutil.copytree(lab.state, lab.folder / "before")
    epoch = StateDir(lab.state).store().resume_epoch()
    readings.write_text("".join(lines[:600]))
    assert lab.run().code == 0
    ahead = dict(_rows(lab.state))
    shutil.rmtree(lab.state)
    before.rename(lab.state)
    for (part, step, key), value in ahead.items():
        with closing(sqlite3.connect(lab.state / "recovery" / part)) as file, file:
            file.execute(
                "insert into snaps (step_id, state_key, snap_epoch, ser_change) values (?,?,?,?)",
                (step, key, epoch, value),
            )
    readings.write_text("".join(lines))
    known = StateDir(lab.state).durable().get("csv/0", 0)
    lab.environment = {"SPEED": "0.01x"}  # one reading now, the next one in minutes
    process = lab.start("--epoch=20ms")
    until(lambda: StateDir(lab.state).durable().get("csv/0", 0) > known + 2)
    lab.kill(process)
    lab.environment = {}
    assert lab.run().balance == json.loads(whole.output(whole.started[0]))
    assert lab.remembered() == whole.remembered()


def _rows(state: Path) -> Iterator[tuple[tuple[str, str, str], bytes]]:
    """Each snapshot of a shard in the files: (file, step, key), value."""
    for part in PARTS:
        with closing(sqlite3.connect(state / "recovery" / part)) as file:
            for step, key, value in file.execute(
                "select step_id, state_key, ser_change from snaps"
            ):
                if step == f"steps.{SHARDS_STEP}":
                    yield (part, step, key), value


# What has happened to it


@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_file(part: str, lab: Lab) -> None:
    lab.run()  # to the end, so that all is in the file
    path = lab.state / "recovery" / part
    shutil.copytree(lab.state, lab.folder / "backup")
    with path.open("r+b") as file:
        size = path.stat().st_size
        file.seek(size // 4)
        file.write(b"\xa5" * (size // 2))  # a page or two alone might be free ones
    assert refused(lab).startswith(f"{path} is damaged")
    shutil.rmtree(lab.state)
    shutil.copytree(lab.folder / "backup", lab.state)
    assert lab.run().code == 0


def test_any_damage(
    killed: Path, tmp_path: Path, rng: random.Random, torture: int, observe: Observe
) -> None:
    """Bytes overwritten anywhere, in the files or in their -wal: refused, or without any effect."""
    times = max(100, torture)
    known = _content(shutil.copytree(killed / "state", tmp_path / "state"))
    harmless = 0
    for number in range(times):
        state = shutil.copytree(killed / "state", tmp_path / f"state-{number}")
        path = state / "recovery" / (rng.choice(PARTS) + rng.choice(["", "-wal"]))
        data = bytearray(path.read_bytes())
        at, count = rng.randrange(len(data)), rng.choice([1, 64, 4096])
        data[at : at + count] = rng.randbytes(len(data[at : at + count]))
        path.write_bytes(data)
        try:
            found = _content(state)
        except StateError:
            continue
        finally:
            shutil.rmtree(state)
        assert found == known, f"{count} bytes at {at} of {path.name} changed the state silently"
        harmless += 1
    observe(
        "bytes of the recovery store overwritten",
        "refused, unless nothing hangs on them",
        f"{times - harmless} of {times} damaged copies refused, {harmless} unchanged in content",
    )


def _content(state: Path) -> list[tuple[str, str, int, bytes]]:
    """All that a restart would go on from."""
    store = StateDir(state).checked_store()
    store.settle()
    snaps = store.snaps()
    return [(snap.step, snap.key, snap.epoch, pack(snap.value)) for snap in snaps]


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_file(part: str, lab: Lab, whole: Whole, observe: Observe) -> None:
    path = lab.state / "recovery" / part
    away = path.rename(lab.folder / part)
    said = refused(lab)
    assert said.startswith(f"{path} is missing: put it back")
    away.rename(path)
    whole.compare(lab, lab.run())
    if part == PARTS[0]:
        observe("a file of the recovery store missing", "refused", f"“{_short(lab, said)}”")


@pytest.mark.parametrize("gone", [*[[part] for part in PARTS], PARTS])
def test_a_wal_deleted(gone: list[str], lab: Lab, whole: Whole, observe: Observe) -> None:
    shutil.copytree(lab.state, lab.folder / "backup")
    for part in gone:
        (lab.state / "recovery" / f"{part}-wal").unlink()
    said = refused(lab)
    assert "a file was deleted (a -wal file?) or put back from an old backup" in said
    shutil.rmtree(lab.state)
    shutil.copytree(lab.folder / "backup", lab.state)
    whole.compare(lab, lab.run())
    if gone == PARTS:
        observe(
            "-wal files deleted, one or all, after kill -9", "refused", f"“{_short(lab, said)}”"
        )


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"format": 99}', '{"format": 1}'])
def test_the_manifest(content: str | None, lab: Lab, whole: Whole) -> None:
    manifest = lab.state / "manifest.json"
    away = manifest.rename(lab.folder / "manifest.json")
    if content is not None:
        manifest.write_text(content)
    said = refused(lab)
    assert str(lab.state) in said
    assert "manifest.json" in said or "format 99" in said
    away.rename(manifest)
    whole.compare(lab, lab.run())


@pytest.mark.parametrize("content", ["{", "[]", '{"csv/0": "many"}'])
def test_the_progress(content: str, lab: Lab, whole: Whole) -> None:
    progress = lab.state / "progress.0.json"
    progress.write_text(content)
    said = refused(lab)
    assert said.startswith(f"{progress} is damaged")
    progress.unlink()
    whole.compare(lab, lab.run())


# Where it is


def test_a_folder_that_cannot_be(lab: Lab) -> None:
    state = lab.folder / "in.csv" / "state"
    assert refused(lab, state=state) == f"cannot keep state in {state}: Not a directory"


def test_read_only(lab: Lab, disk: Path, whole: Whole, observe: Observe) -> None:
    assert _call("mount", "-o", ROOM, str(disk)) == ""
    state = disk / "state"
    shutil.copytree(lab.state, state)
    assert _call("mount", "-o", "remount,ro", str(disk)) == ""
    said = refused(lab, state=state)
    assert said == f"cannot keep state in {state}: it is read-only"
    assert _call("mount", "-o", "remount,rw", str(disk)) == ""
    lab.state = state
    whole.compare(lab, lab.run())
    observe("state directory read-only", "refused", f"“{_short(lab, said)}”")


@pytest.mark.parametrize("layout", ["--workers=1", "--workers=2", "--processes=2"])
def test_full_disk(
    layout: str, disk: Path, make_lab: Callable[..., Lab], whole: Whole, observe: Observe
) -> None:
    lab = make_lab(**PACE)
    (lab.folder / "in.csv").symlink_to(whole.input)
    lab.state = disk / "state"
    ended = lab.run(layout, "--epoch=20ms")
    assert ended.code == 1
    full = "the disk of the state is full" if "processes" in layout else "database or disk is full"
    assert full in ended.err
    assert lab.size("rows.jsonl") > 0, "it was full before the flow had begun"
    assert "Exception in thread" not in ended.err
    assert ended.out == ""
    again = lab.run(layout, "--epoch=20ms")
    assert again.code == 1, "there is still no room"
    assert _call("mount", "-o", ROOM, str(disk)) == ""
    whole.compare(lab, lab.run(layout))
    if layout == "--workers=1":
        said = ended.err.strip().splitlines()[-1].removeprefix("streamflow: ")
        observe(
            "disk of the state full (1 MB)",
            "stops and says so; goes on once there is room, as if nothing had happened",
            f"“{_short(lab, said)}”; equal in the end",
        )


def test_no_room_for_a_new_state(disk: Path, make_lab: Callable[..., Lab], whole: Whole) -> None:
    lab = make_lab()
    (lab.folder / "in.csv").symlink_to(whole.input)
    lab.state = disk / "state"
    assert _call("mount", "-o", "remount,size=200k", str(disk)) == ""
    full = ("database or disk is full", "disk I/O error")  # as SQLite has it, wherever it is then
    assert refused(lab).removeprefix(f"cannot keep state in {lab.state}: ") in full
    assert _call("mount", "-o", ROOM, str(disk)) == ""
    whole.compare(lab, lab.run())


# Who else is there


def test_two_copies(make_lab: Callable[..., Lab], whole: Whole, observe: Observe) -> None:
    lab = make_lab(SPEED="500x")
    (lab.folder / "in.csv").symlink_to(whole.input)
    first = lab.start("--epoch=20ms")
    assert lab.wait_for(first, lambda: lab.size("rows.jsonl") > 0), lab.log(first)
    second = lab.run()
    assert first.poll() is None, "the first ended before the second was refused"
    assert second.code == 1
    assert second.err.endswith(
        f"a flow is running on {lab.state} already (process {first.pid}); stop it first, or give "
        f"this one a --state folder of its own\n"
    )
    whole.compare(lab, lab.end(first))
    observe(
        "two copies of one flow",
        "the second is refused, the first undisturbed",
        "refused; outputs and state of the first equal those of a run that nobody disturbed",
    )


@pytest.mark.parametrize("layout", ["--workers=2", "--processes=2"])
def test_a_pause(
    layout: str, make_lab: Callable[..., Lab], whole: Whole, torture: int, observe: Observe
) -> None:
    lab = make_lab(**PACE)
    (lab.folder / "in.csv").symlink_to(whole.input)
    process = lab.start(layout, "--epoch=20ms")
    assert lab.wait_for(process, lambda: lab.size("rows.jsonl") > 0), lab.log(process)
    victim = max([process.pid, *children(process)])
    os.kill(victim, signal.SIGSTOP)
    seconds = 30 if torture else 3
    assert lab.runs_for(process, seconds)
    os.kill(victim, signal.SIGCONT)
    ended = lab.end(process)
    whole.compare(lab, ended)
    assert "the clock was set back" not in ended.err
    observe(f"SIGSTOP for {seconds} s, {layout[2:]}", "goes on as if nothing had happened", "equal")


def _short(lab: Lab, said: str) -> str:
    """Without the folders of this test."""
    return said.replace(str(lab.state), "STATE").replace(str(lab.folder), "FOLDER")
