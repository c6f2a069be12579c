"""The flow "plant_kafka" and what it should make of its input."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from kafka_lab import Kafka, Sent, wait
from lab import FLOWS, Ended, Lab

from streamflow.flow.load import load_flow

DEVICES = 40


@dataclass
class Input:
    """Messages as machines might send them: a few without a site, a few that nobody can read."""

    messages: list[Sent] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    dead: int = 0

    @staticmethod
    def of(count: int, rng: random.Random, first: int = 0) -> Input:
        """So many messages."""
        out = Input()
        for second in range(first, first + count):
            machine = f"m{rng.randrange(DEVICES)}"
            chance = rng.random()
            if chance < 0.004:
                out.messages.append((machine.encode(), None if chance < 0.001 else b'{"t": 1'))
                out.dead += 1
                continue
            # In quarters, so that a sum is exact.
            t = round(4 * (rng.gauss(20, 1) + (rng.random() < 0.02) * rng.gauss(40, 20))) / 4
            row = {"machine": machine, "at": 1_700_000_000 + second, "t": t}
            if rng.random() > 0.02:
                row["site"] = rng.choice(["north", "south"])
            out.rows.append(row)
            out.messages.append((machine.encode(), orjson.dumps(row)))
        return out

    def __add__(self, other: Input) -> Input:
        return Input(self.messages + other.messages, self.rows + other.rows, self.dead + other.dead)


@dataclass(frozen=True)
class Plant:
    """One flow in its lab, its input topic and its topic of alerts."""

    lab: Lab
    kafka: Kafka
    topic: str
    alerts: str

    @staticmethod
    def make(make_lab: Callable[..., Lab], kafka: Kafka, partitions: int, **env: str) -> Plant:
        """Topics of its own."""
        topic, alerts = kafka.topic(partitions), kafka.topic(2)
        where = {"SERVERS": kafka.address, "TOPIC": topic, "ALERTS": alerts}
        return Plant(make_lab("plant_kafka", name=topic, **where, **env), kafka, topic, alerts)

    def start(self, workers: int = 1) -> subprocess.Popen[str]:
        """Start it."""
        return self.lab.start(f"--workers={workers}", "--epoch=100ms")

    def done(self, process: subprocess.Popen[str] | None = None) -> bool:
        """Whether all that is in the topic is durable, or the flow has ended."""
        if process is not None and process.poll() is not None:
            raise AssertionError(self.lab.log(process))
        ends = {n: end for n, end in self.kafka.ends(self.topic).items() if end}
        held = self.kafka.committed(self.topic, "plant")
        return all(held[n] == end for n, end in ends.items())

    def wait_reading(self, process: subprocess.Popen[str]) -> None:
        """Wait until it has found its partitions."""
        assert self.lab.wait_for(process, lambda: "reading part" in self.lab.log(process))

    def finish(self, process: subprocess.Popen[str], seconds: float = 60) -> Ended:
        """Wait until all is durable, then stop it."""
        self.wait_reading(process)
        wait(lambda: self.done(process), seconds)
        process.send_signal(signal.SIGTERM)
        return self.lab.end(process)

    def send_slowly(self, input_: Input, seconds: float) -> threading.Thread:
        """Send from another thread, over so many seconds."""

        def paced() -> Iterator[Sent]:
            for number, message in enumerate(input_.messages):
                if number % 50 == 0:
                    time.sleep(50 * seconds / len(input_.messages))
                yield message

        def send() -> None:
            self.kafka.send(self.topic, paced())

        thread = threading.Thread(target=send)
        thread.start()
        return thread

    def shown(self) -> list[dict[str, Any]]:
        """The alerts in their topic; each has its id as its key."""
        records = self.kafka.read(self.alerts)
        alerts = [json.loads(record.value()) for record in records]
        assert [record.key().decode() for record in records] == [alert["id"] for alert in alerts]
        return alerts

    def compare(self, ended: Ended, input_: Input) -> tuple[int, int]:
        """What is left is what a run gives that nobody disturbed; alerts, and those shown again."""
        assert ended.code == 0, ended.err
        result = load_flow(str(FLOWS / "plant_kafka.py")).replay(input_.rows)
        balance, expected = ended.balance, result.balance.tree()
        assert balance["adds_up"]
        assert balance["received"] == len(input_.messages)
        assert balance["dead"] == input_.dead
        for name in ("readings", "out", "rejected"):
            assert balance[name] == expected[name], name
        self._compare_memory(result)
        shown = self.shown()
        alerts = [json.loads(orjson.dumps(event.row())) for event in result.alerts]
        assert alerts, "no alerts, so comparing them would prove nothing"

        def by(them: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
            return {(alert["id"], alert["status"]): alert for alert in them}

        got, wanted = by(shown), by(alerts)
        wrong = [(key, got.get(key), wanted.get(key)) for key in got | wanted]
        wrong = [entry for entry in wrong if entry[1] != entry[2]]
        assert not wrong, f"{len(wrong)} of {len(wanted)} alerts differ: {wrong[:3]}"
        return len(alerts), len(shown) - len(alerts)

    def _compare_memory(self, result: Any) -> None:
        """Each device's sum and count hold each of its readings once."""
        rows = result.rows
        names = np.array(rows.devices)[rows.device]
        remembered = self.lab.remembered()
        assert set(remembered) >= set(names)
        for name in set(names):
            last = np.flatnonzero(names == name)[-1]
            columns = remembered[name]["running"]["columns"]
            assert np.frombuffer(columns["total"], np.float64)[0] == rows["total"][last], name
            assert np.frombuffer(columns["count"], np.int64)[0] == rows["count"][last], name


def pause(process: subprocess.Popen[Any], seconds: float) -> None:
    """Stop a process for a while."""
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGCONT)
