"""What a broker refuses, and what is wrong before it is asked: one sentence, no secret."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from mosquitto import MakeBroker, Mosquitto, free_port, until
from streamflow_connectors import mqtt

from streamflow import Flow, Sink, Source
from streamflow.errors import Backoff, ConnectorError, FlowError
from streamflow.flow.check import check

SCHEMA = Flow("test", sensors=["t"], tags=["site"]).schema
PASSWORD = "open-sesame"


@pytest.fixture
def locked(make_broker: MakeBroker, tmp_path: Path) -> Mosquitto:
    """A broker that lets in "gateway" and "guest"; "guest" may not write everywhere."""
    names, rights = tmp_path / "names", tmp_path / "rights"
    names.write_text(f"gateway:{PASSWORD}\nguest:{PASSWORD}\n")
    hash_passwords(names)
    rights.write_text("user gateway\ntopic readwrite #\nuser guest\ntopic readwrite open/#\n")
    # Mosquitto wants its files to be closed to others.
    names.chmod(0o600)
    rights.chmod(0o600)
    listener = ("allow_anonymous false", f"password_file {names}", f"acl_file {rights}")
    return make_broker(listener=listener)


def hash_passwords(path: Path) -> None:
    subprocess.run(["mosquitto_passwd", "-U", str(path)], check=True, capture_output=True)


@pytest.fixture
def password(tmp_path: Path) -> str:
    """The file with the password."""
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    return str(path)


def probed(part: Source | Sink) -> str:
    """What is wrong with it, told by `check` and by trying it; no secret in it."""
    try:
        part.check(SCHEMA)
        said = part.probe()
    except (FlowError, ConnectorError) as error:
        said = str(error)
    assert PASSWORD not in said
    assert "\n" not in said
    return said


def refused(port: int, *topics: str, **options: Any) -> str:
    given = {"client": "plant", "port": port, **options}
    return probed(mqtt.topic(*(topics or ("plant/{site}/{device}",)), **given))


def test_who_may_not_come_in(locked: Mosquitto, password: str, tmp_path: Path) -> None:
    port = locked.port
    assert "speaks MQTT 5" in refused(port, user="gateway", password_file=password)
    wrong = tmp_path / "wrong"
    wrong.write_text("guess")
    for version in (3, 5):
        who = {"user": "gateway", "password_file": str(wrong), "version": version}
        said = refused(port, **who)
        assert "does not let this client in; check user=, its password" in said
        assert "guess" not in said
    assert "does not let this client in" in refused(port)
    missing = refused(port, user="gateway", password_file=str(tmp_path / "none"))
    assert missing.endswith("cannot be read: No such file or directory")
    assert "the environment has no such variable" in refused(port, password_env="NOT_THERE")


OPEN_ONLY = {
    "defaultACLAccess": {
        "publishClientSend": True,
        "publishClientReceive": True,
        "subscribe": False,
        "unsubscribe": True,
    },
    "anonymousGroup": "all",
    "groups": [{"groupname": "all", "roles": [{"rolename": "open"}], "clients": []}],
    "roles": [
        {
            "rolename": "open",
            "acls": [
                {"acltype": "subscribePattern", "topic": "open/#", "priority": 0, "allow": True}
            ],
        }
    ],
    "clients": [],
}
"""For Mosquitto's plugin for security: with a list of rights it lets everybody subscribe."""


