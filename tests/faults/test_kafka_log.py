"""Kafka: the log is not what it was when the flow last read it."""

from __future__ import annotations

import gc
import logging
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka_lab import Kafka, Sent, drain, idle, wait
from streamflow_connectors import kafka as connector

from streamflow import Reader
from streamflow.errors import ConnectorError, FlowError

Observe = Callable[[str, str, str], None]


def numbers(first: int, end: int) -> list[Sent]:
    return [(None, b"%d" % n) for n in range(first, end)]


def values(first: int, end: int) -> list[bytes]:
    return [value for _, value in numbers(first, end) if value]


def stand(reader: Reader, **offsets: int) -> None:
    """Poll until it has found out where each partition starts; nothing has come so far."""

    def found() -> bool:
        assert reader.poll(4096) is None
        position = reader.position()
        return position is not None and position["offsets"] == {
            name.removeprefix("p"): at for name, at in offsets.items()
        }

    wait(found)


@contextmanager
def reading(
    kafka: Kafka, topic: str, position: Any = None, part: str = "0", **options: Any
) -> Iterator[Reader]:
    reader = connector.topic(topic, servers=kafka.address, **options).open(part, position)
    try:
        yield reader
    finally:
        reader.close()


def read(kafka: Kafka, topic: str, count: int) -> Any:
    """Read so many messages; the position behind them."""
    with reading(kafka, topic) as reader:
        drain(reader, count)
        return reader.position()


def gone(kafka: Kafka, how: str) -> tuple[str, Any]:
    """A topic whose first 100 messages were read, and of which 200 to 299 are left; a position."""
    topic = kafka.topic()
    kafka.send(topic, numbers(0, 100))
    position = read(kafka, topic, 100)
    if how == "with its topic":
        kafka.delete(topic)
        kafka.topic(name=topic)
        kafka.send(topic, numbers(200, 300))
    else:
        kafka.send(topic, numbers(100, 300))
        kafka.forget(topic, before=200)
    return topic, position


@pytest.mark.parametrize("how", ["by age or size", "with its topic"])
def test_what_is_gone_is_not_passed_over(
    how: str, kafka: Kafka, caplog: pytest.LogCaptureFixture, observe: Observe
) -> None:
    topic, position = gone(kafka, how)
    with (
        reading(kafka, topic, position) as reader,
        pytest.raises(ConnectorError, match="partition 0 was read up to offset 100, and the log"),
    ):
        drain(reader, 1)
    with reading(kafka, topic, position, lost="earliest") as reader:
        assert drain(reader, 100).payloads == values(200, 300)
        assert reader.counts() == {"lost": 100 if how == "by age or size" else 0}
    assert ("100 messages are lost" in caplog.text) == (how == "by age or size")
    with reading(kafka, topic, position, lost="latest") as reader:
        stand(reader, p0=300 if how == "by age or size" else 100)
        kafka.send(topic, numbers(300, 310))
        assert drain(reader, 10).payloads == values(300, 310)
    observe(
        f"Kafka: messages that were not yet read are deleted {how}, while the flow is down",
        "the flow refuses to go on, or does what lost= says, and says so",
        "refused at the start; with lost= it went on where that says",
    )


@pytest.mark.parametrize("lost", ["stop", "earliest"])
def test_what_is_gone_while_the_flow_reads_slowly(
    lost: str, kafka: Kafka, observe: Observe
) -> None:
    topic = kafka.topic()
    kafka.send(topic, [(None, b"%d" % n + b" " * 10_000) for n in range(1000)])
    little = {"queued.max.messages.kbytes": 100, "max.partition.fetch.bytes": 100_000}
    servers = connector.Servers(kafka.address, config=little)
    reader = connector.topic(topic, servers=servers, lost=lost).open("0", None)
    try:
        begun = drain(reader, 1).payloads
        kafka.forget(topic, before=990)
        if lost == "stop":
            with pytest.raises(ConnectorError, match="the log now holds 990 to 1,000"):
                idle(reader, 20)
        else:
            while int(begun[-1]) != 999:
                begun += drain(reader, 1).payloads
            assert [int(payload) for payload in begun[-10:]] == list(range(990, 1000))
            assert len(begun) < 900
    finally:
        reader.close()
    stopped = "refused: “the log now holds 990 to 1,000”"
    observe(
        f'Kafka: messages are deleted by age or size while the flow reads slowly, lost="{lost}"',
        "what lost= says, and the flow says so",
        stopped if lost == "stop" else f"went on at 990; {1000 - len(begun)} of 1,000 missing",
    )


