"""One run of a side: readings into a durable queue, each batch synced before the next, and out."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from pathlib import Path

import orjson

from streamflow import Batch
from streamflow.engine.frozen import freeze, thaw
from streamflow.engine.queue import Queue

SENSORS = ["temperature", "pressure", "score"]


def readings(size: int) -> Batch:
    """A batch of 50 devices with three columns: about 200 bytes of JSON a reading."""
    rows = [
        {
            "device": f"machine-{i % 50}",
            "time": 1_767_225_600_000_000_000 + i * 10**9,
            "temperature": 20.0 + i * 0.1,
            "pressure": 1.0 + i * 0.001,
            "score": 0.5,
            "site": "north",
        }
        for i in range(size)
    ]
    return Batch.of(rows, SENSORS, ["site"])


def ours(size: int, batches: int) -> list[float]:
    """Readings per second by wall and by CPU, in and out, with `streamflow.buffered`'s queue."""
    batch = readings(size)
    with tempfile.TemporaryDirectory() as folder:
        queue = Queue(Path(folder) / "queue")
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(batches):
            queue.put(freeze(batch), size)
            queue.commit()
        rate = size * batches / (time.perf_counter() - wall)
        used = size * batches / (time.process_time() - cpu)
        wall, count = time.perf_counter(), 0
        while items := queue.oldest(64, 1 << 20):
            count += sum(len(thaw(item.data)) for item in items)
            queue.done(items, None)
        out = count / (time.perf_counter() - wall)
        queue.close()
    assert count == size * batches
    return [rate, used, out]


def baseline(size: int, batches: int) -> list[float]:
    """The same with a row of JSON for each reading, in the same SQLite modes."""
    batch = readings(size)
    with tempfile.TemporaryDirectory() as folder:
        file = sqlite3.connect(Path(folder) / "queue", isolation_level=None)
        file.execute("pragma journal_mode = wal")
        file.execute("pragma synchronous = full")
        file.execute("create table items (number integer primary key, item blob)")
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(batches):
            file.execute("begin")
            rows = ((orjson.dumps(row),) for row in batch.rows())
            file.executemany("insert into items (item) values (?)", rows)
            file.execute("commit")
        rate = size * batches / (time.perf_counter() - wall)
        used = size * batches / (time.process_time() - cpu)
        wall, count = time.perf_counter(), 0
        while rows_ := file.execute("select * from items order by number limit 8192").fetchall():
            count += sum(bool(orjson.loads(item)) for _, item in rows_)
            file.execute("delete from items where number <= ?", (rows_[-1][0],))
        out = count / (time.perf_counter() - wall)
        file.close()
    assert count == size * batches
    return [rate, used, out]
