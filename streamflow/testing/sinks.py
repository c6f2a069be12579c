"""The contract of a sink, as a check that every sink can run: nothing lost, nothing twice.

Processes of their own write to the sink and end without a warning, as after kill -9. A rule that
is broken is an AssertionError that names it.
"""

from __future__ import annotations

import os
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, Literal

import numpy as np

from streamflow.core.batch import Batch, Words
from streamflow.core.connect import DeadLetter, Position, Sink
from streamflow.core.event import Event
from streamflow.core.quality import Quality
from streamflow.engine.plain import from_plain, to_plain
from streamflow.errors import StateError

Items = Batch | Sequence[Event] | Sequence[DeadLetter]
Act = Items | Literal["snapshot", "close"]

KEPT = "what is written is there after snapshot() and close()"
DURABLE = "snapshot() returns only when all is durable"
PLAIN = "a snapshot is a plain number, string, list or dict"
RESUMED = "open(resume) goes on behind what was there at the snapshot"
ROLLED_BACK = 'promise="once": what came after the snapshot is taken back, a torn item too'
UPSERTED = 'promise="upsert": an item that comes again is still there once'
REPEATED = 'promise="repeat": an item is there at least once'
FRESH = 'promise="once": open(None) starts anew, whatever a crash has left there'
EMPTY = "nothing to write is nothing to fail on"
_PROMISES = {"once": ROLLED_BACK, "upsert": UPSERTED, "repeat": REPEATED}


def check_sink(
    make_sink: Callable[[], Sink],
    read_back: Callable[[], Sequence[str]],
    *,
    tear: Callable[[], None] | None = None,
) -> None:
    r"""Check that a sink keeps the contract of `Sink` and `Writer`, and what its `promise` says.

    It is given what its `of` says, among it missing values, quality flags and empty batches.

    Parameters
    ----------
    make_sink
        Makes the sink: equal each time, with one target.
    read_back
        What is there now, in the order written: for each row or event its `device`, for each dead
        letter its `payload`.
    tear
        Leaves half an item at the end of the target, as a crash can; None if it cannot.

    Raises
    ------
    AssertionError
        Names the rule that is broken, and shows what was written and what is there.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> from streamflow_connectors import files
    >>> path = Path(tempfile.mkdtemp(), "rows.jsonl")
    >>> def devices() -> list[str]:
    ...     return [json.loads(line)["device"] for line in path.read_text().splitlines()]
    >>> check_sink(lambda: files.jsonl(path, of="rows"), devices)
    """
    _Check(make_sink, read_back, tear or (lambda: None)).all()


