"""Kafka: JSON in a topic into columns; the baseline is Bytewax's KafkaSource with orjson.

The server is a real Kafka on this machine, which both sides read from its cache of pages.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import orjson

from benchmarks import process
from benchmarks.connectors.meter import Meter
from benchmarks.frame import BenchmarkError, Case, interleave
from streamflow import Batch, Flow, Sink, Writer

SIZES = {"small": 200_000, "full": 1_000_000}
REPEATS = {"small": 3, "full": 7}
FLOOR = {"small": 2.0, "full": 3.0}
"""By CPU and by wall, from the first messages at the sink to the last: what a side imports and how
it finds its partitions is not counted. The small size is a fifth of a second of work."""
SENSORS = ("temperature", "pressure", "speed")
PARTITIONS = 2
DEVICES = 1000
SERVERS = Path(__file__).parents[2] / "examples" / "servers"


def run(size: str, repeats: int) -> tuple[list[Case], str]:
    """The cases, and what ran in a sentence."""
    count, repeats = SIZES[size], min(repeats, REPEATS[size])
    sys.path.append(str(SERVERS))
    servers: Any = importlib.import_module("kafka_broker")
    with TemporaryDirectory() as folder:
        try:
            broker = servers.Broker(Path(folder), servers.free_port()).start()
        except servers.Missing as error:
            raise BenchmarkError(f"there is no Kafka to measure with: {error}") from None
        try:
            fill(broker.address, count)
            sides = [
                partial(process.call, f"benchmarks.connectors.kafka:{side}", broker.address, count)
                for side in ("ours", "baseline")
            ]
            ours, baseline = interleave(sides[0], sides[1], repeats)
        finally:
            broker.stop()
    for told in [*ours, *baseline]:
        if told["sums"] != ours[0]["sums"]:
            raise BenchmarkError(f"the columns differ: {told['sums']}, {ours[0]['sums']}")
    said = (
        f"kafka: {count:,} JSON messages of {DEVICES:,} devices with {len(SENSORS)} sensors in "
        f"{PARTITIONS} partitions, one worker, {repeats} runs of each side"
    )
    return _cases(ours, baseline, count, FLOOR[size]), said


def _cases(ours: Sequence[Any], baseline: Sequence[Any], count: int, floor: float) -> list[Case]:
    def rates(runs: Sequence[Any], figure: str) -> tuple[float, ...]:
        return tuple((count - told["started"]) / told["figures"][figure] for told in runs)

    def memory(runs: Sequence[Any]) -> tuple[float, ...]:
        return tuple(told["figures"]["memory"] for told in runs)

    unit = "readings/s"
    return [
        Case("kafka: by CPU", unit, rates(ours, "cpu"), rates(baseline, "cpu"), floor=floor),
        Case("kafka: by wall", unit, rates(ours, "wall"), rates(baseline, "wall"), floor=floor),
        Case("kafka: peak memory", "MB", memory(ours), memory(baseline), lower_is_better=True),
    ]


def fill(address: str, count: int) -> None:
    """Make the topic and its messages."""
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": address})
    for made in admin.create_topics([NewTopic("telemetry", PARTITIONS, 1)]).values():
        made.result(30)
    producer = Producer({"bootstrap.servers": address, "linger.ms": 50, "compression.type": "lz4"})
    for n in range(count):
        # In eighths, so that sums are exact in any order.
        temperature, pressure, speed = 20 + n % 80 / 8, 1 + n % 24 / 8, n % 88 / 8
        machine = f"m{n % DEVICES}"
        message: dict[str, Any] = {"machine": machine, "timestamp": 1_700_000_000 + n // DEVICES}
        message |= {"temperature": temperature, "pressure": pressure, "speed": speed}
        while True:
            try:
                producer.produce("telemetry", orjson.dumps(message), machine)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(60)


def ours(address: str, count: int) -> Any:
    """The flow that a user would write, with a sink that counts."""
    from streamflow_connectors import kafka

    from streamflow.engine.job import Job
    from streamflow.engine.supervisor import supervise

    class Count(Sink, Writer):
        def open(self, resume: Any) -> Writer:
            return self

        def write(self, items: Any) -> None:
            assert isinstance(items, Batch)
            columns = {name: items[name] for name in SENSORS}
            first = not meter.count
            job.stopping |= meter.take({**columns, "time": items.time / 1e9}, len(items.devices))
            if first:
                meter.begin()

    flow = (
        Flow("telemetry", device="machine", time="timestamp", sensors=SENSORS, shards=1)
        | kafka.topic("telemetry", servers=address)
        | Count()
    )
    meter = Meter(count)
    job = Job(flow.checked())
    supervise(job)
    return meter.told()


def baseline(address: str, count: int) -> Any:
    """Bytewax's own source; messages are parsed and put into columns batch by batch."""
    import bytewax.operators as op
    from bytewax.connectors.kafka import KafkaSource
    from bytewax.dataflow import Dataflow
    from bytewax.outputs import DynamicSink, StatelessSinkPartition
    from bytewax.testing import run_main

    codes: dict[str, int] = {}

    def columns(messages: list[Any]) -> list[dict[str, Any]]:
        rows = [orjson.loads(message.value) for message in messages]
        out = {name: np.array([row[name] for row in rows], np.float64) for name in SENSORS}
        out["time"] = np.array([row["timestamp"] for row in rows], np.float64)
        for row in rows:
            codes.setdefault(row["machine"], len(codes))
        out["device"] = np.array([codes[row["machine"]] for row in rows], np.int32)
        return [out]

    class Writing(StatelessSinkPartition[dict[str, Any]]):
        def write_batch(self, items: list[dict[str, Any]]) -> None:
            for item in items:
                del item["device"]
                first = not meter.count
                meter.take(item, len(codes))
                if first:
                    meter.begin()

    class Count(DynamicSink[dict[str, Any]]):
        def build(self, step_id: str, worker_index: int, worker_count: int) -> Writing:
            return Writing()

    flow = Dataflow("telemetry")
    source = KafkaSource([address], ["telemetry"], tail=False)
    op.output(
        "count", op.flat_map_batch("columns", op.input("kafka", flow, source), columns), Count()
    )
    meter = Meter(count)
    run_main(flow)
    return meter.told()
