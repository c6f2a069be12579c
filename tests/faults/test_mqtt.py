"""A flow between two topics of a real broker; both are killed, cut off, starved and come back."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from lab import FLOWS, PATIENCE, Lab, until

from streamflow.flow.load import load_flow

sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))

from certificates import Authority
from mosquitto import MakeBroker, Mosquitto, Person, brokers, free_port
from proxy import Proxy

MESSAGES, KILLS = 5_000, 3
"""Every day."""
MANY = 100_000
"""When tortured."""
DEVICES = 40

Message = tuple[str, bytes]
Alerts = list[tuple[str, str]]
MakeLab = Callable[..., Lab]
Observe = Callable[[str, str, str], None]


@pytest.fixture
def make_broker(tmp_path: Path, missing: Callable[[str], None]) -> Iterator[MakeBroker]:
    """Make brokers that are started."""
    with brokers(tmp_path, missing) as make:
        yield make


@pytest.fixture
def broker(make_broker: MakeBroker) -> Mosquitto:
    """A broker that keeps all it is given, in memory."""
    return make_broker()


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


def test_kill(
    broker: Mosquitto,
    make_lab: MakeLab,
    rng: random.Random,
    torture: int,
    observe: Observe,
) -> None:
    count, kills = (MANY, torture) if torture else (MESSAGES, KILLS)
    said = messages(count, rng)
    lab = make_lab("broker", PORT=str(broker.port))
    with broker.client() as person, broker.client(client_id="listener") as heard:
        heard.listen("alerts/#")
        lab.kill(begun(lab))  # the session is there, so the broker keeps what comes
        share = count // (kills + 1)
        for number in range(kills):
            process = lab.start("--epoch=200ms", f"--workers={rng.choice([1, 2])}")
            part = said[number * share : (number + 1) * share]
            talk = threading.Thread(target=person.say, args=(part,))
            talk.start()
            more = lab.size("rows.jsonl") + rng.uniform(0, 1) * share * 90
            lab.wait_for(process, lambda more=more: lab.size("rows.jsonl") >= more)
            lab.kill(process)
            talk.join()
        person.say(said[kills * share :])
        process = lab.start("--epoch=200ms")
        settled(lab, count)
        until(lambda: all_heard(heard, lab))
        balance = stop(lab, process)
        compare(lab, said, heard, balance)
        twice = len(heard.heard) - len({m.payload for m in heard.heard})
    observe(
        "kill -9 of a flow between two topics of a broker",
        "0 missing, 0 counted twice, the alerts of an undisturbed run by id",
        f"as expected, after {kills} kills in {count:,} messages: {balance['redelivered']:,} "
        f"readings came again and were recognised, {twice} alerts were published twice",
    )


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


def test_a_kill_after_the_commit_and_before_the_acknowledgement(
    broker: Mosquitto, make_lab: MakeLab, rng: random.Random, observe: Observe
) -> None:
    said = messages(500, rng)
    lab = make_lab("broker", PORT=str(broker.port))
    with broker.client() as person, broker.client(client_id="listener") as heard:
        heard.listen("alerts/#")
        lab.kill(begun(lab))
        person.say(said)
        dying = make_lab("broker", PORT=str(broker.port), UNACKNOWLEDGED="1")
        assert dying.state == lab.state
        assert dying.start("--epoch=200ms").wait(PATIENCE) == -signal.SIGKILL
        process = begun(lab)
        again = re.compile(r"streamflow_readings_redelivered_total\{.*\} [1-9]")
        until(lambda: again.search(scraped(lab, process)))
        settled(lab, len(said))
        until(lambda: all_heard(heard, lab))
        balance = stop(lab, process)
        compare(lab, said, heard, balance)
    assert balance["redelivered"] > 0
    observe(
        "kill -9 after an epoch is durable and before the broker hears of it",
        "what comes again is recognised and not counted",
        f"{balance['redelivered']:,} readings came again, 0 of {len(said):,} counted twice",
    )


def test_a_broker_that_is_restarted_or_absent_at_the_start_is_waited_for(
    make_broker: MakeBroker,
    make_lab: MakeLab,
    rng: random.Random,
    tmp_path: Path,
    torture: int,
    observe: Observe,
) -> None:
    kept = (
        "max_queued_messages 0",
        "persistence true",
        "autosave_interval 1",
        f"persistence_location {tmp_path}/",
    )
    broker = make_broker(settings=kept)
    broker.stop()
    said = messages(1_500, rng)
    lab = make_lab("broker", PORT=str(broker.port))
    process = lab.start("--epoch=200ms", "--metrics=0")
    until(lambda: "nothing listens there" in lab.log(process))
    broker.start()
    until(lambda: connected(lab, process))
    away = 600 if torture else 0.5
    for part in range(3):
        with broker.client() as person:
            person.say(said[part * 500 : part * 500 + 500])
        if part < 2:
            broker.stop()
            time.sleep(away if part else 0)
            broker.start()
    settled(lab, len(said))
    balance = stop(lab, process)
    rows, expected = undisturbed(said, lab.folder)
    assert given(lab) == rows
    assert alerts(lab) == expected
    assert balance["out"] == len(said)
    assert "the broker no longer has the session" not in lab.log(process)
    observe(
        f"MQTT: the broker is absent at the start, then restarted twice, away for {away:g} s",
        "the flow waits, connects by itself, and loses nothing",
        f"one process to the end; 0 of {len(said):,} messages missing, 0 counted twice",
    )


def test_a_broker_that_is_killed_and_loses_its_sessions_is_noticed(
    broker: Mosquitto, make_lab: MakeLab, rng: random.Random, observe: Observe
) -> None:
    said = messages(600, rng)
    lab = make_lab("broker", PORT=str(broker.port))
    process = begun(lab)
    with broker.client() as person:
        person.say(said[:300])
    settled(lab, 300)
    broker.kill()
    until(lambda: "no connection to" in lab.log(process))
    broker.start()  # it keeps nothing on disk
    until(lambda: "the broker no longer has the session of 'flow'" in lab.log(process))
    until(lambda: connected(lab, process))
    assert 'step="mqtt",what="lost_sessions"} 1.0' in scraped(lab, process)
    with broker.client() as person, broker.client(client_id="listener") as heard:
        heard.listen("alerts/#")
        person.say(said[300:])
        settled(lab, len(said))
        assert stop(lab, process)["out"] == len(said)
    assert given(lab) == undisturbed(said, lab.folder)[0]
    observe(
        "MQTT: kill -9 of a broker that keeps no sessions on disk",
        "the lost session is counted and told; the flow goes on",
        "noticed at the next connection; lost_sessions 1; everything else in its place",
    )


def test_a_black_hole_is_noticed_by_keepalive_and_nothing_is_lost(
    broker: Mosquitto, make_lab: MakeLab, rng: random.Random, observe: Observe
) -> None:
    proxy = Proxy(broker.port)
    said = messages(1_000, rng)
    lab = make_lab("broker", PORT=str(proxy.port), OUT_PORT=str(broker.port), KEEPALIVE="1s")
    process = begun(lab)
    with broker.client() as person, broker.client(client_id="listener") as heard:
        heard.listen("alerts/#")
        person.say(said[:500])
        settled(lab, 400)
        proxy.passes.clear()
        person.say(said[500:])
        began = time.monotonic()
        until(lambda: "no connection to" in lab.log(process))
        took = time.monotonic() - began
        proxy.cut()
        proxy.passes.set()
        settled(lab, len(said))
        until(lambda: all_heard(heard, lab))
        compare(lab, said, heard, stop(lab, process))
    proxy.close()
    observe(
        "MQTT: a black hole: nothing passes, and no connection is refused; keepalive of 1 s",
        "keepalive notices; nothing is lost",
        f"noticed after {took:.1f} s; 0 of {len(said):,} messages missing, 0 counted twice",
    )


def test_a_slow_and_broken_way_to_the_broker_loses_nothing(
    broker: Mosquitto, make_lab: MakeLab, rng: random.Random, observe: Observe
) -> None:
    proxy = Proxy(broker.port, delay=0.25)
    said = messages(1_000, rng)
    lab = make_lab("broker", PORT=str(proxy.port), OUT_PORT=str(proxy.port))
    process = begun(lab)
    with broker.client() as person, broker.client(client_id="listener") as heard:
        heard.listen("alerts/#")
        for part in range(4):
            person.say(said[part * 250 : part * 250 + 250])
            time.sleep(rng.uniform(0, 0.5))
            if part < 3:
                proxy.cut()
        settled(lab, len(said))
        until(lambda: all_heard(heard, lab))
        balance = stop(lab, process)
        compare(lab, said, heard, balance)
    proxy.close()
    observe(
        "MQTT: half a second of latency, and 3 broken connections",
        "nothing is lost",
        f"0 of {len(said):,} messages missing, 0 counted twice; {balance['redelivered']:,} "
        f"readings came again",
    )


def test_a_broker_that_takes_no_alerts_holds_the_flow_up_and_memory_stays_bounded(
    broker: Mosquitto, make_lab: MakeLab, rng: random.Random, observe: Observe
) -> None:
    proxy = Proxy(broker.port)
    said = messages(4_100, rng, pad=30_000)  # 120 MB
    ports = {"PORT": str(broker.port), "OUT_PORT": str(proxy.port)}
    lab = make_lab("broker", **ports, RECEIVE_MAXIMUM="500", NUMBA_DISABLE_JIT="0")
    process = begun(lab)
    with broker.client() as person, broker.client(client_id="listener") as heard:
        heard.listen("alerts/#")
        person.say(said[:100])
        settled(lab, 100)
        proxy.passes.clear()
        before = resident(process.pid)
        person.say(said[100:])
        assert len(lab.lines("rows.jsonl")) < 1_500  # the broker keeps the others
        grown = (resident(process.pid) - before) / 1e6
        assert grown < 50
        proxy.cut()
        proxy.passes.set()
        settled(lab, len(said))
        until(lambda: all_heard(heard, lab))
        compare(lab, said, heard, stop(lab, process))
    proxy.close()
    observe(
        "MQTT: the broker takes no alerts while 120 MB of readings come; receive_maximum of 500",
        "the flow waits; its memory stays bounded; nothing is lost",
        f"{grown:.0f} MB more; 0 of {len(said):,} messages missing, 0 counted twice",
    )


def resident(pid: int) -> int:
    """Bytes of a process in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def test_sigstop_until_the_broker_has_given_up(
    broker: Mosquitto, make_lab: MakeLab, rng: random.Random, torture: int, observe: Observe
) -> None:
    seconds = 60 if torture else 3
    said = messages(1_000, rng)
    lab = make_lab("broker", PORT=str(broker.port), KEEPALIVE="1s")
    process = begun(lab)
    with broker.client() as person, broker.client(client_id="listener") as heard:
        heard.listen("alerts/#")
        person.say(said[:500])
        process.send_signal(signal.SIGSTOP)
        person.say(said[500:])
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)
        settled(lab, len(said))
        until(lambda: all_heard(heard, lab))
        compare(lab, said, heard, stop(lab, process))
    observe(
        f"MQTT: SIGSTOP for {seconds} s, with a keepalive of 1 s",
        "the broker gives up; the flow connects again, and stale acknowledgements are not sent",
        f"0 of {len(said):,} messages missing, 0 counted twice",
    )