class _Check:
    def __init__(
        self,
        make_sink: Callable[[], Sink],
        read_back: Callable[[], Sequence[str]],
        tear: Callable[[], None],
    ) -> None:
        self._make_sink, self._read_back, self._tear = make_sink, read_back, tear
        self._promise = make_sink().promise
        self._of = make_sink().of
        if self._promise not in _PROMISES:
            raise AssertionError(f"promise={self._promise!r}: it is one of {list(_PROMISES)}")
        self._numbers = count(1)

    def all(self) -> None:
        """Every rule."""
        # A sink that does not start anew would break the other rules, too.
        self._keeps_what_is_written()
        self._starts_anew()
        self._snapshots_are_durable()
        self._goes_on()
        self._survives_a_crash()
        self._takes_nothing()

    def _keeps_what_is_written(self) -> None:
        first, second = self._some(), self._some()
        self._live(KEPT, None, first, second, "snapshot", "close")
        self._expect(KEPT, first, second)

    def _snapshots_are_durable(self) -> None:
        some = self._some()
        self._live(DURABLE, None, some, "snapshot")
        self._expect(DURABLE, some)

    def _goes_on(self) -> None:
        first, second = self._some(), self._some()
        position = self._live(RESUMED, None, first, "snapshot", "close")
        again = self._live(RESUMED, position, "snapshot", "snapshot", "close")
        self._live(RESUMED, again, second, "snapshot", "close")
        self._expect(RESUMED, first, second)

    def _survives_a_crash(self) -> None:
        rule = _PROMISES[self._promise]
        first, second, third = self._some(), self._some(), self._some()
        position = self._live(rule, None, first, "snapshot", second)
        self._tear()
        self._live(rule, position)
        self._live(rule, position, second, third, "snapshot", "close")
        self._expect(rule, first, second, third)

    def _starts_anew(self) -> None:
        rule = FRESH if self._promise == "once" else _PROMISES[self._promise]
        some = self._some()
        self._live(rule, None, some)
        self._tear()
        self._live(rule, None, some, "snapshot", "close")
        self._expect(rule, some)

    def _takes_nothing(self) -> None:
        some = self._some()
        nothing = some.take(np.arange(0)) if isinstance(some, Batch) else some[:0]
        position = self._live(EMPTY, None, nothing, "snapshot", some, nothing, "snapshot")
        self._live(EMPTY, position, nothing, "snapshot", "close")
        self._expect(EMPTY, some)

    def _some(self) -> Items:
        return _items(self._of, [f"item-{next(self._numbers)}" for _ in range(3)])

    def _expect(self, rule: str, *written: Items) -> None:
        """What was written is there as often as the promise says."""
        wanted = [name for items in written for name in _names(items)]
        with _naming(rule):
            # Where nothing is ever taken back, what other rules wrote is still there.
            everything = list(self._read_back())
        there = [n for n in everything if self._promise == "once" or n in set(wanted)]
        if self._promise == "once":
            good = there == wanted
        elif self._promise == "upsert":
            good = Counter(there) == Counter(wanted)
        else:
            good = set(there) == set(wanted)
        if not good:
            raise AssertionError(f"{rule}: written were {wanted}, there are {there}")

    def _live(self, rule: str, resume: Position, *acts: Act) -> Position:
        """Do something with the sink in a process that ends at once; its last snapshot."""
        ours, theirs = os.pipe()
        with warnings.catch_warnings():
            # Python 3.12 warns of threads; the child uses nothing that they could hold.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if not child:
            os.close(ours)
            with os.fdopen(theirs, "wb") as out:
                out.write(_life(self._make_sink, resume, acts))
            os._exit(0)
        os.close(theirs)
        with os.fdopen(ours, "rb") as pipe:
            told = pipe.read()
        os.waitpid(child, 0)
        if not told.startswith(b"position"):
            raise AssertionError(f"{rule}: {told.decode()}")
        with _naming(PLAIN):
            return from_plain(told.removeprefix(b"position"))


def _life(make_sink: Callable[[], Sink], resume: Position, acts: Sequence[Act]) -> bytes:
    try:
        writer = make_sink().open(resume)
        position = resume
        for act in acts:
            if act == "close":
                writer.close()
            elif act == "snapshot":
                position = writer.snapshot()
            elif not isinstance(act, str):
                writer.write(act)
        return b"position" + to_plain(position)
    except BaseException:  # noqa: BLE001 - whatever it is, the parent is told
        return traceback.format_exc().encode()


@contextmanager
def _naming(rule: str) -> Iterator[None]:
    """What goes wrong is the breaking of this rule."""
    try:
        yield
    except (StateError, ValueError, LookupError) as error:
        raise AssertionError(f"{rule}: {type(error).__name__}: {error}") from error


def _items(of: str, names: Sequence[str]) -> Items:
    """One item for each name."""
    if of in ("alerts", "events"):
        kind = "alert" if of == "alerts" else "drift"
        fields = {"status": "opened", "score": 0.5, "open": True, "note": None}
        return [Event(f"id-{name}", kind, "step", name, 10**9, fields) for name in names]
    if of == "dead_letters":
        where = ("source", "0")
        return [DeadLetter(n.encode(), "not JSON", *where, i, None) for i, n in enumerate(names)]
    rows: list[dict[str, Any]] = [
        {"device": name, "time": i * 10**9, "site": "north" if i else None, "t": 20.5}
        for i, name in enumerate(names)
    ]
    del rows[-1]["t"]
    batch = Batch.of(rows, ["t"], ["site"])
    batch = batch.mark("t", np.arange(len(batch)) == 1, Quality.IMPUTED)
    if of == "rejected":
        zeros = np.zeros(len(batch), np.int32)
        batch = batch.replace(
            reason=Words(zeros, ["late"]), tags={**batch.tags, "step": Words(zeros, ["reorder"])}
        )
    return batch


def _names(items: Items) -> list[str]:
    if isinstance(items, Batch):
        return [items.name(i) for i in range(len(items))]
    return [i.device if isinstance(i, Event) else i.payload.decode() for i in items]
