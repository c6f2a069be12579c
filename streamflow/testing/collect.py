"""Collect: a sink that keeps in memory what it is given, for tests in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streamflow.core.batch import Batch
from streamflow.core.connect import DeadLetter, Position, Sink, Writer, records
from streamflow.core.event import Event


@dataclass(frozen=True)
class Collect(Sink):
    """Keeps what it is given in a list; works for every outlet and any number of threads.

    Parameters
    ----------
    items
        What came, in order: batches of rows or of rejected readings, events, dead letters.

    Examples
    --------
    >>> from streamflow import Alert, Flow
    >>> from streamflow.engine.rows import Rows
    >>> alerts = Collect(of="alerts")
    >>> hot = Rows([{"device": "a", "time": 0, "t": 31.0}])
    >>> balance = (Flow("doc", sensors=["t"]) | hot | Alert("t > 30") | alerts).run()
    >>> [row["device"] for row in alerts.rows]
    ['a']
    """

    items: list[Any] = field(default_factory=list, init=False, compare=False, repr=False)

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        """All that came, as flat dicts."""
        parts = [item if isinstance(item, Batch) else [item] for item in self.items]
        return [row for part in parts for row in records(part)]

    def open(self, resume: Position) -> Writer:
        """Start collecting, behind what has been collected."""
        return _Appending(self.items)


class _Appending(Writer):
    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def write(self, items: Batch | Sequence[Event] | Sequence[DeadLetter]) -> None:
        # One call, which a list does atomically: several writers may share it.
        self._items.extend([items] if isinstance(items, Batch) else items)
