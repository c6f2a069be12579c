"""The way between a flow and its broker: cut, slow, silent, not trusted; and a flow that sleeps."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from certificates import Authority
from lab import Lab, until
from mosquitto import MakeBroker, Mosquitto, Person, free_port
from mqtt_plant import (
    about,
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
from proxy import Proxy

MakeLab = Callable[..., Lab]
Observe = Callable[[str, str, str], None]


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
    broker: Mosquitto, make_lab: MakeLab, rng: random.Random, torture: int, observe: Observe
) -> None:
    delay = 0.25 if torture else 0.1
    proxy = Proxy(broker.port, delay=delay)
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
        f"MQTT: {2000 * delay:.0f} ms of latency, and 3 broken connections with what is on its way",
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


def test_alerts_wait_on_disk_while_their_broker_is_away(
    broker: Mosquitto,
    make_broker: MakeBroker,
    make_lab: MakeLab,
    rng: random.Random,
    torture: int,
    observe: Observe,
) -> None:
    away = 600 if torture else 0
    there = make_broker()
    proxy = Proxy(there.port)
    said = messages(1_000, rng)
    lab = make_lab("broker", PORT=str(broker.port), OUT_PORT=str(proxy.port), QUEUE="queue")
    process = begun(lab)
    with broker.client() as person, there.client(client_id="listener") as heard:
        heard.listen("alerts/#")
        person.say(said[:200])
        settled(lab, 200)
        until(lambda: all_heard(heard, lab))
        proxy.refuses.set()
        proxy.cut()
        person.say(said[200:])
        settled(lab, len(said))  # the flow does not wait
        time.sleep(away)
        waiting = int(float(scraped(lab, process).split("streamflow_buffer_items{")[1].split()[1]))
        assert waiting > 0
        proxy.refuses.clear()
        until(lambda: all_heard(heard, lab))
        compare(lab, said, heard, stop(lab, process))
        in_order = list(dict.fromkeys(about(message.payload) for message in heard.heard))
        assert in_order == [about(line) for line in lab.lines("alerts.jsonl")]
    proxy.close()
    observe(
        f"MQTT: the broker that takes the alerts is away{f' for {away} s' if away else ''}, "
        f"buffered(...)",
        "the flow goes on, alerts wait on disk, and drain in order",
        f"0 of {len(said):,} readings waited; {waiting} alerts did, and came in order, each there",
    )
