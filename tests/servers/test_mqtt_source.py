"""The MQTT source on a real Mosquitto: what it takes, when it acknowledges, what it notices."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mosquitto import MakeBroker, Mosquitto, until, with_id
from paho.mqtt.client import MQTTv5, MQTTv311
from proxy import Proxy
from streamflow_connectors import mqtt

from streamflow import DeadLetter, Flow, Messages, Reader
from streamflow.core.clock import ManualClock
from streamflow.engine.intake import Intake
from streamflow.errors import Backoff

TOPIC = "plant/{site}/{device}/telemetry"
Open = Callable[..., "Taken"]
Observe = Callable[[str, str, str], None]


class Taken:
    """A reader, and what it has given."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.got: list[Messages] = []
        self.dead: list[DeadLetter] = []

    def poll(self) -> bool:
        """Whether anything was there."""
        try:
            got = self.reader.poll(100)
        except Backoff:
            return False
        if isinstance(got, Messages):
            self.got.append(got)
        elif isinstance(got, DeadLetter):
            self.dead.append(got)
        return got is not None

    @property
    def payloads(self) -> list[bytes]:
        return [payload for messages in self.got for payload in messages.payloads]

    def take(self, count: int) -> list[bytes]:
        """Poll until so many messages have come."""
        until(lambda: (self.poll(), len(self.payloads) + len(self.dead) >= count)[1])
        return self.payloads

    def commit(self) -> None:
        self.reader.committed(self.reader.position())

    def counts(self) -> dict[str, int]:
        return dict(self.reader.counts())

    def until_connected(self, connects: int = 1) -> None:
        until(lambda: self.counts()["connects"] >= connects and self.counts()["connected"])


@pytest.fixture
def open_() -> Iterator[Open]:
    """Open a source; all that is still open at the end is closed."""
    opened: list[Taken] = []

    def make(source: mqtt.Topic, position: Any = None, partition: str = "0") -> Taken:
        source.check(Flow("test", tags=["site", "id"], sensors=["t"]).schema)
        opened.append(Taken(source.open(partition, position)))
        opened[-1].until_connected()
        return opened[-1]

    yield make
    for taken in opened:
        taken.reader.close()


def source(broker: Mosquitto, *topics: str, **options: Any) -> mqtt.Topic:
    given: Any = {"client": "plant-gateway", "keepalive": "2s", "port": broker.port, **options}
    return mqtt.topic(*(topics or (TOPIC,)), **given)


def said(i: int, device: str = "pump-1") -> tuple[str, bytes]:
    return f"plant/north/{device}/telemetry", json.dumps({"time": i, "t": i}).encode()


