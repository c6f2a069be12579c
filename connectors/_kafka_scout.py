"""Finds out, beside the flow, which partitions a topic has and where to start reading them."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from streamflow_connectors._kafka_client import AWAY, PATIENCE, REFUSED, SOON, Ear, Servers

from streamflow import SystemClock
from streamflow.errors import ConnectorError, FlowError, NotConnected

LOG = logging.getLogger("streamflow.kafka")
LOOK = 3.0
"""Seconds between two looks for new partitions."""
T = TypeVar("T")


@dataclass(frozen=True)
class Topic:
    """A topic as its servers describe it: its id, which a topic made anew does not share."""

    id: str
    partitions: tuple[int, ...]


class Desk:
    """Asks the servers about a topic. What they do not answer is said in plain words.

    Raises NotConnected where another try may help, ConnectorError where it will not.
    """

    def __init__(self, servers: Servers, place: str, topic: str, *, reading: bool) -> None:
        self._servers, self._place, self._topic = servers, place, topic
        self._reading = reading
        self._ear, self._clock = Ear(), SystemClock()
        config = {**servers.properties(place), **_common(servers.config), "error_cb": self._ear}
        self._admin: AdminClient = client(AdminClient, place, config)

    def describe(self, give_up: Callable[[], bool] = lambda: False) -> Topic:
        """The topic as it is now."""
        asked = self._admin.describe_topics(
            TopicCollection([self._topic]), request_timeout=PATIENCE
        )
        told: Any = self._answer(asked[self._topic], give_up)
        return Topic(str(told.topic_id), tuple(part.id for part in told.partitions))

    def offsets(
        self, partitions: Iterable[int], spec: OffsetSpec, give_up: Callable[[], bool]
    ) -> dict[int, int]:
        """partition -> offset; -1 if there is none, for a time that has not come."""
        wanted = {TopicPartition(self._topic, number): spec for number in partitions}
        asked = self._admin.list_offsets(wanted, request_timeout=PATIENCE)
        return {at.partition: self._answer(asked[at], give_up).offset for at in asked}

    def _answer(self, asked: Future[T], give_up: Callable[[], bool]) -> T:
        began = self._clock.monotonic()
        while not asked.done():
            self._admin.poll(0.02)
            heard = self._ear.heard.name() if self._ear.heard else ""
            tried = (self._clock.monotonic() - began) / 1e9
            if give_up() or heard in REFUSED or (heard in AWAY and tried > SOON):
                break
        try:
            told = asked.result(0)
        except KafkaException as error:
            raise self._said(self._ear.cause(kafka_error(error))) from None
        except TimeoutError:
            raise self._said(self._ear.heard or KafkaError(KafkaError._TIMED_OUT)) from None
        self._ear.heard = None
        return told

    def _said(self, error: KafkaError) -> ConnectorError:
        self._ear.heard = None  # the next question may go better
        text = f"{self._place}: {self._servers.sentence(error, self._topic, reading=self._reading)}"
        return ConnectorError(text) if error.name() in REFUSED else NotConnected(text)


def client(kind: Callable[[dict[str, Any]], T], place: str, config: dict[str, Any]) -> T:
    """A client; FlowError if what `config` says is not possible."""
    try:
        return kind(config)
    except (KafkaException, ValueError, TypeError) as error:
        raise FlowError(f"{place}: {kafka_error(error).str()}; correct config=") from None


def kafka_error(error: BaseException) -> KafkaError:
    """What a KafkaException is about."""
    about = error.args[0] if error.args else None
    return about if isinstance(about, KafkaError) else KafkaError(KafkaError._FAIL, str(error))


def _common(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a consumer's or producer's properties is for every client."""
    kinds = ("socket.", "broker.", "security.", "sasl.", "ssl.", "client.", "reconnect.", "retry.")
    return {name: value for name, value in config.items() if name.startswith(kinds)}


@dataclass
class Orders:
    """What a scout is to find out.

    Parameters
    ----------
    mine
        Whether a partition is for this reader.
    start
        Where to start in partitions that are there when the topic is first seen; see `start_at`.
    lost
        What to do about an offset that the log does not hold: "stop", "earliest" or "latest".
    topic
        The id of the topic that `offsets` belong to; "" is not known.
    offsets
        Where to go on: partition -> offset of the next message. The reader keeps it up to date.
    fresh
        Whether the topic has never been seen: later its new partitions are read from their start.
    """

    mine: Callable[[int], bool]
    start: str | int
    lost: str
    topic: str = ""
    offsets: dict[int, int] = field(default_factory=dict)
    fresh: bool = True


