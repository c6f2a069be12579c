"""Store and forward under kills, a far side that is away or slow, and a full disk."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import Lab, until

from streamflow.engine.queue import Queue
from streamflow.errors import NotConnected

COUNT = 3000
"""Readings, a second apart; at 2000x they take one and a half."""
ROWS = list(range(COUNT))


def prepared(lab: Lab, count: int = COUNT) -> Lab:
    lines = [f"d,{1_700_000_000 + n},{n}" for n in range(count)]
    (lab.folder / "in.csv").write_text("\n".join(["device,time,n", *lines]) + "\n")
    return lab


def delivered(lab: Lab) -> list[int]:
    """What has arrived, in order; a kill may have torn the last line."""
    whole = [line for line in lab.lines("out.jsonl") if line.endswith("}")]
    return [int(json.loads(line)["n"]) for line in whole]


def waiting(lab: Lab) -> int:
    """What is in the queue of a flow that has ended."""
    queue: Queue | None = None

    def opened() -> bool:
        nonlocal queue
        try:
            queue = Queue(lab.folder / "queue")
        except NotConnected:
            return False
        return True

    until(opened)
    assert queue is not None
    count = queue.count
    queue.close()
    return count


@pytest.mark.parametrize("kind", ["once", "repeat"])
def test_kill(
    kind: str,
    make_lab: Callable[..., Lab],
    rng: random.Random,
    torture: int,
    observe: Callable[[str, str, str], None],
) -> None:
    lab = prepared(make_lab("forward", KIND=kind, QUEUE="queue", SPEED="2000x", SLOW="0.001"))
    down = lab.folder / "down"
    kills = 0
    most = max(3, torture)
    while True:
        # While it buffers, while it drains, and while the far side comes and goes.
        down.unlink(missing_ok=True) if rng.random() < 0.5 else down.touch()
        process = lab.start(f"--workers={rng.choice([1, 2])}", "--epoch=20ms")
        if kills == most:
            break
        lab.wait_for(process, lambda: lab.size("queue") > 0)
        if lab.runs_for(process, rng.uniform(0, 0.6)):
            down.unlink(missing_ok=True) if down.exists() else down.touch()
        if lab.runs_for(process, rng.uniform(0, 0.6)):
            lab.kill(process)
            kills += 1
        else:
            assert lab.end(process).code == 0, lab.log(process)
            most = kills
    down.unlink(missing_ok=True)
    ended = lab.end(process)
    assert ended.code == 0, ended.err
    assert ended.balance["out"] == COUNT
    got = delivered(lab)
    again = len(got) - COUNT
    assert sorted(set(got)) == ROWS, "something is missing"
    if kind == "once":
        assert got == ROWS
    else:
        firsts = list(dict.fromkeys(got))
        assert firsts == ROWS, "the order is not kept"
    assert waiting(lab) == 0
    expected = {
        "once": "each row once and in order",
        "repeat": "each row at least once, in order",
    }
    observe(
        f"kill -9, buffered sink that {'rolls back' if kind == 'once' else 'cannot roll back'}, "
        f"the far side coming and going",
        expected[kind],
        f"{COUNT} of {COUNT} rows in order, {again} again, over {kills} kills",
    )


def test_the_flow_goes_on_while_the_far_side_is_away(make_lab: Callable[..., Lab]) -> None:
    lab = prepared(make_lab("forward", KIND="repeat", QUEUE="queue"))
    (lab.folder / "down").touch()
    ended = lab.run()
    assert ended.code == 0, ended.err
    assert ended.balance["out"] == COUNT
    assert f"{COUNT} for sink 'growing_rows' wait in queue for the next start" in ended.err
    assert delivered(lab) == []
    (lab.folder / "down").unlink()
    assert lab.run().code == 0
    assert delivered(lab) == ROWS


@pytest.mark.parametrize("layout", ["--workers=1", "--workers=2"])
def test_without_a_queue_the_flow_waits_for_its_sink(
    layout: str, make_lab: Callable[..., Lab], observe: Callable[[str, str, str], None]
) -> None:
    count = 100_000
    lab = prepared(make_lab("forward", KIND="repeat", SLOW="0.05"), count)
    down = lab.folder / "down"
    process = lab.start(layout, "--epoch=10ms")
    lab.wait_for(process, lambda: lab.size("out.jsonl") > 0)
    down.touch()
    lab.wait_for(process, lambda: "the flow waits for it" in lab.log(process))
    assert lab.runs_for(process, 0.5)
    read = _position(process.pid, "in.csv")
    assert lab.runs_for(process, 1), lab.log(process)
    assert _position(process.pid, "in.csv") == read < lab.size("in.csv"), "it went on reading"
    assert lab.log(process).count("cannot go on") == 1
    down.unlink()
    ended = lab.end(process)
    assert ended.code == 0, ended.err
    assert sorted(set(delivered(lab))) == list(range(count))
    if layout == "--workers=1":
        observe(
            "sink away, no queue",
            "the flow waits and reads no more; then nothing is missing",
            f"{read / lab.size('in.csv'):.0%} of the input read, then none for 1 s; "
            f"{count:,} of {count:,} rows in the end",
        )


def _position(pid: int, name: str) -> int:
    """How far a process has read a file."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        if link.readlink().name == name:
            told = Path(f"/proc/{pid}/fdinfo/{link.name}").read_text()
            return int(told.split()[1])
    raise AssertionError(f"{name} is not open")


