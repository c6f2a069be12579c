"""Sources and sinks as the engine knows them, and what travels between them and the formats."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from streamflow.core.batch import Batch, Rows
from streamflow.core.event import Event
from streamflow.core.schema import Schema

Position = Any
"""Where a source resumes: a plain number, string, list or dict."""

Outlet = Literal["rows", "alerts", "events", "rejected", "dead_letters"]
OUTLETS: tuple[Outlet, ...] = ("rows", "alerts", "events", "rejected", "dead_letters")


@dataclass(frozen=True)
class Message:
    """One message of a simple source, and where to resume behind it."""

    payload: bytes
    position: Position = None
    arrived: int | None = None


@dataclass(frozen=True)
class Messages:
    """Messages of one partition, in order.

    Parameters
    ----------
    payloads
        The bytes of each; none for a message that has no content, such as Kafka's tombstones.
    places
        Where each came from, for people: a line number, an offset.
    header
        What every payload needs to be understood, such as the header line of a CSV file.
    arrived
        When they came, ns UTC; None for history, where a reading arrives at its event time.
    fields
        What the transport itself says of each: a word of an MQTT topic, a Kafka key or header.
        The flow's name for the device, the time or a tag -> a string for each message. It counts
        more than what the payload says; where it is None, the payload counts. Names that the flow
        does not have are passed over.
    ids
        What makes each message itself, by which it is known when it comes again.
    """

    payloads: Sequence[bytes]
    places: Sequence[int | str]
    header: bytes = b""
    arrived: int | None = None
    fields: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    ids: Sequence[bytes] | None = None

    def take(self, rows: Sequence[int]) -> Messages:
        """Some of the messages, to be decoded: without ids."""
        return Messages(
            [self.payloads[i] for i in rows],
            [self.places[i] for i in rows],
            self.header,
            self.arrived,
            {name: [words[i] for i in rows] for name, words in self.fields.items()},
        )


@dataclass(frozen=True)
class DeadLetter:
    """A message that could not become a reading.

    `header`, `fields` and `arrived` are what `Messages` had for it: with them it can be decoded
    again.
    """

    payload: bytes
    reason: str
    source: str
    partition: str
    place: int | str
    byte: int | None = None
    header: bytes = field(default=b"", compare=False, repr=False)
    fields: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    arrived: int | None = field(default=None, compare=False, repr=False)

    def row(self) -> dict[str, Any]:
        """The dead letter as one flat dict."""
        return {
            "source": self.source,
            "partition": self.partition,
            "place": self.place,
            "byte": self.byte,
            "reason": self.reason,
            "payload": self.payload.decode("utf-8", "backslashreplace"),
        }


class Trouble(Protocol):
    """How a decoder reports a message that could not become a reading."""

    def __call__(self, i: int, reason: str, byte: int | None = None) -> None:
        """Message `i` is dead, for this reason, at this byte if it is known.

        It is dead once, for the first reason that is told.
        """


class Decoded(NamedTuple):
    """The readings of some messages: reading `k` came in message `message[k]`, never falling."""

    batch: Batch
    message: Rows


class Decoder(Protocol):
    """Turns the messages of one partition into a batch."""

    def decode(self, messages: Messages, dead: Trouble) -> Decoded:
        """All readings of the messages, in order.

        A message may hold several readings. If one of them cannot be used, the message is dead,
        and its other readings go on.
        """


class Format(Protocol):
    """Bytes to batches."""

    def decoder(self, schema: Schema) -> Decoder:
        """A decoder for one partition of a flow with this schema."""


@runtime_checkable
class Probed(Protocol):
    """A format that asks a server for its schemas."""

    def probe(self, subject: str) -> str:
        """Ask the server for what it has of `Source.subject`: a sentence; ConnectorError."""


class Reader(ABC):
    """An open partition of a source."""

    @abstractmethod
    def poll(self, limit: int) -> Messages | Batch | DeadLetter | None:
        """What is there, up to `limit` messages; None if nothing is now. Never waits.

        A dead letter is a message that the reader itself cannot hand on, such as an endless line.
        Raises EndOfStream if there will be no more, NotConnected or Backoff to be asked later.
        """

    @abstractmethod
    def position(self) -> Position:
        """Where to resume so that nothing given so far comes again."""

    def committed(self, position: Position) -> None:
        """Everything up to `position` is durable: acknowledge it."""

    def counts(self) -> Mapping[str, int]:
        """What it tells the metrics: what -> how many, such as {"reconnects": 2}."""
        return {}

    def next_poll(self) -> float:
        """Seconds to wait before polling again when nothing was there."""
        return 0.002

    def progress(self) -> float | None:
        """The fraction that has been read, if the whole is known."""
        return None

    def close(self) -> None:
        """Let go."""


@dataclass(frozen=True)
class Source(ABC):
    """Where messages come from. Frozen configuration; `open` gives a reader per partition.

    A simple source defines `open` as a generator of `Message`, or None for "nothing now". A full
    one returns a `Reader`.

    Parameters
    ----------
    name
        The step's name: it keys where the source resumes. Default: its kind.
    """

    name: str = field(default="", kw_only=True)

    @property
    def step(self) -> str:
        """The step's name."""
        return self.name or type(self).__name__.lower()

    @property
    def format(self) -> Format | None:
        """How its messages are decoded; None is JSON. Not asked where its readers give batches."""
        return None

    @property
    def subject(self) -> str:
        """What a schema registry calls the schemas of its messages; "" where that is not known."""
        return ""

    @property
    def pace(self) -> float:
        """How many times faster than it happened its history is given; inf is at once."""
        return float("inf")

    @property
    def promise(self) -> str:
        """What it can promise after a crash.

        "replay": it resumes at a position. "redeliver": the other side gives again what was not
        acknowledged. "none".
        """
        return "replay"

    @property
    def window(self) -> int:
        """How many messages of a partition may come again after a crash or a lost connection.

        The engine remembers the readings of so many, and counts each once, whichever partition
        it comes by. 0: none comes again, but those behind the position where it resumes.
        """
        return 0

    @property
    def caveats(self) -> Sequence[str]:
        """What its promise does not cover, a sentence each; `check` prints them."""
        return ()

    def check(self, schema: Schema) -> None:
        """Raise FlowError if it cannot be opened, before anything runs."""

    def probe(self) -> str:
        """Try the connection: a sentence about what was found. ConnectorError says what failed."""
        return "there is no connection to try"

    def partitions(self) -> Sequence[str]:
        """The names of its partitions."""
        return ["0"]

    @abstractmethod
    def open(self, partition: str, position: Position) -> Reader | Iterator[Message | None]:
        """Read a partition, after `position`; None is from the start."""


