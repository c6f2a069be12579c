"""Avro with a schema registry, which answers on a socket as Confluent's does."""

from __future__ import annotations

import io
import json
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fastavro
import pytest
from registry import SchemaRegistry, serving

from streamflow import Avro, Flow, Format, Messages, Position, Reader, Source
from streamflow.core.clock import ManualClock
from streamflow.engine.intake import Intake
from streamflow.errors import ConnectorError, EndOfStream, FlowError, NotConnected
from streamflow.flow.check import check
from streamflow.formats.registry import Registry

FLOW = Flow("test", sensors=["t"])
ONE = {
    "type": "record",
    "name": "Reading",
    "fields": [
        {"name": "device", "type": "string"},
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "t", "type": ["null", "double"]},
    ],
}
TWO = {**ONE, "fields": [{"name": "unit", "type": "string"}, *ONE["fields"]]}
HOST = "http://127.0.0.1:"


@pytest.fixture
def registry() -> Iterator[SchemaRegistry]:
    with serving() as one:
        one.add(1, ONE)
        one.add(70_000, TWO)
        yield one


def framed(number: int, t: float, schema: Any = ONE) -> bytes:
    body = io.BytesIO()
    thing = {"device": "a", "time": int(t) * 1000, "t": t, "unit": "degC"}
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema), thing)
    return b"\0" + number.to_bytes(4) + body.getvalue()


def read(format_: Format, *payloads: bytes) -> tuple[list[float], dict[int, tuple[str, Any]]]:
    dead: dict[int, tuple[str, Any]] = {}
    messages = Messages(payloads, range(len(payloads)))
    batch = (
        format_.decoder(FLOW.schema)
        .decode(messages, lambda i, why, byte=None: dead.setdefault(i, (why, byte)))
        .batch
    )
    return batch["t"].tolist(), dead


def test_each_message_is_read_by_its_own_schema_and_each_schema_is_fetched_once(
    registry: SchemaRegistry,
) -> None:
    payloads = [framed(1, 1.0), framed(70_000, 2.0, TWO), framed(1, 3.0), framed(70_000, 4.0, TWO)]
    assert read(Avro(registry=registry.url + "/"), *payloads) == ([1.0, 2.0, 3.0, 4.0], {})
    assert registry.asked == ["/schemas/ids/1", "/schemas/ids/70000"]


def test_what_has_no_schema_is_a_dead_letter_and_harms_no_other(registry: SchemaRegistry) -> None:
    registry.add(2, {"type": "recorb"})
    registry.schemas[3] = {"schema": 'syntax = "proto3";', "schemaType": "PROTOBUF"}
    registry.add(4, "double")
    good, url = framed(1, 5.0), registry.url
    bad = [
        b"",
        b'{"device": "a"}',
        b"\0\0\0",
        framed(9, 1.0),
        framed(9, 2.0),
        framed(2, 1.0),
        framed(3, 1.0),
        b"\0\0\0\0\x04" + bytes(8),
        good[:-1],
        good + b"x",
    ]
    rows, dead = read(Avro(registry=url), good, *bad, good)
    assert rows == [5.0, 5.0]
    no_head = "it does not begin with a byte 0 and the id of a schema"
    assert [dead[i + 1] for i in range(5)] == [
        ("empty message", None),
        (no_head, 0),
        (no_head, 0),
        (f"{url} has no schema 9", 1),
        (f"{url} has no schema 9", 1),
    ]
    assert dead[6][0].startswith(f"schema 2 of {url} is not Avro: ")
    assert dead[7] == (f"schema 3 of {url} is PROTOBUF, not Avro", 1)
    assert dead[8] == ("it is an Avro number, not an object", 5)
    assert dead[9][0] == "not Avro of its schema: it ends too early"
    assert dead[10] == ("not Avro of its schema: 1 bytes follow its record", len(good))
    assert registry.asked.count("/schemas/ids/9") == 1


def test_schemas_may_refer_to_others(registry: SchemaRegistry) -> None:
    place = {"type": "record", "name": "Place", "fields": [{"name": "t", "type": "double"}]}
    head = {"type": "record", "name": "Head", "fields": [{"name": "place", "type": place}]}
    device, time = ONE["fields"][:2]
    fields = [device, time, {"name": "head", "type": "Head"}]
    registry.subjects["place", 1] = {"schema": _text(place)}
    within = {**head, "fields": [{"name": "place", "type": "Place"}]}
    to_place = [{"name": "Place", "subject": "place", "version": 1}]
    registry.subjects["head", 2] = {"schema": _text(within), "references": to_place}
    to_head = [{"name": "Head", "subject": "head", "version": 2}]
    registry.add(8, {"type": "record", "name": "R", "fields": fields}, references=to_head)
    whole = {
        "type": "record",
        "name": "R",
        "fields": [device, time, {"name": "head", "type": head}],
    }
    body = io.BytesIO()
    thing = {"device": "a", "time": 0, "head": {"place": {"t": 7.5}}}
    fastavro.schemaless_writer(body, fastavro.parse_schema(whole), thing)
    payload = b"\0\0\0\0\x08" + body.getvalue()
    assert read(Avro(registry=registry.url, paths={"t": "head.place.t"}), payload) == ([7.5], {})


