"""From publishing a reading to hearing its alert, beside the broker's own round trip.

A client sends 1,000 readings a second, each with the time when it was sent. *Ours* is a flow, run
as users run it, with state on disk and epochs of 2 s: the client hears its alerts. In the
*baseline* the client hears its readings themselves, and no flow runs.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from calendar import timegm
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from benchmarks import process
from benchmarks.connectors.kafka import SERVERS
from benchmarks.connectors.wire import Kafka, Mqtt, Wire
from benchmarks.frame import BenchmarkError, Case, interleave

SECONDS = {"small": 4, "full": 20}
REPEATS = {"small": 1, "full": 5}
RATE = 1000
WARM = 2
MACHINES = 100
FLOW = Path(__file__).parent / "latency_flow.py"
WIRES: dict[str, Callable[[str, str], Wire]] = {"mqtt": Mqtt, "kafka": Kafka}
PATIENCE = 60


def run(size: str, repeats: int) -> tuple[list[Case], str]:
    """The cases, and what ran in a sentence."""
    sys.path.append(str(SERVERS))
    seconds, repeats = SECONDS[size], min(repeats, REPEATS[size])
    cases = []
    for system in WIRES:
        with TemporaryDirectory() as folder, _broker(system, Path(folder)) as at:
            target = "benchmarks.connectors.latency"
            ours, baseline = interleave(
                partial(process.call, f"{target}:ours", system, at, seconds),
                partial(process.call, f"{target}:baseline", system, at, seconds),
                repeats,
            )
        cases += [
            Case(
                f"{system}: latency {name}",
                "ms",
                tuple(told[name] for told in ours),
                tuple(told[name] for told in baseline),
                lower_is_better=True,
            )
            for name in ("p50", "p99")
        ]
    said = f"latency: {RATE:,} readings/s for {seconds} s, {repeats} runs of each side"
    return cases, said


@contextmanager
def _broker(system: str, folder: Path) -> Iterator[str]:
    """A broker of its own; where it is."""
    servers: Any = importlib.import_module(
        "mosquitto_broker" if system == "mqtt" else "kafka_broker"
    )
    try:
        broker = (
            servers.Mosquitto(folder)
            if system == "mqtt"
            else servers.Broker(folder, servers.free_port())
        )
        broker.start()
    except servers.Missing as error:
        raise BenchmarkError(f"there is no {system} to measure with: {error}") from None
    try:
        if system == "mqtt":
            yield str(broker.port)
        else:
            broker.make_topics(["telemetry", "alerts"])
            yield broker.address
    finally:
        broker.stop()


def ours(system: str, at: str, seconds: int) -> dict[str, float]:
    """ms from a reading to its alert."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "streamflow", "run", str(FLOW), "--state", f"{folder}/s"]
        environment = {**os.environ, "SYSTEM": f"{system}:{at}"}
        wire = WIRES[system](at, "alerts")
        with (Path(folder) / "log").open("w") as log:
            flow = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            return _waits(wire, seconds, tenth=True)
        finally:
            flow.terminate()
            flow.wait(PATIENCE)
            wire.close()


def baseline(system: str, at: str, seconds: int) -> dict[str, float]:
    """ms from a reading to itself."""
    wire = WIRES[system](at, "telemetry")
    try:
        return _waits(wire, seconds, tenth=False)
    finally:
        wire.close()


def _waits(wire: Wire, seconds: int, *, tenth: bool) -> dict[str, float]:
    """Send until something is heard, and then so long; what was heard of that must be complete.

    What is sent in the first `WARM` seconds after something was heard does not count: what had
    come while the flow was starting waits before it.
    """
    begin, sent, number = 0, set[int](), 0
    due = time.monotonic()
    end = due + PATIENCE
    heard: int | None = None
    while time.monotonic() < end:
        if heard is None and wire.heard:
            heard = number
        if not begin and number % RATE == 0 and heard is not None and number > heard + WARM * RATE:
            begin, end = number, due + seconds
        now = time.time_ns()
        opens = (number // MACHINES) % 10 == 0
        if begin and (opens or not tenth):
            sent.add(now)
        reading = {"at": now, "value": 95 if opens else number % 7}
        wire.send(f"m{number % MACHINES}", orjson.dumps(reading))
        number += 1
        due += 1 / RATE
        time.sleep(max(0, due - time.monotonic()))
    end = time.monotonic() + PATIENCE
    waits: dict[int, float] = {}
    done = 0
    while len(waits) < len(sent):
        if time.monotonic() > end:
            raise BenchmarkError(f"{len(sent) - len(waits)} of {len(sent)} were never heard")
        time.sleep(0.05)
        new = wire.heard[done:]
        done += len(new)
        for when, payload in new:
            at = _sent_at(orjson.loads(payload))
            if at in sent:
                waits.setdefault(at, (when - at) / 1e6)
    hundredths = quantiles(waits.values(), n=100)
    return {"p50": hundredths[49], "p99": hundredths[98]}


def _sent_at(row: dict[str, Any]) -> int:
    """When the reading was sent, ns; an alert that is closed has none."""
    if "at" in row:
        return int(row["at"])
    if row["status"] != "opened":
        return 0
    whole, _, fraction = row["time"].removesuffix("Z").partition(".")
    seconds = timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    return seconds * 10**9 + int(fraction.ljust(9, "0") or 0)