class Writer(ABC):
    """An open partition of a sink.

    Where the other side cannot be reached, `write` and `snapshot` raise NotConnected, or Backoff
    if they know for how long: the same is asked of the same writer again, all of it. Meanwhile the
    flow waits. Any other error ends the flow.
    """

    @abstractmethod
    def write(self, items: Batch | Sequence[Event] | Sequence[DeadLetter]) -> None:
        """Take rows or rejected readings (a batch), events, or dead letters."""

    def snapshot(self) -> Position:
        """Return only when all that was written is durable; where to resume."""
        return None

    def counts(self) -> Mapping[str, int]:
        """What it tells the metrics: what -> how many."""
        return {}

    def close(self) -> None:
        """Let go; the input is complete."""


@dataclass(frozen=True)
class Sink(ABC):
    """Where results go.

    Parameters
    ----------
    of
        What it takes: "rows", "alerts", "events", "rejected" or "dead_letters".
    where
        For rows: only those for which this expression holds.
    deliver
        "now", or "durable": only when the state that it comes from is durable, one epoch later,
        so that nothing is shown that a crash could take back.
    name
        The step's name: it keys where the sink resumes. Default: its kind and what it takes.
    """

    of: Outlet = field(default="rows", kw_only=True)
    where: str | None = field(default=None, kw_only=True)
    deliver: Literal["now", "durable"] = field(default="now", kw_only=True)
    name: str = field(default="", kw_only=True)

    @property
    def step(self) -> str:
        """The step's name."""
        return self.name or f"{type(self).__name__.lower()}_{self.of}"

    @property
    def promise(self) -> str:
        """What it does after a crash: "once" (rolls back to its snapshot), "upsert" or "repeat"."""
        return "repeat"

    @property
    def rolls_back(self) -> bool:
        """Whether `open` takes back what came after `resume`, so that it must be given again."""
        return self.promise == "once"

    def check(self, schema: Schema) -> None:
        """Raise FlowError if it cannot be opened, before anything runs."""

    def probe(self) -> str:
        """Try the connection: a sentence about what was found. ConnectorError says what failed."""
        return "there is no connection to try"

    @abstractmethod
    def open(self, resume: Position) -> Writer:
        """Start writing, behind `resume` if it is given; NotConnected or Backoff: asked again."""


def records(items: Batch | Iterable[Event] | Iterable[DeadLetter]) -> Iterator[Mapping[str, Any]]:
    """Anything a sink takes, as flat dicts; times of rows stay ns."""
    if isinstance(items, Batch):
        yield from items.rows()
    else:
        for item in items:
            yield item.row()