def _text(schema: Any) -> str:
    return json.dumps(schema)


def test_the_login_is_sent_and_one_that_is_refused_is_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(login="plant:hush") as one:
        one.add(1, ONE)
        monkeypatch.setenv("REGISTRY", "hush")
        login = {"registry": one.url, "user": "plant", "password_env": "REGISTRY"}
        assert read(Avro(**login), framed(1, 1.0)) == ([1.0], {})
        monkeypatch.setenv("REGISTRY", "loud")
        with pytest.raises(ConnectorError, match="refuses the login of user 'plant'") as told:
            read(Avro(**login), framed(1, 1.0))
        assert "loud" not in str(told.value)
        with pytest.raises(ConnectorError, match=r"refuses to be asked: check user="):
            read(Avro(registry=one.url), framed(1, 1.0))


@pytest.mark.parametrize(
    ("answer", "kind", "sentence"),
    [
        ((503, b""), NotConnected, "cannot be asked: it answers 503 Service Unavailable"),
        ((429, b""), NotConnected, "cannot be asked: it answers 429 Too Many Requests"),
        ((404, b"<html>no such page</html>"), ConnectorError, "is no schema registry, it answers"),
        ((400, b"{}"), ConnectorError, "is no schema registry, it answers 400 Bad Request"),
        ((200, b"<html>welcome</html>"), ConnectorError, "is no schema registry, it does not ans"),
        ((200, b"[]"), ConnectorError, "is no schema registry, it does not answer with a schema"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_registry_that_cannot_help_never_costs_a_message(
    registry: SchemaRegistry, answer: tuple[int, bytes], kind: type[Exception], sentence: str
) -> None:
    registry.instead = answer
    decoder = Avro(registry=registry.url).decoder(FLOW.schema)
    messages = Messages([framed(1, 1.0)], [0])
    with pytest.raises(ConnectorError, match=sentence) as told:
        decoder.decode(messages, lambda *_: pytest.fail("a dead letter"))
    assert type(told.value) is kind
    registry.instead = None
    assert decoder.decode(messages, print).batch["t"].tolist() == [1.0]


def test_a_schema_that_was_not_there_is_asked_for_again_later(registry: SchemaRegistry) -> None:
    format_ = Avro(registry=registry.url).decoder(FLOW.schema)
    clock = ManualClock()
    asked: Registry = format_._registry  # type: ignore[assignment]
    asked._clock = clock  # type: ignore[assignment]
    dead: list[str] = []
    messages = Messages([framed(5, 1.0)], [0])
    for _ in range(2):
        format_.decode(messages, lambda i, why, byte=None: dead.append(why))
    registry.add(5, ONE)
    clock.sleep(61)
    assert format_.decode(messages, print).batch["t"].tolist() == [1.0]
    assert dead == [f"{registry.url} has no schema 5"] * 2
    assert registry.asked == ["/schemas/ids/5"] * 2


@dataclass(frozen=True)
class Given(Source):
    payloads: tuple[bytes, ...] = ()
    url: str = ""

    @property
    def format(self) -> Avro:
        return Avro(registry=self.url)

    def open(self, partition: str, position: Position) -> Reader:
        return _Given(self.payloads, position or 0)


class _Given(Reader):
    """Two messages at a time."""

    def __init__(self, payloads: tuple[bytes, ...], at: int) -> None:
        self._payloads, self._at = payloads, at

    def poll(self, limit: int) -> Messages | None:
        if self._at >= len(self._payloads):
            raise EndOfStream("no more")
        some = list(self._payloads[self._at : self._at + min(limit, 2)])
        self._at += len(some)
        return Messages(some, range(len(some)))

    def position(self) -> int:
        return self._at


def test_while_the_registry_is_away_messages_wait_and_the_position_is_before_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"{HOST}{free.getsockname()[1]}"  # nobody listens there
        payloads = tuple(framed(1, float(n)) for n in range(3))
        source = Given(payloads=payloads, url=url)
        intake = Intake(source, FLOW.schema, "0", None, ManualClock())
        with caplog.at_level(logging.WARNING, "streamflow.registry"):
            for _ in range(3):
                with pytest.raises(NotConnected, match=f"the schema registry {url} cannot be"):
                    intake.poll()
                assert intake.position() == 0
                assert intake.reader.position() == 3
    assert len(caplog.records) == 1
    assert "Connection refused; the source waits for it" in caplog.text
    with serving() as one:
        one.add(1, ONE)
        login = intake._decoder._registry._login  # type: ignore[attr-defined]
        object.__setattr__(login, "url", one.url)
        (parcel,) = intake.poll()
    assert parcel.batch is not None
    assert parcel.batch["t"].tolist() == [0.0, 1.0, 2.0]
    assert (parcel.received, parcel.dead, intake.position()) == (3, [], 3)
    with pytest.raises(EndOfStream):
        intake.poll()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "Avro: give a schema, or registry= with the URL"),
        ({"schema": ONE, "registry": "http://h"}, "Avro: give a schema, or registry="),
        ({"registry": "h:8081"}, "registry='h:8081' is no URL; write http://HOST:8081"),
        ({"registry": "http://me:secret@h"}, "registry= holds a login: give user="),
        ({"registry": "http://h", "user": "me"}, "user= and password_env= go together"),
        (
            {"registry": "http://h", "user": "me", "password_env": "NO_SUCH"},
            "password_env='NO_SUCH': the environment has no such variable",
        ),
        ({"schema": "nowhere.avsc"}, "Avro: nowhere.avsc cannot be read: No such file"),
        ({"schema": {"type": "recorb"}}, "Avro: schema= is no schema of Avro: "),
        ({"schema": ONE, "paths": {"x": "y"}}, "paths= names 'x', which is no field"),
    ],
    ids=repr,
)
def test_what_is_wrong_with_it_is_said_before_anything_runs(
    options: dict[str, Any], sentence: str
) -> None:
    @dataclass(frozen=True)
    class Wrong(Given):
        @property
        def format(self) -> Avro:
            return Avro(**options)

    with pytest.raises(FlowError, match=sentence) as told:
        (FLOW | Wrong()).plan()
    assert str(told.value).startswith("source 'wrong': ")
    assert "secret" not in str(told.value)


