"""Webhook and chat on a real web server: signed, tried again, and no secret in any error."""

from __future__ import annotations

import base64
import hmac
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from listener import Web, free_port, serving, web_server
from streamflow_connectors import chat, webhook

from streamflow import Alert, Event, Flow, buffered
from streamflow.cli.main import main
from streamflow.errors import Backoff, ConnectorError, FlowError, NotConnected

SCHEMA = Flow("any", sensors=["t"]).schema
ALERT = Event("id-1", "alert", "alert", "pump-1", 0, {"status": "opened", "when": "t > 30"})
PATH = "/services/T0/s3cr3t-path"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as web:
        yield web


def test_a_message_has_the_events_an_id_and_the_words(web: Web) -> None:
    webhook.post(f"{web.url}{PATH}").open(None).write([ALERT])
    ((headers, body),) = web.heard
    assert body == {
        "id": "id-1-opened-0",
        "text": "pump-1: alert opened at 1970-01-01T00:00:00Z, t > 30",
        "events": [ALERT.row()],
    }
    assert headers["idempotency-key"] == "id-1-opened-0"
    assert headers["content-type"] == "application/json"
    assert "webhook-signature" not in headers
    assert web.paths == [PATH]


@pytest.mark.parametrize("held", ["sesame", "whsec_" + base64.b64encode(b"sesame").decode()])
def test_a_signature_is_that_of_standard_webhooks(
    web: Web, held: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOOK_SECRET", held)
    (tmp_path / "secret").write_text(held + "\n")
    for options in ({"secret_env": "HOOK_SECRET"}, {"secret_file": tmp_path / "secret"}):
        webhook.post(web.url, **options).open(None).write([ALERT])  # type: ignore[arg-type]
        headers, _ = web.heard[-1]
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{headers['raw']}"
        expected = base64.b64encode(hmac.digest(b"sesame", signed.encode(), "sha256")).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60


@pytest.mark.parametrize(
    ("code", "headers", "error", "wait"),
    [
        (500, {}, NotConnected, None),
        (503, {"Retry-After": "7"}, Backoff, 7),
        (429, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, Backoff, 0),
        (429, {"Retry-After": "999999"}, Backoff, 3600),
        (429, {"Retry-After": "soon"}, NotConnected, None),
        (408, {}, NotConnected, None),
        (401, {}, ConnectorError, None),
        (404, {}, ConnectorError, None),
        (302, {"Location": "http://127.0.0.1:1/"}, ConnectorError, None),
        (307, {"Location": "http://127.0.0.1:1/"}, ConnectorError, None),
    ],
)
def test_what_the_server_answers_decides_whether_it_is_tried_again(
    web: Web, code: int, headers: dict[str, str], error: type[ConnectorError], wait: float | None
) -> None:
    web.answers.append((code, headers))
    writer, items = webhook.post(f"{web.url}{PATH}").open(None), [ALERT]
    with pytest.raises(ConnectorError) as raised:
        writer.write(items)
    assert type(raised.value) is error
    assert f"sink 'webhook_alerts': {web.url} answered {code} " in str(raised.value)
    assert "s3cr3t" not in str(raised.value)
    assert raised.value.__context__ is None or raised.value.__suppress_context__
    if wait is not None:
        assert getattr(raised.value, "wait", None) == wait
    writer.write(items)
    assert [body["id"] for body in web.bodies] == ["id-1-opened-0"]


def test_a_server_that_is_slow_or_not_there_is_tried_again(web: Web) -> None:
    slow = threading.Event()
    web.answers.append(slow)
    with pytest.raises(NotConnected, match="no answer in time"):
        webhook.post(web.url, timeout="50ms").open(None).write([ALERT])
    slow.set()
    with pytest.raises(NotConnected, match="nothing listens there"):
        webhook.post(f"http://127.0.0.1:{free_port()}").open(None).write([ALERT])


def test_a_server_is_trusted_by_its_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    with web_server(serving(*authority.sign("good"))) as web:
        writer = webhook.post(web.url, ca=authority.certificate).open(None)
        writer.write([ALERT])
        assert len(web.heard) == 1
        assert "its certificate is good" in webhook.post(web.url, ca=authority.certificate).probe()
        with pytest.raises(NotConnected, match=r"its certificate is not good: .*issuer"):
            webhook.post(web.url).open(None).write([ALERT])
        with pytest.raises(NotConnected, match="its certificate is not good"):
            webhook.post(web.url).probe()
    with web_server(serving(*authority.sign("other", host="DNS:other.example"))) as web:
        with pytest.raises(NotConnected, match=r"its certificate is not good: .*mismatch"):
            webhook.post(web.url, ca=authority.certificate).open(None).write([ALERT])
        assert web.heard == []
    plain = web.url.replace("https", "http")
    with pytest.raises(NotConnected):
        webhook.post(plain).open(None).write([ALERT])


def test_a_chat_gets_plain_words_and_an_address_from_the_environment(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_URL", f"{web.url}{PATH}")
    sink = chat.post(url_env="CHAT_URL", at_most="1 per hour")
    sink.check(SCHEMA)
    assert "s3cr3t" not in repr(sink)
    writer = sink.open(None)
    writer.write([ALERT, ALERT._replace(id="id-2", device="<!here>")])
    ((_, body),) = web.heard
    first, second, last = body["text"].splitlines()
    assert set(body) == {"text"}
    assert first == "pump-1: alert opened at 1970-01-01T00:00:00Z, t > 30"
    assert second.startswith("‹!here›: alert opened")
    assert last.startswith("The limit is reached")
    writer.write([ALERT._replace(fields={"status": "ongoing"})])
    writer.close()
    assert len(web.heard) == 1


def test_a_text_that_is_too_long_for_a_chat_is_cut(web: Web) -> None:
    many = [ALERT._replace(id=str(n), device="d" * 300, fields={"x": "y" * 300}) for n in range(20)]
    chat.post(url=web.url).open(None).write(many)
    assert len(web.bodies[0]["text"]) == 4000


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "give it one address: url=, url_env= or url_file="),
        ({"url": "http://a", "url_env": "CHAT_URL"}, "give it one address"),
        ({"url_env": "NO_SUCH"}, "url_env='NO_SUCH': the environment has no such variable"),
        ({"url": "ftp://host/s3cr3t"}, "the address is not like https://host/path"),
        ({"url": "https:///s3cr3t"}, "the address is not like https://host/path"),
        ({"url": "https://host:port/s3cr3t"}, "the address is not like https://host/path"),
        ({"url": "https://user:s3cr3t@host/"}, "the address holds a user or password"),
        ({"url": "https://host/s3cr3t\r\nX: y"}, "the address holds characters"),
        ({"url": "https://host/é"}, "the address holds characters that must be encoded"),
        ({"url": "https://host/", "at_most": "many"}, "at_most='many' is no limit"),
        ({"url": "https://host/", "timeout": "soon"}, "'soon' is not a duration"),
        ({"url": "https://host/", "of": "rows"}, "of='rows' would be a message for each"),
        ({"url": "https://host/", "ca": "/no/such"}, "cannot be used: No such file"),
    ],
)
def test_what_is_wrong_is_told_before_anything_runs(
    options: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_URL", "https://host/s3cr3t")
    for sink in (webhook.post(**options), chat.post(**options)):
        with pytest.raises(FlowError) as raised:
            sink.check(SCHEMA)
        assert told in str(raised.value)
        assert "s3cr3t" not in str(raised.value)


def test_a_secret_that_is_not_base64_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "whsec_s3cr3t!")
    with pytest.raises(FlowError, match="starts with whsec_ and is not base64") as raised:
        webhook.post("https://host/", secret_env="HOOK_SECRET").check(SCHEMA)
    assert "s3cr3t" not in str(raised.value)


