"""A flow between two topics of a real broker; both are killed, and come back."""

from __future__ import annotations

import random
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lab import PATIENCE, Lab, until
from mosquitto import MakeBroker, Mosquitto
from mqtt_plant import (
    alerts,
    all_heard,
    begun,
    compare,
    connected,
    given,
    messages,
    scraped,
    settled,
    stop,
    undisturbed,
)

MESSAGES, KILLS = 5_000, 3
"""Every day."""
MANY = 100_000
"""When tortured."""
MakeLab = Callable[..., Lab]
Observe = Callable[[str, str, str], None]


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
            # Alerts, one of ten messages, are heard at once: so it dies within an epoch.
            more = len(heard.heard) + rng.uniform(0, 0.05) * share
            lab.wait_for(process, lambda more=more: len(heard.heard) > more)
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
        "MQTT: kill -9 of a flow between two topics of a broker, 1 worker or 2",
        "0 missing, 0 counted twice, the alerts of an undisturbed run by id",
        f"as expected, after {kills} kills in {count:,} messages: of {len(alerts(lab)):,} alerts "
        f"{twice} were published twice, and {balance['redelivered']:,} readings that were durable "
        f"came again and were recognised",
    )


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
        "MQTT: kill -9 after an epoch is durable and before the broker hears of it",
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
