"""E-mail on a real SMTP server: STARTTLS, logins, refusals, and no password in any error."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from listener import Mailbox, free_port, serving, smtp_server
from streamflow_connectors import email

from streamflow import Event, Flow
from streamflow.errors import ConnectorError, FlowError, NotConnected

SCHEMA = Flow("any", sensors=["t"]).schema
ALERT = Event("id-1", "alert", "alert", "pump-1", 0, {"status": "opened", "when": "t > 30"})
LOGIN = ("flow", "s3cr3t-pass")


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with smtp_server() as box:
        yield box


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ca")


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ssl.SSLContext:
    return serving(*authority.sign("mail"))


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", LOGIN[1])
    monkeypatch.setenv("SMTP_WRONG", "s3cr3t-wrong")


def sink(box: Mailbox | int, *to: str, **options: Any) -> email.Email:
    port = box if isinstance(box, int) else box.port
    options = {"tls": "none", "timeout": "5s", **options}
    return email.send(
        *(to or ("ops@plant.example",)),
        sender="flow@plant.example",
        server=f"127.0.0.1:{port}",
        **options,
    )


def test_an_email_is_plain_words_with_a_stable_id(box: Mailbox) -> None:
    told = ALERT._replace(fields={**ALERT.fields, "explanation": {"words": "bar fell – to 2"}})
    mail = sink(box, "ops@plant.example", "Boss <boss@plant.example>")
    mail.check(SCHEMA)
    for _ in range(2):
        mail.open(None).write([told])
    one, again = box.mails
    assert box.to[0] == ["ops@plant.example", "boss@plant.example"]
    assert one["Subject"] == "pump-1: alert opened at 1970-01-01T00:00:00Z, t > 30"
    assert one["Message-ID"] == again["Message-ID"] == "<id-1-opened-0@streamflow>"
    assert one.get_content().splitlines()[1] == "  bar fell – to 2"


def test_a_device_cannot_add_a_header(box: Mailbox) -> None:
    sink(box).open(None).write([ALERT._replace(device="a\r\nBcc: x@y.example")])
    (mail,) = box.mails
    assert mail["Bcc"] is None
    assert box.to == [["ops@plant.example"]]


def test_it_logs_in_behind_starttls(tls: ssl.SSLContext, authority: Authority) -> None:
    with smtp_server(LOGIN, tls) as box:
        options = {"tls": "starttls", "ca": authority.certificate, "user": "flow"}
        mail = sink(box, **options, password_env="SMTP_PASSWORD")
        mail.check(SCHEMA)
        assert "lets us in; nothing was sent" in mail.probe()
        mail.open(None).write([ALERT])
        assert (len(box.mails), box.logins) == (1, 2)
        with pytest.raises(ConnectorError, match="refuses the login, code 535") as raised:
            sink(box, **options, password_env="SMTP_WRONG").open(None).write([ALERT])
        assert not isinstance(raised.value, NotConnected)
        assert "s3cr3t" not in str(raised.value)
        assert raised.value.__suppress_context__
        with pytest.raises(NotConnected, match="its certificate is not good"):
            sink(box, tls="starttls", user="flow", password_env="SMTP_PASSWORD").probe()
        assert box.logins == 2, "no password goes to a server that is not trusted"


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_it_logs_in_behind_tls(tls: ssl.SSLContext, authority: Authority) -> None:
    with smtp_server(LOGIN, tls, from_the_start=True) as box:
        options = {"tls": "tls", "ca": authority.certificate, "user": "flow"}
        sink(box, **options, password_env="SMTP_PASSWORD").open(None).write([ALERT])
        assert (len(box.mails), box.logins) == (1, 1)


def test_a_server_without_starttls_gets_nothing(box: Mailbox) -> None:
    with pytest.raises(ConnectorError, match="offers no STARTTLS"):
        sink(box, tls="starttls").open(None).write([ALERT])
    assert box.mails == []


@pytest.mark.parametrize(("code", "later"), [(451, True), (552, False)])
def test_a_refusal_that_may_pass_is_tried_again(box: Mailbox, code: int, later: bool) -> None:
    box.codes.append(code)
    writer, items = sink(box).open(None), [ALERT]
    with pytest.raises(ConnectorError, match=f"refuses the e-mail, code {code}") as raised:
        writer.write(items)
    assert isinstance(raised.value, NotConnected) == later
    writer.write(items)
    assert len(box.mails) == 1


def test_addresses_that_do_not_exist(box: Mailbox, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConnectorError, match="refuses every address, code 550"):
        sink(box, "nobody@plant.example").open(None).write([ALERT])
    sink(box, "nobody@plant.example", "ops@plant.example").open(None).write([ALERT])
    assert "the server refuses 1 of the addresses" in caplog.text
    assert box.to == [["ops@plant.example"]]


def test_a_server_that_is_slow_or_not_there_is_tried_again() -> None:
    with pytest.raises(NotConnected, match="nothing listens there"):
        sink(free_port()).open(None).write([ALERT])
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,  # takes calls and says nothing
        pytest.raises(NotConnected, match="it hung up, or did not answer in time"),
    ):
        sink(silent.getsockname()[1], timeout="50ms").open(None).write([ALERT])


def test_a_limit_sums_up(box: Mailbox) -> None:
    writer = sink(box, at_most="1 per hour").open(None)
    for n in range(4):
        writer.write([ALERT._replace(id=f"id-{n}")])
    writer.close()
    assert [mail["Subject"][:20] for mail in box.mails] == [
        "pump-1: alert opened",
        "3 more, held back by",
    ]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"to": ()}, "nobody to write to"),
        ({"to": "ops@plant.example"}, "nobody to write to"),
        ({"to": ("ops",)}, "'ops' is no address"),
        ({"to": ("a@b\r\nBcc: c@d",)}, "is no address"),
        ({"server": "mail:smtp"}, "server='mail:smtp' is not host or host:port"),
        ({"server": "mail:0"}, "is not host or host:port"),
        ({"tls": "maybe"}, 'tls=\'maybe\'; "starttls", "tls" or "none"'),
        ({"user": "flow"}, "user= and password_env= (or _file=) belong together"),
        ({"password_env": "SMTP_PASSWORD"}, "belong together"),
        ({"user": "flow", "password_env": "NO_SUCH"}, "the environment has no such variable"),
        (
            {"user": "flow", "password_env": "SMTP_PASSWORD", "tls": "none"},
            'tls="none" would send the password in the clear',
        ),
        ({"of": "rows"}, "of='rows' would be a message for each"),
        ({"at_most": "few"}, "at_most='few' is no limit"),
        ({"timeout": "soon"}, "'soon' is not a duration"),
        ({"ca": Path(__file__)}, "cannot be used"),
    ],
)
def test_what_is_wrong_is_told_before_anything_runs(options: dict[str, Any], told: str) -> None:
    given = {"to": ("ops@plant.example",), "sender": "flow@plant.example", "server": "mail"}
    with pytest.raises(FlowError) as raised:
        email.Email(**{**given, "of": "alerts", **options}).check(SCHEMA)
    assert told in str(raised.value)
    assert "s3cr3t" not in str(raised.value)
