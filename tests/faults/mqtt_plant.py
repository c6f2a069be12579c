"""The flow "broker": what devices say to it, what it should make of it, and what it did."""

from __future__ import annotations

import json
import random
import signal
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from lab import FLOWS, Lab, until
from mosquitto import Person

from streamflow.flow.load import load_flow

DEVICES = 40

Message = tuple[str, bytes]
Alerts = list[tuple[str, str]]


def messages(count: int, rng: random.Random, pad: int = 0) -> list[Message]:
    """What devices say, a second apart, each with so many bytes of padding."""
    out = []
    for i in range(count):
        device, site = f"m{rng.randrange(DEVICES)}", rng.choice(["north", "south"])
        said = {"time": 1_700_000_000 + i, "t": round(rng.uniform(0, 100), 3), "pad": "x" * pad}
        out.append((f"plant/{site}/{device}/telemetry", json.dumps(said).encode()))
    return out


def undisturbed(said: Sequence[Message], folder: Path) -> tuple[dict[str, list[Any]], Alerts]:
    """Each device's rows in order, and all alerts, if nothing happens."""
    path = folder / "said.jsonl"
    with path.open("w") as file:
        for topic, payload in said:
            _, site, device, _ = topic.split("/")
            file.write(json.dumps({"device": device, "site": site, **json.loads(payload)}) + "\n")
    result = load_flow(str(FLOWS / "broker.py")).replay(path)
    rows: dict[str, list[Any]] = defaultdict(list)
    for row in result.rows.rows():
        rows[row["device"]].append((row["t"], row["total"], row["count"]))
    return rows, sorted((alert.id, alert.fields["status"]) for alert in result.alerts)


def given(lab: Lab) -> dict[str, list[Any]]:
    """Each device's rows in order, as the flow wrote them down."""
    rows: dict[str, list[Any]] = defaultdict(list)
    for line in lab.lines("rows.jsonl"):
        row = json.loads(line)
        rows[row["device"]].append((row["t"], row["total"], row["count"]))
    return rows


def alerts(lab: Lab) -> Alerts:
    """The alerts that the flow wrote down."""
    return sorted(map(about, lab.lines("alerts.jsonl")))


def about(alert: str | bytes) -> tuple[str, str]:
    """The id of an alert, and whether it was opened or closed."""
    row = json.loads(alert)
    return row["id"], row["status"]


def settled(lab: Lab, count: int) -> None:
    """Wait until the flow has written so many rows."""
    size = -1

    def enough() -> bool:
        nonlocal size
        if lab.size("rows.jsonl") == size:
            return False
        size = lab.size("rows.jsonl")
        return len(lab.lines("rows.jsonl")) >= count

    until(enough)


def stop(lab: Lab, process: Any) -> dict[str, Any]:
    """Let it end in good order; its balance."""
    process.send_signal(signal.SIGTERM)
    ended = lab.end(process)
    assert ended.code == 0, ended.err
    assert ended.balance["adds_up"]
    return ended.balance


def compare(lab: Lab, said: Sequence[Message], heard: Person, balance: dict[str, Any]) -> None:
    """0 missing, 0 counted twice, the same alerts; published at least once each."""
    rows, expected = undisturbed(said, lab.folder)
    assert given(lab) == rows
    assert alerts(lab) == expected
    assert expected
    assert balance["out"] == len(said)
    assert {about(message.payload) for message in heard.heard} == set(expected)


def begun(lab: Lab) -> Any:
    """The flow, once its session is there."""
    process = lab.start("--epoch=200ms", "--metrics=0")
    lab.wait_for(process, lambda: connected(lab, process))
    return process


def all_heard(heard: Person, lab: Lab) -> bool:
    """Whether somebody has heard all alerts that the flow wrote down."""
    return len({message.payload for message in heard.heard}) >= len(alerts(lab))


def connected(lab: Lab, process: Any) -> bool:
    """Whether its source is connected."""
    return 'step="mqtt",what="connected"} 1.0' in scraped(lab, process)


def scraped(lab: Lab, process: Any) -> str:
    """Its metrics; none before they are served."""
    text = lab.log(process)
    if "metrics at " not in text:
        return ""
    return str(urlopen(text.split("metrics at ")[1].split()[0]).read().decode())
