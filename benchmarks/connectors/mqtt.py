"""MQTT: JSON that a broker holds for a session into columns; the baseline is paho by itself.

Both sides resume a session of QoS 1 with all messages in it. The baseline acknowledges each message
at once, in its callback, and is done with the last one; ours acknowledges when the epoch that
contains it is durable on disk, and is done when that is so of the last. The baseline has one
connection in every case: two threads of paho in one process are slower than one.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from time import sleep
from typing import Any

import numpy as np
import orjson

from benchmarks import process
from benchmarks.connectors.kafka import DEVICES, SENSORS, SERVERS
from benchmarks.connectors.meter import Meter
from benchmarks.frame import BenchmarkError, Case, interleave
from streamflow import Sink, Writer

SIZES = {"small": 15_000, "full": 100_000}
REPEATS = {"small": 2, "full": 7}
CONNECTIONS = {"small": (1,), "full": (1, 4)}
FLOOR = 0.9
"""By CPU, and in the full size by wall: there are tenths of a second in the small one."""
WINDOW = 65_535
"""The most that may be unacknowledged."""
EPOCH = 500_000_000
"""ns; with 2 s the window would allow no more than 30,000 messages/s of a connection."""
TOPICS = tuple(f"plant/{site}/{{machine}}" for site in "abcd")
SESSION = "plant"


def run(size: str, repeats: int) -> tuple[list[Case], str]:
    """The cases, and what ran in a sentence."""
    count, repeats = SIZES[size], min(repeats, REPEATS[size])
    sys.path.append(str(SERVERS))
    servers: Any = importlib.import_module("mosquitto_broker")
    cases = []
    with TemporaryDirectory() as folder:
        broker = servers.Mosquitto(Path(folder))
        try:
            broker.start()
        except servers.Missing as error:
            raise BenchmarkError(f"there is no Mosquitto to measure with: {error}") from None
        try:
            for connections in CONNECTIONS[size]:
                ours, baseline = interleave(
                    partial(_measure, broker.port, count, "ours", connections),
                    partial(_measure, broker.port, count, "baseline"),
                    repeats,
                )
                cases += _cases(ours, baseline, count, connections, size)
        finally:
            broker.stop()
    said = (
        f"mqtt: {count:,} JSON messages of {DEVICES:,} devices with {len(SENSORS)} sensors that "
        f"wait in sessions of QoS 1, one worker, {repeats} runs of each side"
    )
    return cases, said


def _measure(port: int, count: int, side: str, connections: int = 1) -> Any:
    """One run of one side; the sessions are filled first."""
    process.call("benchmarks.connectors.mqtt:fill", port, count, connections)
    more = (connections,) if side == "ours" else ()
    told = process.call(f"benchmarks.connectors.mqtt:{side}", port, count, *more)
    if told["sums"] != sums(count):
        raise BenchmarkError(f"the columns of {side} are {told['sums']}, not {sums(count)}")
    return told


def _cases(
    ours: Sequence[Any], baseline: Sequence[Any], count: int, connections: int, size: str
) -> list[Case]:
    def rates(runs: Sequence[Any], figure: str) -> tuple[float, ...]:
        return tuple(count / told["figures"][figure] for told in runs)

    wall = FLOOR if size == "full" else None
    name = f"mqtt, connections={connections}"
    unit = "readings/s"
    return [
        Case(f"{name}: by CPU", unit, rates(ours, "cpu"), rates(baseline, "cpu"), floor=FLOOR),
        Case(f"{name}: by wall", unit, rates(ours, "wall"), rates(baseline, "wall"), floor=wall),
    ]


def message(n: int) -> dict[str, float]:
    """In eighths, so that sums are exact in any order."""
    values = zip(SENSORS, (20 + n % 80 / 8, 1 + n % 24 / 8, n % 88 / 8), strict=True)
    return {"timestamp": 1_700_000_000 + n // DEVICES, **dict(values)}


def sums(count: int) -> dict[str, float]:
    """What all messages sum up to."""
    rows = [message(n) for n in range(count)]
    out = {name: sum(row[name] for row in rows) for name in SENSORS}
    return {**out, "time": float(sum(row["timestamp"] for row in rows)), "devices": DEVICES}


def client(session: str, clean: bool = False, **options: Any) -> Any:
    """A plain paho client of MQTT 5 that is to connect; the second is what it connects with."""
    from paho.mqtt.client import Client, MQTTv5
    from paho.mqtt.enums import CallbackAPIVersion
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval, properties.ReceiveMaximum = 3600, WINDOW
    made = Client(CallbackAPIVersion.VERSION2, session, protocol=MQTTv5, **options)
    return made, {"clean_start": clean, "properties": properties}


def sessions(connections: int) -> list[str]:
    """The client ids of both sides, as our source has them."""
    return [SESSION] if connections == 1 else [f"{SESSION}-{n}" for n in range(connections)]


def fill(port: int, count: int, connections: int) -> None:
    """Make the sessions anew, and publish the messages that wait in them."""
    for session, filters in zip(sessions(connections), _filters(connections), strict=True):
        made, how = client(session, clean=True)
        made.on_connect = partial(_subscribe, [(one, 1) for one in filters])
        made.on_subscribe = lambda c, *_: c.disconnect()
        made.connect("127.0.0.1", port, **how)
        made.loop_forever()
    made, _ = client("")
    made.max_inflight_messages_set(1000)
    made.connect("127.0.0.1", port)
    made.loop_start()
    infos: list[Any] = []
    for n in range(count):
        topic = f"plant/{'abcd'[n % 4]}/m{n % DEVICES}"
        infos.append(made.publish(topic, orjson.dumps(message(n)), 1))
        if len(infos) > 10_000:  # the client takes 65,535 that wait
            infos[-10_000].wait_for_publish(60)
    for info in infos:
        info.wait_for_publish(60)
    made.disconnect()
    made.loop_stop()


def _subscribe(topics: list[tuple[str, int]], made: Any, *_: object) -> None:
    made.subscribe(topics)


def _filters(connections: int) -> list[list[str]]:
    """What each connection subscribes to."""
    filters = [topic.replace("{machine}", "+") for topic in TOPICS]
    return [filters[n::connections] for n in range(connections)]


def ours(port: int, count: int, connections: int) -> Any:
    """The flow that a user would write, with a sink that counts."""
    from streamflow_connectors import mqtt

    from streamflow import Batch, Flow, Position, Reader
    from streamflow.engine.again import Origin, Seen
    from streamflow.engine.job import Job
    from streamflow.engine.supervisor import open_state, supervise

    class Timed(mqtt.Topic):
        def open(self, partition: str, position: Position) -> Reader:
            if not readers:
                meter.begin()
            readers.append(super().open(partition, position))
            return readers[-1]

    class Count(Sink, Writer):
        def open(self, resume: Any) -> Writer:
            return self

        def write(self, items: Any) -> None:
            assert isinstance(items, Batch)
            columns = {name: items[name] for name in SENSORS}
            meter.take({**columns, "time": items.time / 1e9}, len(items.devices))

    def stop() -> None:
        while not meter.figures or any(r.counts()["unacknowledged"] for r in readers):
            sleep(0.002)
        meter.end()
        job.stopping = True

    readers: list[Reader] = []
    flow = (
        Flow("telemetry", device="machine", time="timestamp", sensors=SENSORS, shards=1)
        | Timed(TOPICS, port=port, client=SESSION, receive_maximum=WINDOW, connections=connections)
        | Count()
    )
    plan = flow.checked()
    with TemporaryDirectory() as folder:
        state = open_state(plan, folder)
        job = Job(plan, state=state, epoch=EPOCH)
        meter = Meter(count)
        # A kernel is loaded when it is first used, which is part of importing it.
        Seen({"mqtt": 1}, [("mqtt", "0")]).new(Origin("mqtt", "0", np.array([1]), np.array([0])))
        Thread(target=stop, daemon=True).start()
        supervise(job)
        state.release()
    return meter.told()


def baseline(port: int, count: int) -> Any:
    """paho with manual acknowledgement; columns are made of every 4,096 messages."""
    meter = Meter(count)
    codes: dict[str, int] = {}
    rows: list[Any] = []
    which: list[int] = []

    def on_message(c: Any, _: object, message: Any) -> None:
        name = message.topic.rpartition("/")[2]
        which.append(codes.setdefault(name, len(codes)))
        rows.append(orjson.loads(message.payload))
        c.ack(message.mid, message.qos)
        if len(rows) == 4096 or meter.count + len(rows) == meter.wanted:
            out = {name: np.array([row[name] for row in rows], np.float64) for name in SENSORS}
            out["time"] = np.array([row["timestamp"] for row in rows], np.float64)
            np.array(which, np.int32)
            rows.clear()
            which.clear()
            if meter.take(out, len(codes)):
                c.disconnect()

    made, how = client(SESSION, manual_ack=True)
    made.on_message = on_message
    made.connect("127.0.0.1", port, **how)
    made.loop_forever()
    return meter.told()
