"""What a person reads when the power fails: an incident on real web and mail servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from listener import Mailbox, Web, smtp_server, web_server
from streamflow_connectors import chat, email, webhook

from streamflow import Alert, Flow, Incidents
from streamflow.engine.rows import Rows

START = 1_767_225_600
"""2026-01-01."""
PUMPS, FAILS, BACK = 4, 60, 75
"""Three of the four pumps fail in this minute, and come back in that one."""
Told = list[str]


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Web, Web, Mailbox]]:
    """For programs, for a chat, for mail."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with web_server() as programs, web_server() as room, smtp_server() as box:
        monkeypatch.setenv("CHAT_URL", room.url)
        yield programs, room, box


def readings() -> Iterator[dict[str, Any]]:
    for minute in range(90):
        for pump in range(PUMPS):
            failing = FAILS <= minute < BACK and pump < PUMPS - 1
            amps = 90.0 + (minute == FAILS + 3) * 60 if failing else 4 + (minute % 3) / 8
            yield {"device": f"pump-{pump}", "time": START + 60 * minute + pump, "amps": amps}


def explained(pump: int) -> str:
    return (
        f"pump-{pump}: alert opened at 2026-01-01T01:00:0{pump}Z, amps > 50: "
        f"amps 90, severity moderate\n  amps is 90 where 4.1"
    )


def closed(pump: int) -> str:
    return f"pump-{pump}: alert closed at 2026-01-01T01:15:0{pump}Z, amps > 50, after 900 s"


OPENED = (
    "incident opened at 2026-01-01T01:00:02Z, with pump-0, pump-1, pump-2: "
    "began 2026-01-01T01:00:00Z, devices 3, alerts 3"
)
CLOSED = (
    "incident closed at 2026-01-01T01:15:02Z, after 902 s, with pump-0, pump-1, pump-2: "
    "began 2026-01-01T01:00:00Z, devices 3, alerts 3"
)


def test_an_incident_is_told_in_words_with_its_devices_and_each_alert_with_its_explanation(
    servers: tuple[Web, Web, Mailbox],
) -> None:
    programs, room, box = servers
    (
        Flow("pumps", sensors=["amps"])
        | Rows(list(readings()))
        | Alert("amps > 50", severe="amps > 100", update="1m", explain=True)
        | Incidents("10m", devices=3)
        | webhook.post(programs.url, of="events")
        | chat.post(url_env="CHAT_URL", of="events")
        | email.send(
            "ops@plant.example",
            sender="flow@plant.example",
            server=f"127.0.0.1:{box.port}",
            tls="none",
            of="events",
        )
    ).run()
    mails = ["\n".join(mail.get_content().splitlines()) for mail in box.mails]
    for told in ([body["text"] for body in room.bodies], mails):
        reads_well(told)
    subjects = [mail["Subject"] for mail in box.mails]
    assert f"{OPENED}; and 1 more" in subjects
    events = [event for body in programs.bodies for event in body["events"]]
    (incident,) = [e for e in events if (e["kind"], e["status"]) == ("incident", "opened")]
    alerts = [e for e in events if (e["kind"], e["status"]) == ("alert", "opened")]
    assert {m["id"] for m in incident["members"]} == {alert["id"] for alert in alerts}
    assert {alert["explanation"]["cause"] for alert in alerts} == {"machine"}
    assert "ongoing" in {event["status"] for event in events}, "programs are told all"


def reads_well(told: Told) -> None:
    """What stands in the messages, in whatever order the shards gave them."""
    lines = "\n".join(told).splitlines()
    assert OPENED in lines
    assert CLOSED in lines
    for pump in range(PUMPS - 1):
        (message,) = [one for one in told if one.startswith(explained(pump))]
        assert message.splitlines()[1].endswith("it looks like the machine: its values are good")
        assert any(line.startswith(closed(pump)) for line in lines)
    assert not any("ongoing" in line for line in lines), "that it goes on is no news"
    assert not any("pump-3" in line for line in lines)