def wait(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.005)


def test_the_alerts_of_a_flow_go_through_a_queue_while_the_server_fails(
    web: Web, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    web.answers += [(500, {}), (503, {"Retry-After": "0.05"})]
    rows = [{"device": "a", "time": i, "t": 40.0 if i % 2 else 20.0} for i in range(6)]
    alerts = (Flow("told", sensors=["t"]) | Alert("t > 30")).replay(rows).alerts
    with caplog.at_level(logging.DEBUG):
        writer = buffered(webhook.post(f"{web.url}{PATH}"), tmp_path / "queue").open(None)
        writer.write(alerts[:3])
        writer.write(alerts[3:])
        wait(lambda: len(web.heard) == 2)
        writer.close()
    events = [event for body in web.bodies for event in body["events"]]
    assert events == json.loads(json.dumps([alert.row() for alert in alerts]))
    assert len(events) == 5
    assert "answered 500" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_behind_a_queue_what_was_held_back_is_told_while_nothing_comes(
    web: Web, tmp_path: Path
) -> None:
    writer = buffered(chat.post(url=web.url, at_most="1 per 100ms"), tmp_path / "queue").open(None)
    for n in range(5):
        writer.write([ALERT._replace(id=f"id-{n}")])
    writer.snapshot()
    wait(lambda: len(web.heard) == 2)
    writer.close()
    assert "more, of 1970" in web.bodies[1]["text"]


def test_check_connects_and_posts_nothing(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.csv").write_text("device,time,t\na,0,1\n")
    Path("hooked.py").write_text(
        "from streamflow import Alert, Flow\n"
        "from streamflow_connectors import files, webhook\n"
        'flow = Flow("hooked", sensors=["t"]) | files.csv("in.csv") | Alert("t > 3") '
        f'| webhook.post("{web.url}")\n'
    )
    assert main(["check", "hooked.py", "--connect"]) == 0
    assert f"{web.url} can be reached; nothing was posted" in capsys.readouterr().out
    assert web.heard == []