def test_a_stop_while_the_sink_is_away(make_lab: Callable[..., Lab]) -> None:
    lab = prepared(make_lab("forward", KIND="repeat"))
    down = lab.folder / "down"
    down.touch()
    process = lab.start("--epoch=50ms")
    lab.wait_for(process, lambda: "the flow waits for it" in lab.log(process))
    began = time.monotonic()
    process.terminate()
    ended = lab.end(process)
    assert time.monotonic() - began < 5
    assert ended.code == 1
    assert "sink 'growing_rows' could not take all before the flow was to stop" in ended.err
    down.unlink()
    assert lab.run().code == 0
    assert list(dict.fromkeys(delivered(lab))) == ROWS


def test_a_stop_while_the_queue_fills(make_lab: Callable[..., Lab]) -> None:
    lab = prepared(make_lab("forward", KIND="once", QUEUE="queue", SPEED="500x"))
    down = lab.folder / "down"
    down.touch()
    process = lab.start("--epoch=50ms")
    lab.wait_for(process, lambda: lab.size("queue-wal") > 50_000)
    began = time.monotonic()
    process.terminate()
    ended = lab.end(process)
    assert time.monotonic() - began < 5
    assert ended.code == 0, ended.err
    down.unlink()
    lab.environment = {"KIND": "once", "QUEUE": "queue"}
    assert lab.run().code == 0
    assert delivered(lab) == ROWS


def test_a_full_queue_holds_the_flow_back(make_lab: Callable[..., Lab]) -> None:
    lab = prepared(
        make_lab("forward", KIND="repeat", QUEUE="queue", MAX_BYTES="20000", SPEED="2000x")
    )
    down = lab.folder / "down"
    down.touch()
    process = lab.start("--epoch=50ms")
    lab.wait_for(process, lambda: "its queue queue is full" in lab.log(process))
    assert lab.runs_for(process, 0.5)
    down.unlink()
    ended = lab.end(process)
    assert ended.code == 0, ended.err
    assert delivered(lab) == ROWS


@pytest.fixture
def disk(
    tmp_path: Path, need: Callable[[str, str], str], missing: Callable[[str], None]
) -> Iterator[Callable[[str], Path]]:
    """A disk of the size asked for; asked again, another size of the same disk."""
    import subprocess

    mount, umount = need("mount", "to make a small disk"), need("umount", "to take it away")
    folder = tmp_path / "disk"
    folder.mkdir()

    def sized(size: str) -> Path:
        how = "remount," if folder.is_mount() else ""
        command = [mount, "-t", "tmpfs", "-o", f"{how}size={size}", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            missing(f"the right to mount a small disk, as root has it: {done.stderr}")
        return folder

    yield sized
    subprocess.run([umount, "--lazy", str(folder)], check=False, capture_output=True)


def test_a_full_disk(
    disk: Callable[[str], Path],
    make_lab: Callable[..., Lab],
    observe: Callable[[str, str, str], None],
) -> None:
    queue = str(disk("150k") / "queue")
    lab = prepared(make_lab("forward", KIND="once", QUEUE=queue, SPEED="2000x"))
    down = lab.folder / "down"
    down.touch()
    ended = lab.run("--epoch=20ms")
    assert ended.code == 1
    said = ended.err.strip().splitlines()[-1].removeprefix("streamflow: ")
    assert said.startswith(f"the queue {queue} failed: database or disk is full"), said
    assert lab.run("--epoch=20ms").code == 1, "there is still no room"
    disk("40m")
    down.unlink()
    ended = lab.run("--epoch=20ms")
    assert ended.code == 0, ended.err
    assert ended.balance["out"] == COUNT
    assert delivered(lab) == ROWS
    observe(
        "disk of a buffered sink's queue full (150 kB)",
        "stops and says so; goes on once there is room",
        f"“{said.replace(queue, 'QUEUE')}”; each row once in the end",
    )


def test_a_damaged_queue(
    make_lab: Callable[..., Lab], observe: Callable[[str, str, str], None]
) -> None:
    lab = prepared(make_lab("forward", KIND="repeat", QUEUE="queue", SPEED="2000x"))
    (lab.folder / "down").touch()
    assert lab.run("--epoch=20ms").code == 0
    assert waiting(lab) == COUNT
    content = bytearray((lab.folder / "queue").read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xa5" * 4096
    (lab.folder / "queue").write_bytes(content)
    (lab.folder / "down").unlink()
    ended = lab.run()
    assert ended.code == 0, ended.err
    assert "the queue queue is damaged (" in ended.err
    assert (lab.folder / "queue.damaged-1").exists()
    got: list[Any] = delivered(lab)
    assert got == sorted(got)
    assert COUNT / 2 < len(got) < COUNT
    observe(
        "a page of a queue overwritten",
        "put aside; what can be read goes on; said",
        f"{len(got)} of {COUNT} rows delivered in order",
    )