@pytest.mark.parametrize("version", [3, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_come_with_the_words_of_their_topic(
    broker: Mosquitto, open_: Open, version: Any, qos: Any
) -> None:
    taken = open_(source(broker, version=version, qos=qos))
    with broker.client() as person:
        person.say([said(i) for i in range(15)], qos)
    assert taken.take(15) == [said(i)[1] for i in range(15)]
    first = taken.got[-1]
    assert {name: words[-1] for name, words in first.fields.items()} == {
        "site": "north",
        "device": "pump-1",
    }
    assert first.places[-1] == "plant/north/pump-1/telemetry"
    assert first.arrived is not None


@pytest.mark.parametrize("version", [3, 5])
@pytest.mark.parametrize("qos", [1, 2])
def test_only_what_is_committed_is_acknowledged_and_the_rest_comes_again(
    broker: Mosquitto, open_: Open, version: Any, qos: Any
) -> None:
    known = source(broker, version=version, qos=qos)
    taken = open_(known)
    with broker.client() as person:
        person.say([said(i) for i in range(4)], qos)
        taken.take(4)
        taken.commit()
        person.say([said(i) for i in range(4, 10)], qos)
    taken.take(10)
    position = taken.reader.position()
    assert taken.counts()["unacknowledged"] == 6
    taken.reader.close()
    again = open_(known, position)
    assert again.take(6) == [said(i)[1] for i in range(4, 10)]
    again.commit()
    with broker.client() as person:
        person.say([said(10)], qos)
        again.take(7)  # so the broker has seen what was acknowledged before
        again.reader.close()
        last = open_(known, again.reader.position())
        person.say([said(11)], qos)
    assert last.take(2) == [said(10)[1], said(11)[1]]
    assert last.counts()["lost_sessions"] == 0


def test_a_message_of_qos_2_is_not_released_before_it_is_durable(
    broker: Mosquitto, open_: Open
) -> None:
    taken = open_(source(broker, qos=2))
    with broker.client() as person:
        for i in range(50):
            person.say([said(i)], 2)
    taken.take(50)
    taken.commit()
    until(lambda: not taken.counts()["unacknowledged"])


def test_what_broke_off_comes_again_and_old_acknowledgements_are_not_sent(
    broker: Mosquitto, open_: Open, observe: Observe
) -> None:
    proxy = Proxy(broker.port)
    taken = open_(source(broker, port=proxy.port))
    with broker.client() as person:
        person.say([said(i) for i in range(5)])
    taken.take(5)
    proxy.cut()
    taken.until_connected(2)
    taken.commit()  # of message ids that mean something else by now
    assert taken.take(10)[5:] == taken.payloads[:5]
    proxy.cut()
    taken.until_connected(3)
    assert taken.take(15)[10:] == taken.payloads[:5]
    taken.commit()
    with broker.client() as person:
        person.say([said(9)])
    assert taken.take(16)[15] == said(9)[1]
    observe(
        "MQTT: the connection breaks before messages are durable, and again after they are",
        "what was not acknowledged comes again; acknowledgements of a connection that is gone "
        "are not sent on the next, where their ids mean other messages",
        "5 of 5 messages came again both times, none acknowledged by mistake",
    )


@pytest.mark.parametrize("qos", [1, 2])
def test_no_more_than_the_receive_maximum_is_in_flight(
    broker: Mosquitto, open_: Open, qos: Any, observe: Observe
) -> None:
    taken = open_(source(broker, receive_maximum=10, qos=qos))
    with broker.client() as person:
        person.say([said(i) for i in range(40)], qos)
        until(lambda: taken.counts()["waiting"] + taken.counts()["unacknowledged"] >= 10)
        assert taken.counts()["waiting"] + taken.counts()["unacknowledged"] == 10
    while len(taken.payloads) < 40:
        taken.poll()
        taken.commit()
    assert taken.payloads == [said(i)[1] for i in range(40)]
    observe(
        f"MQTT: a flow that does not come to read, QoS {qos}, receive_maximum of 10",
        "the broker keeps what is above it; nothing is lost",
        "10 unacknowledged at most; 40 of 40 messages in the end, in order",
    )


def test_topics_that_are_no_longer_configured_are_let_go(broker: Mosquitto, open_: Open) -> None:
    old = open_(source(broker, "old/{device}", "both/{device}"))
    position = old.reader.position()
    old.reader.close()
    new = open_(source(broker, "new/{device}", "both/{device}"), position)
    with broker.client() as person:
        person.say([("old/a", b"1"), ("new/a", b"2"), ("both/a", b"3")])
        until(lambda: (new.poll(), len(new.payloads) >= 2)[1])
    assert new.payloads == [b"2", b"3"]
    assert new.dead == []


def test_what_came_for_topics_that_are_no_longer_configured_is_a_dead_letter(
    broker: Mosquitto, open_: Open
) -> None:
    old = open_(source(broker, "old/{device}"))
    position = old.reader.position()
    old.reader.close()
    with broker.client() as person:
        person.say([("old/a", b"1")])
    new = open_(source(broker, "new/{device}"), position)
    new.take(1)
    assert [(d.place, d.reason) for d in new.dead] == [
        ("old/a", "its topic is none of this source's")
    ]


def test_a_lost_session_is_counted_and_told(
    broker: Mosquitto, open_: Open, caplog: pytest.LogCaptureFixture
) -> None:
    taken = open_(source(broker))
    assert taken.counts()["lost_sessions"] == 0
    broker.stop()
    until(lambda: not taken.counts()["connected"])
    broker.start()  # which keeps nothing
    taken.until_connected(2)
    assert taken.counts()["lost_sessions"] == 1
    assert "the broker no longer has the session of 'plant-gateway'" in caplog.text


def test_what_the_broker_drops_is_counted_and_told(
    make_broker: MakeBroker, open_: Open, caplog: pytest.LogCaptureFixture, observe: Observe
) -> None:
    broker = make_broker(settings=("max_queued_messages 10",))
    taken = open_(source(broker))
    until(lambda: (taken.poll(), taken.reader.position()["dropped"] is not None)[1])
    position = taken.reader.position()
    taken.reader.close()
    with broker.client() as person:
        person.say([said(i) for i in range(200)])
    again = open_(source(broker), position)
    until(lambda: (again.poll(), again.counts()["broker_dropped"])[1])
    assert again.counts()["broker_dropped"] > 100
    until(lambda: "raise its max_queued_messages" in caplog.text)
    observe(
        "MQTT: a broker with max_queued_messages 10 drops what comes while the flow is down",
        "the loss is counted and told",
        f"{again.counts()['broker_dropped']} of 200 dropped by the broker and counted; “raise its "
        f"max_queued_messages”",
    )


def test_a_broker_that_is_not_there_yet_is_waited_for(
    make_broker: MakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    broker = make_broker(started=False)
    taken = Taken(source(broker).open("0", None))
    with pytest.raises(Backoff):
        until(lambda: taken.reader.poll(1))
    until(lambda: "nothing listens there" in caplog.text)
    broker.start()
    taken.until_connected()
    taken.reader.close()


def test_messages_of_qos_0_that_find_no_room_are_counted(broker: Mosquitto, open_: Open) -> None:
    taken = open_(source(broker, qos=0, receive_maximum=50))
    with broker.client() as person:
        person.say([said(i) for i in range(500)], qos=0)
        until(lambda: taken.counts()["overflowed"] >= 400)
    assert taken.counts()["waiting"] <= 50


@pytest.mark.parametrize("version", [3, 5])
def test_ids_come_from_a_user_property_or_a_field(
    broker: Mosquitto, open_: Open, version: Any
) -> None:
    taken = open_(source(broker, "t/{device}", id="id", version=version))
    with broker.client(version=MQTTv5) as person:
        person.say([("t/a", b'{"id": 7}'), ("t/a", b'{"id": "7"}'), ("t/a", b"{}"), ("t/a", b"x")])
        person.say([("t/a", b"y")], properties=with_id("7"))
    taken.take(5)
    ids = [id_ for messages in taken.got for id_ in messages.ids or ()]
    carried = b"\x007" if version == 5 else b"t/a\0y"
    assert ids == [b"\x007", b'\x00"7"', b"t/a\0{}", b"t/a\0x", carried]


def test_a_message_that_is_too_long_is_a_dead_letter(broker: Mosquitto, open_: Open) -> None:
    taken = open_(source(broker))
    with broker.client() as person:
        person.say([said(1), ("plant/north/a/telemetry", b"x" * 1_100_000), said(2)])
    taken.take(3)
    (dead,) = taken.dead
    assert dead.reason == "a message of 1,100,000 bytes, longer than 1,048,576"
    assert len(dead.payload) == 1024
    assert taken.payloads == [said(1)[1], said(2)[1]]


def test_connections_share_what_is_shared_and_deal_out_the_rest(
    broker: Mosquitto, open_: Open
) -> None:
    both = source(broker, "$share/flow/s/{device}", "a/{device}", "b/{device}", connections=2)
    first, second = open_(both), open_(both, partition="1")
    with broker.client() as person:
        person.say([(f"{kind}/pump", b"%d" % i) for i in range(20) for kind in "sab"])
    until(lambda: (first.poll(), second.poll(), len(first.payloads + second.payloads) == 60)[2])
    topics = [{p for m in taken.got for p in m.places} for taken in (first, second)]
    assert topics == [{"s/pump", "b/pump"}, {"s/pump", "a/pump"}]


def test_retained_messages_do_not_come_with_every_connection(
    broker: Mosquitto, open_: Open
) -> None:
    for version in (3, 5):
        with broker.client(version=MQTTv311) as person:
            person.say([("r/a", b"1")], retain=True)
        proxy = Proxy(broker.port)
        known = source(broker, "r/{device}", version=version, client=f"r{version}", port=proxy.port)
        taken = open_(known)
        taken.take(1)
        taken.commit()
        with broker.client() as person:
            person.say([("r/b", b"2")])
            taken.take(2)  # so the broker has seen what was acknowledged before
            proxy.cut()
            taken.until_connected(2)
            person.say([("r/b", b"3")])
        assert taken.take(4)[1:] == [b"2", b"2", b"3"]
        taken.reader.close()


def test_the_last_will_says_whether_the_connection_stands(broker: Mosquitto, open_: Open) -> None:
    with broker.client() as person:
        person.listen("status/gateway")
        taken = open_(source(broker, will="status/gateway"))
        until(lambda: len(person.heard) == 1)
        taken.reader.close()
        until(lambda: len(person.heard) == 2)
    assert [m.payload for m in person.heard] == [b'{"online":true}', b'{"online":false}']


def test_readings_have_their_tags_from_the_topic(broker: Mosquitto) -> None:
    flow = Flow("test", sensors=["t"], tags=["site"])
    intake = Intake(source(broker), flow.schema, "0", None, ManualClock())
    until(lambda: intake.reader.counts()["connected"])
    with broker.client() as person:
        person.say([said(3)])
    parcels: list[Any] = []

    def polled() -> bool:
        parcels.extend(intake.poll())
        return bool(parcels)

    until(polled)
    intake.reader.close()
    (row,) = parcels[0].batch.rows()
    assert (row["device"], row["site"], row["t"]) == ("pump-1", "north", 3.0)
    assert parcels[0].live
    intake.reader.close()


def test_nothing_is_left_in_the_log_of_a_good_day(
    broker: Mosquitto, open_: Open, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        taken = open_(source(broker))
        taken.commit()
        taken.reader.close()
    assert caplog.text == ""