def test_a_flow_that_is_slow_does_not_grow(kafka: Kafka, observe: Observe) -> None:
    topic = kafka.topic()
    kafka.send(topic, [(None, b" " * 10_000)] * 10_000)
    gc.collect()
    before = resident()
    with reading(kafka, topic) as reader:
        drain(reader, 1)
        time.sleep(1.5)
        grown = (resident() - before) / 1e6
    kafka.delete(topic)
    assert grown < 65
    observe(
        "Kafka: a flow that does not come to read, 100 MB waiting",
        "bounded memory: 32 MB of messages and what one fetch brings",
        f"{grown:.0f} MB more",
    )


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_topic_that_is_created_anew_under_a_running_flow(kafka: Kafka, observe: Observe) -> None:
    topic = kafka.topic()
    kafka.send(topic, numbers(0, 100))
    with reading(kafka, topic) as reader:
        drain(reader, 100)
        kafka.delete(topic)
        kafka.topic(name=topic)
        kafka.send(topic, numbers(0, 300))
        with pytest.raises(ConnectorError, match="was deleted and created anew"):
            idle(reader, 20)
    observe(
        "Kafka: a topic is deleted and created anew under a running flow",
        "the flow refuses to go on at offsets that mean something else now",
        "refused: “was deleted and created anew”",
    )


def test_partitions_that_are_added_are_read_from_their_start(
    kafka: Kafka, observe: Observe
) -> None:
    topic = kafka.topic()
    kafka.send(topic, numbers(0, 10))
    with (
        reading(kafka, topic, start="latest", connections=2) as even,
        reading(kafka, topic, part="1", start="latest", connections=2) as odd,
    ):
        stand(even, p0=10)
        stand(odd)
        kafka.grow(topic, 4)
        for number in range(4):
            kafka.send(topic, numbers(number * 100, number * 100 + 5), partition=number)
        assert sorted(drain(even, 10).payloads) == sorted(values(0, 5) + values(200, 205))
        assert sorted(drain(odd, 10).payloads) == sorted(values(100, 105) + values(300, 305))
        held = even.position(), odd.position()
    assert [position["offsets"] for position in held] == [{"0": 15, "2": 5}, {"1": 5, "3": 5}]
    observe(
        "Kafka: partitions are added under a running flow",
        "they are read from their start, without a restart",
        "3 of 3 new ones read from their first message, each by one of two connections",
    )


def test_what_is_sent_while_the_flow_is_down_is_read(kafka: Kafka, observe: Observe) -> None:
    topic = kafka.topic()
    kafka.send(topic, numbers(0, 10))
    with reading(kafka, topic, start="latest") as reader:
        stand(reader, p0=10)
        position = reader.position()  # before the first message
    kafka.send(topic, numbers(10, 20))
    with reading(kafka, topic, position, start="latest") as reader:
        assert drain(reader, 10).payloads == values(10, 20)
    observe(
        'Kafka: a flow with start="latest" is down before it has read its first message',
        "it goes on where it stood, not at the latest",
        "10 of 10 messages that came meanwhile",
    )


def test_another_number_of_connections_is_refused(kafka: Kafka) -> None:
    topic = kafka.topic(2)
    with reading(kafka, topic) as reader:
        stand(reader, p0=0, p1=0)
        position = reader.position()
    source = connector.topic(topic, servers=kafka.address, connections=2)
    with pytest.raises(ConnectorError, match="was written with connections=1, now it has 2"):
        source.open("0", position)


def test_a_start_that_is_chosen(kafka: Kafka, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    topic = kafka.topic()
    kafka.send(topic, numbers(0, 10))
    with reading(kafka, topic, {"0": 7}, start="latest") as reader:
        assert drain(reader, 3).payloads == values(7, 10)
    with reading(kafka, topic, "earliest", start="latest") as reader:
        assert drain(reader, 10).payloads == values(0, 10)
    with reading(kafka, topic, start="2020-01-01T00:00:00Z") as reader:
        assert drain(reader, 10).payloads == values(0, 10)
    with reading(kafka, topic, start="2999-01-01") as reader:
        stand(reader, p0=10)
        kafka.send(topic, numbers(10, 11))
        assert drain(reader, 1).payloads == values(10, 11)
    with pytest.raises(FlowError, match="is no position; give"):
        connector.topic(topic, servers=kafka.address).open("0", 7)