@pytest.mark.parametrize("version", [3, 5])
def test_a_topic_that_may_not_be_read(
    make_broker: MakeBroker, tmp_path: Path, version: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (plugin,) = Path("/usr/lib").glob("*/mosquitto_dynamic_security.so")
    rights = tmp_path / "rights.json"
    rights.write_text(json.dumps(OPEN_ONLY))
    listener = (f"plugin {plugin}", f"plugin_opt_config_file {rights}", "allow_anonymous true")
    port = make_broker(listener=listener).port
    assert "grants 1 topic" in refused(port, "open/{device}", version=version)
    said = refused(port, "closed/{device}", version=version)
    assert "the broker refuses the topic 'closed/+': " in said
    assert "this client may not read it" in said
    reader = mqtt.topic("closed/{device}", client="a", port=port, version=version).open("0", None)
    until(lambda: "the broker refuses the topic" in caplog.text)
    with pytest.raises(Backoff):  # it may be allowed later: the flow lives, and tries again
        reader.poll(1)
    reader.close()


def test_a_topic_that_may_not_be_written(locked: Mosquitto, password: str) -> None:
    who: Any = {"user": "guest", "password_file": password, "port": locked.port}
    writer = mqtt.publish("closed/{device}", of="rows", **who).open(None)
    batch = batch_of(3)
    writer.write(batch)
    with pytest.raises(ConnectorError, match="does not take 'closed/a': this client may not write"):
        writer.snapshot()
    writer._outbox.close()  # type: ignore[attr-defined]


def batch_of(count: int) -> Any:
    from streamflow import Batch

    return Batch.of([{"device": "a", "time": i, "t": i} for i in range(count)], ["t"])


def test_where_there_is_no_broker(
    make_broker: MakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = refused(free_port())
    assert nowhere.endswith("nothing listens there; is the broker running, is port= right?")
    assert refused(1883, host="no-such-host.invalid").endswith(
        "there is no host 'no-such-host.invalid'; check host="
    )
    hidden = refused(1883, host=f"mqtt://gateway:{PASSWORD}@broker")
    assert "host= is a name or an address" in hidden
    said = probed(mqtt.publish("alerts/{device}", of="alerts", port=free_port()))
    assert said.startswith("sink 'mqtt_alerts': no connection to mqtt://127.0.0.1:")


def test_tls(make_broker: MakeBroker, tmp_path: Path) -> None:
    ours = Authority(tmp_path / "ours")
    server, server_key = ours.sign("server")
    client, key = ours.sign("client")
    late, late_key = ours.sign("late", days=-1)
    theirs = Authority(tmp_path / "theirs")
    strange, strange_key = theirs.sign("strange")
    listener = (
        f"cafile {ours.certificate}",
        f"certfile {server}",
        f"keyfile {server_key}",
        "require_certificate true",
        "allow_anonymous true",
    )
    port = make_broker(listener=listener).port
    who: Any = {"ca": ours.certificate}
    assert "speaks MQTT 5" in refused(port, **who, certificate=client, key=key)
    assert "speaks MQTT 3" in refused(port, **who, certificate=client, key=key, version=3)
    assert "name certificate= and key=" in refused(port, **who)
    assert "says that certificate= has expired" in refused(
        port, **who, certificate=late, key=late_key
    )
    assert "does not accept certificate=" in refused(
        port, **who, certificate=strange, key=strange_key
    )
    assert "name its authority as ca=" in refused(port, ca=theirs.certificate)
    assert "name its authority as ca=" in refused(port, tls=True)
    assert "there is no such file" in refused(port, ca=tmp_path / "none")
    assert "they are PEM files" in refused(port, ca=key)
    assert "they are PEM files" in refused(port, **who, certificate=client, key=late_key)
    assert "is for another name" in refused(port, **who, host="localhost")


def test_a_certificate_of_the_broker_that_has_expired(
    make_broker: MakeBroker, tmp_path: Path
) -> None:
    ours = Authority(tmp_path / "ours")
    server, server_key = ours.sign("server", days=-1)
    listener = (f"certfile {server}", f"keyfile {server_key}", "allow_anonymous true")
    port = make_broker(listener=listener).port
    said = refused(port, ca=ours.certificate)
    assert said.endswith("the broker's certificate has expired; renew it")


def test_tls_where_there_is_none_and_none_where_there_is(
    make_broker: MakeBroker, broker: Mosquitto, tmp_path: Path
) -> None:
    ours = Authority(tmp_path / "ours")
    server, key = ours.sign("server")
    listener = (f"certfile {server}", f"keyfile {key}", "allow_anonymous true")
    encrypted = make_broker(listener=listener)
    assert "does the port speak TLS?" in refused(broker.port, ca=ours.certificate)
    assert "does the port want TLS, with ca= or tls=True?" in refused(encrypted.port)


def test_a_certificate_that_expires_is_replaced_while_the_flow_runs(
    make_broker: MakeBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours = Authority(tmp_path / "ours")
    server, server_key = ours.sign("server")
    fresh, fresh_key = ours.sign("fresh")
    late, late_key = ours.sign("late", days=-1)
    listener = (
        f"cafile {ours.certificate}",
        f"certfile {server}",
        f"keyfile {server_key}",
        "require_certificate true",
        "allow_anonymous true",
    )
    port = make_broker(listener=listener).port
    source = mqtt.topic(
        "a/{device}", client="a", port=port, ca=ours.certificate, certificate=late, key=late_key
    )
    with caplog.at_level(logging.WARNING):
        reader = source.open("0", None)
        until(lambda: "certificate= has expired" in caplog.text)
        shutil.copy(fresh, late)
        shutil.copy(fresh_key, late_key)
        until(lambda: reader.counts()["connected"])
    assert "connected to mqtts://" in caplog.text
    reader.close()


@pytest.mark.parametrize(
    ("topics", "options", "sentence"),
    [
        (("plant/#/x",), {}, "# may only stand at the end"),
        (("plant/x+",), {}, "'x+': {name}, + and # fill a level alone"),
        (("plant/dev-{device}",), {}, "'dev-{device}': {name}, + and # fill a level alone"),
        (("{device}/{device}",), {}, "a name stands in it twice"),
        (("$share/group",), {}, "a shared topic is $share/GROUP/TOPIC"),
        (("",), {}, "a topic has 1 to 65,535 bytes"),
        (("plant/{sight}/{device}",), {}, "{sight} in a topic is no device, time or tag"),
        ((), {}, "no topic; name one"),
        (("a/{device}",), {"client": None}, 'give it an id of its own, as in client="plant-gat'),
        (("a/{device}",), {"qos": 3}, "qos=3 must be 0, 1 or 2"),
        (("a/{device}",), {"version": 4}, "MQTT 5, or 3 for 3.1.1"),
        (("a/{device}",), {"receive_maximum": 0}, "receive_maximum=0 must be 1 to 65,535"),
        (("a/{device}",), {"connections": 2}, "connections=2 for 1 topic(s)"),
        (("a/{device}",), {"connections": 0}, "connections=0 must be at least 1"),
        (("a/{device}",), {"session": "soon"}, "'soon' is not a duration"),
        (("a/{device}",), {"keepalive": "20h"}, "keepalive='20h' must be 1s to 18h"),
        (("a/{device}",), {"key": "x"}, "key= is that of a certificate="),
    ],
)
def test_what_is_wrong_before_anything_connects(
    topics: tuple[str, ...], options: dict[str, Any], sentence: str
) -> None:
    source = mqtt.topic(*topics, **{"client": "plant", **options})
    with pytest.raises(FlowError) as raised:
        source.check(SCHEMA)
    assert sentence in str(raised.value)


@pytest.mark.parametrize("topic", ["alerts/#", "alerts/+", "", "$share/g/a", "a/{device"])
def test_a_sink_publishes_to_one_topic(topic: str) -> None:
    with pytest.raises(FlowError, match="a sink publishes to one topic"):
        mqtt.publish(topic, of="alerts").check(SCHEMA)


def test_what_a_flow_promises_on_a_shared_topic() -> None:
    source = mqtt.topic("$share/flow/a/{device}", client="plant")
    flow = Flow("test", sensors=["t"]) | source
    report = check(flow, Path("not-there"))
    assert any("with $share" in sentence and "Reorder" in sentence for sentence in report.promise)
    assert any("gives it again after a restart" in sentence for sentence in report.promise)
    old = check(Flow("test", sensors=["t"]) | mqtt.topic("a/{device}", client="a", version=3))
    assert any("max_inflight_messages" in sentence for sentence in old.promise)
    weak = Flow("test", sensors=["t"]) | mqtt.topic("a/{device}", qos=0)
    assert "mqtt: what arrives while the flow is down is lost." in check(weak).promise
