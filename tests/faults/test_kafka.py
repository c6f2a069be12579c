"""Kafka: the flow is killed, the servers are killed, the log is not what it was."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from kafka_lab import Kafka
from kafka_plant import Input, Plant, pause
from lab import Lab

MakeLab = Callable[..., Lab]
Observe = Callable[[str, str, str], None]
COUNT = 6_000
KILLS = 3


def test_kill(
    make_lab: MakeLab, kafka: Kafka, rng: random.Random, torture: int, observe: Observe
) -> None:
    count, kills = (200_000, torture) if torture else (COUNT, KILLS)
    plant = Plant.make(make_lab, kafka, partitions=3, PAUSE="0" if torture else "0.0002")
    input_ = Input.of(count, rng)
    sender = plant.send_slowly(input_, seconds=count / (2500 if torture else 1000))
    workers = at_work = 0
    for number in range(kills):
        workers = workers % 2 + 1
        process = plant.start(workers)
        if rng.random() < 0.8:
            # Fewer than there will be, so that all kills find the flow at work.
            enough = (number + rng.random()) / (kills + 1) * 0.02 * count
            began = sum(kafka.ends(plant.alerts).values())
            plant.lab.wait_for(
                process,
                lambda: sum(kafka.ends(plant.alerts).values()) > max(began, enough),  # noqa: B023
            )
            at_work += 1
        else:
            plant.lab.runs_for(process, rng.uniform(0, 1.5))
        plant.lab.kill(process)
    sender.join()
    ended = plant.finish(plant.start(workers % 2 + 1), seconds=60 + count / 500)
    alerts, again = plant.compare(ended, input_)
    observe(
        "Kafka: kill -9 of a flow between two topics, workers alternating 1 and 2",
        "no message missing or counted twice; each alert at least once, with the same id",
        f"{count:,} messages, {kills} kills, {at_work} of them at work and the others while it "
        f"starts: 0 missing, 0 counted twice; all {alerts:,} alerts "
        f"there, {again:,} of them shown again",
    )


def test_the_servers_are_away_and_come_again(
    make_lab: MakeLab, kafka: Kafka, rng: random.Random, torture: int, observe: Observe
) -> None:
    seconds = 30 if torture else 1
    plant = Plant.make(make_lab, kafka, partitions=2, CONNECTIONS="2", PAUSE="0.0002")
    first, then = Input.of(2000, rng), Input.of(4000, rng, first=2000)
    kafka.send(plant.topic, first.messages)
    kafka.broker.kill()
    process = plant.start(workers=2)
    assert plant.lab.wait_for(process, lambda: "no answer from" in plant.lab.log(process))
    kafka.broker.start()
    plant.wait_reading(process)
    sender = plant.send_slowly(then, seconds=2)
    time.sleep(rng.uniform(0, 1.5))
    pause(process, seconds)
    sender.join()
    kafka.broker.kill()
    kafka.broker.start()
    assert kafka.broker.process is not None
    pause(kafka.broker.process, seconds)
    alerts, again = plant.compare(plant.finish(process), first + then)
    observe(
        f"Kafka: absent at the start, killed, SIGSTOP for {seconds} s, in which it takes "
        f"connections and answers nothing; SIGSTOP of the flow for {seconds} s",
        "the flow waits, goes on, and loses nothing",
        f"one process to the end; {len((first + then).messages):,} messages, 0 missing, 0 counted "
        f"twice; all {alerts} alerts there, {again} of them shown again",
    )


def test_alerts_that_cannot_be_delivered_stop_the_flow_before_it_commits(
    make_lab: MakeLab, kafka: Kafka, rng: random.Random, observe: Observe
) -> None:
    plant = Plant.make(make_lab, kafka, partitions=2)
    kafka.delete(plant.alerts)
    input_ = Input.of(3000, rng)
    kafka.send(plant.topic, input_.messages)
    ended = plant.lab.end(plant.start())
    assert ended.code == 1
    assert "messages were not delivered, so the flow stops" in ended.err
    assert f"has no topic '{plant.alerts}': create it" in ended.err
    durable = kafka.committed(plant.topic, "plant")
    assert max(durable.values()) <= 0, "only where it began"
    kafka.topic(name=plant.alerts)
    alerts, _ = plant.compare(plant.finish(plant.start()), input_)
    observe(
        "Kafka: it does not take the alerts, for their topic was deleted",
        "the flow stops before anything is durable; the next start delivers them",
        f"exit 1, nothing committed; then all {alerts} alerts",
    )
