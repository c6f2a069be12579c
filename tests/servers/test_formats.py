"""What comes from real servers in other formats than flat JSON."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any

import fastavro
import msgspec
from kafka_lab import Kafka, wait
from mosquitto import Mosquitto, until
from registry import serving
from streamflow_connectors import kafka as kafka_connector
from streamflow_connectors import mqtt

from streamflow import Avro, Flow, MsgPack, Source
from streamflow.core.clock import SystemClock
from streamflow.engine.intake import Intake, Parcel
from streamflow.errors import Backoff, ConnectorError

FLOW = Flow("test", sensors=["t"], tags=["site"])
PACKED = {"site": "north", "sent": [{"time": n, "v": {"t": n / 2}} for n in range(3)]}
NESTED = {"paths": {"t": "v.t"}, "readings": "sent"}
SCHEMA = {
    "type": "record",
    "name": "R",
    "fields": [{"name": "time", "type": "long"}, {"name": "t", "type": "double"}],
}


def polled(intake: Intake, enough: int, until: Any) -> list[Parcel]:
    parcels: list[Parcel] = []

    def poll() -> bool:
        with suppress(Backoff):
            parcels.extend(intake.poll())
        return sum(parcel.received for parcel in parcels) >= enough

    until(poll)
    return parcels


def rows(parcels: list[Parcel]) -> list[tuple[Any, ...]]:
    found = [row for parcel in parcels if parcel.batch for row in parcel.batch.rows()]
    return [(row["device"], row["site"], row["t"]) for row in found]


def open_(source: Source) -> Intake:
    return Intake(source, FLOW.plan().schema, "0", None, SystemClock())


def test_messagepack_with_arrays_of_readings_over_mqtt(broker: Mosquitto) -> None:
    source = mqtt.topic(
        "plant/{device}", port=broker.port, client="formats", format=MsgPack(**NESTED)
    )
    (FLOW | source).checked()
    intake = open_(source)
    until(lambda: intake.reader.counts()["connected"])
    with broker.client() as person:
        person.say([("plant/a", msgspec.msgpack.encode(PACKED)), ("plant/b", b"\xc1")])
    parcels = polled(intake, 2, until)
    intake.reader.close()
    assert rows(parcels) == [("a", "north", 0.0), ("a", "north", 0.5), ("a", "north", 1.0)]
    ((letter,),) = [parcel.dead for parcel in parcels if parcel.dead]
    assert (letter.place, letter.byte) == ("plant/b", 0)


def test_avro_with_a_registry_over_kafka(kafka: Kafka) -> None:
    topic = kafka.topic()
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(SCHEMA), {"time": 5, "t": 2.5})
    framed = b"\0\0\0\0\x07" + body.getvalue()
    kafka.send(topic, [(b"a", framed), (b"b", b"{}"), (b"c", framed)], headers={"site": b"x"})
    with serving() as registry:
        registry.instead = (503, b"")
        source = kafka_connector.topic(
            topic,
            servers=kafka.address,
            key="device",
            headers=["site"],
            format=Avro(registry=registry.url),
        )
        (FLOW | source).checked()
        intake = open_(source)

        def away() -> bool:
            try:
                return bool(intake.poll())
            except ConnectorError as error:
                return "answers 503" in str(error)

        wait(away)
        position = intake.position()
        registry.instead = None
        registry.add(7, SCHEMA)
        parcels = polled(intake, 3, wait)
        assert position is None or position["offsets"] == {"0": 0}
        assert intake.position()["offsets"] == {"0": 3}
        intake.reader.close()
    assert rows(parcels) == [("a", "x", 2.5), ("c", "x", 2.5)]
    ((letter,),) = [parcel.dead for parcel in parcels if parcel.dead]
    assert letter.reason == "it does not begin with a byte 0 and the id of a schema"