def test_a_certificate_that_expires_is_replaced_while_the_flow_runs(
    make_broker: MakeBroker,
    make_lab: MakeLab,
    rng: random.Random,
    tmp_path: Path,
    need: Callable[[str, str], str],
    observe: Observe,
) -> None:
    need("openssl", "for certificates")
    ours = Authority(tmp_path / "ours")
    server, server_key = ours.sign("server")
    good, good_key = ours.sign("good")
    late, late_key = ours.sign("late", days=-1)
    mine, key = tmp_path / "mine.pem", tmp_path / "mine.key"
    tls = (
        f"cafile {ours.certificate}",
        f"certfile {server}",
        f"keyfile {server_key}",
        "require_certificate true",
        "allow_anonymous true",
    )
    settings = ("max_queued_messages 0", "listener {} 127.0.0.1")
    plain = free_port()
    broker = make_broker(listener=tls, settings=(settings[0], settings[1].format(plain)))
    said = messages(600, rng)

    def renew(certificate: Path, of: Path) -> None:
        shutil.copy(certificate, mine)
        shutil.copy(of, key)

    renew(good, good_key)
    where = {"PORT": str(broker.port), "OUT_PORT": str(plain)}
    own = {"CA": str(ours.certificate), "CERTIFICATE": str(mine), "KEY": str(key)}
    lab = make_lab("broker", **where, **own)
    process = begun(lab)
    with Person.of(plain) as person, Person.of(plain, client_id="listener") as heard:
        heard.listen("alerts/#")
        person.say(said[:300])
        settled(lab, 300)
        renew(late, late_key)
        broker.stop()
        broker.start()
    with Person.of(plain) as person:
        until(lambda: "certificate= has expired; renew it" in lab.log(process))
        renew(good, good_key)
        until(lambda: connected(lab, process))
        person.say(said[300:])
        settled(lab, len(said))
        assert stop(lab, process)["out"] == len(said)
    assert given(lab) == undisturbed(said, lab.folder)[0]
    observe(
        "MQTT: the certificate of the flow expires and is replaced",
        "a clear error; the flow connects by itself once it is replaced",
        "“certificate= has expired; renew it”; connected again without a restart",
    )


def test_a_poison_message_is_a_dead_letter_and_the_flow_lives(
    broker: Mosquitto, make_lab: MakeLab, rng: random.Random, observe: Observe
) -> None:
    said = messages(100, rng)
    poison = [b"\xff\xfe", b"{", b"[" * 100_000, b"", b"null", b'{"time": "soon", "t": 1}']
    lab = make_lab("broker", PORT=str(broker.port))
    process = begun(lab)
    with broker.client() as person, broker.client(client_id="listener") as heard:
        heard.listen("alerts/#")
        person.say(said[:50])
        person.say([("plant/north/bad/telemetry", payload) for payload in poison])
        person.say(said[50:])
        settled(lab, len(said))
        until(lambda: len(lab.lines("dead.jsonl")) == len(poison))
        until(lambda: all_heard(heard, lab))
        balance = stop(lab, process)
        compare(lab, said, heard, balance)
    assert balance["dead"] == len(poison)
    observe(
        "MQTT: messages that nobody can read",
        "dead letters; the flow lives",
        f"{len(poison)} of {len(poison)} are dead letters; the rest as if they were not there",
    )