@dataclass(frozen=True)
class Topic(Given):
    """What `check` knows of a Kafka topic, or of one whose subject nobody knows."""

    subject: str = "telemetry-value"  # type: ignore[misc]
    login: tuple[str, str] = ("", "")

    @property
    def format(self) -> Avro:
        return Avro(registry=self.url, user=self.login[0], password_env=self.login[1])


def connected(level: str, **options: Any) -> list[str]:
    """What `check --connect` says at this level of the registry."""
    report = check(FLOW | Topic(**options), connect=True)
    return [f.text for f in report.findings if f.level == level and "registry" in f.text]


def test_check_connect_asks_the_registry_for_the_schema_of_the_topic(
    registry: SchemaRegistry,
) -> None:
    registry.subjects["telemetry-value", 3] = {"schema": _text(ONE), "id": 1, "version": 3}
    registry.subjects["text-value", 1] = {"schema": "{}", "schemaType": "JSON", "version": 1}
    where = f"topic: the schema registry {registry.url}"
    assert connected("info", url=registry.url) == [
        f"{where} has Avro for 'telemetry-value', version 3 of it"
    ]
    assert connected("info", url=registry.url, subject="") == [f"{where} answers"]
    (said,) = connected("info", url=registry.url, subject="telemetri-value")
    assert f"answers, but {registry.url} has no subject 'telemetri-value'; what is" in said
    (said,) = connected("info", url=registry.url, subject="text-value")
    assert "subject 'text-value' of" in said
    assert "is JSON, not Avro" in said


@pytest.mark.parametrize("subject", ["telemetry-value", ""])
def test_check_connect_says_why_a_registry_cannot_be_asked(
    subject: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        away = f"{HOST}{free.getsockname()[1]}"
        assert connected("error", url=away, subject=subject) == [
            f"source 'topic': the schema registry {away} cannot be asked: "
            f"[Errno 111] Connection refused"
        ]
    with serving(login="plant:hush") as one:
        monkeypatch.setenv("REGISTRY", "loud")
        login = {"url": one.url, "login": ("plant", "REGISTRY"), "subject": subject}
        assert connected("error", **login) == [
            f"source 'topic': the schema registry {one.url} refuses the login of user 'plant': "
            f"check user= and the variable that password_env= names"
        ]
        one.login, one.instead = "", (200, b"<html>welcome</html>")
        (said,) = connected("error", **login)
        assert "is no schema registry, it does not answer with " in said
    assert not caplog.records, "nothing waits, so nothing is said of waiting"