class Scout:
    """A thread that looks for partitions every few seconds and says where to start in each.

    What it has found is in `found`, what ends the reading in `failed`.
    """

    def __init__(self, desk: Desk, place: str, orders: Orders) -> None:
        self._desk, self._place, self._orders = desk, place, orders
        self.found: deque[tuple[str, dict[int, int]]] = deque()
        """The topic's id, and partition -> offset, for the reader to take."""
        self.failed: ConnectorError | None = None
        self.lost = 0
        """Messages that were deleted before they were read."""
        self._known: set[int] = set()
        self._astray: deque[int] = deque()
        self._told = ""
        self._seen = False
        self._end, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="streamflow-kafka", daemon=True)
        self._thread.start()

    def again(self, partition: int) -> None:
        """Find out where to go on in a partition whose log does not hold the next offset."""
        self._astray.append(partition)
        self._wake.set()

    def close(self) -> None:
        """End the thread."""
        self._end.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        tries = 0
        while not self._end.is_set():
            wait = LOOK
            tries += 1
            try:
                self._look()
            except NotConnected as error:
                if tries > 1:  # once may be a partition that moves to another server
                    self._warn(str(error), ". It goes on once there is one")
                wait = min(0.2 * tries, 1.0)
            except ConnectorError as error:
                if not self._seen or isinstance(error, Lost):
                    self.failed = error
                    return
                self._warn(str(error), "")
            else:
                if self._told:
                    LOG.warning("%s: connected", self._place)
                self._told, tries = "", 0
            self._wake.wait(wait)
            self._wake.clear()

    def _warn(self, text: str, more: str) -> None:
        """Say it once, not with every try."""
        if text != self._told and not self._end.is_set():
            LOG.warning("%s%s", text, more)
        self._told = text

    def _look(self) -> None:
        orders, quit_ = self._orders, self._end.is_set
        topic = self._desk.describe(quit_)
        anew = bool(orders.topic) and topic.id != orders.topic
        if anew:
            self._known.clear()
        while self._astray:
            self._known.discard(self._astray.popleft())
        wanted = [n for n in topic.partitions if orders.mine(n) and n not in self._known]
        if wanted or not self._seen or anew:
            starts = self._starts(wanted, anew) if wanted else {}
            self.found.append((topic.id, starts))
            self._known.update(wanted)
        orders.topic, orders.fresh, self._seen = topic.id, False, True

    def _starts(self, wanted: list[int], anew: bool) -> dict[int, int]:
        orders, quit_ = self._orders, self._end.is_set
        low = self._desk.offsets(wanted, OffsetSpec.earliest(), quit_)
        high = self._desk.offsets(wanted, OffsetSpec.latest(), quit_)
        timed: dict[int, int] = {}
        if isinstance(orders.start, int):
            timed = self._desk.offsets(wanted, OffsetSpec.for_timestamp(orders.start), quit_)
        out = {}
        for n in wanted:
            if n in orders.offsets:
                out[n] = self._resumed(n, orders.offsets[n], low[n], high[n], anew)
            elif orders.fresh and orders.start == "latest":
                out[n] = high[n]
            elif orders.fresh and n in timed:
                out[n] = high[n] if timed[n] < 0 else timed[n]
            else:
                out[n] = low[n]
        return out

    def _resumed(self, number: int, offset: int, low: int, high: int, anew: bool) -> int:
        if low <= offset <= high and not anew:
            return offset
        why = "the topic was deleted and created anew" if anew else "its messages are gone"
        text = (
            f"{self._place}: partition {number} was read up to offset {offset:,}, and the log now "
            f"holds {low:,} to {high:,}: {why}"
        )
        if self._orders.lost == "stop":
            raise Lost(
                f'{text}. Say lost="earliest" to go on with the oldest message there is, '
                f'lost="latest" with the next one to come, or start with --from-position'
            )
        to = low if self._orders.lost == "earliest" else high
        lost = 0 if anew else max(low - offset, 0)
        self.lost += lost
        gone = f"; {lost:,} messages are lost" if lost else ""
        LOG.warning("%s%s; going on at %s", text, gone, f"{to:,}")
        return to


class Lost(ConnectorError):
    """The log does not hold what is to be read next."""
