"""Notes: what people are told, one message each, out of the events of a flow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from streamflow import Event, iso

Row = Mapping[str, Any]
_DEVICES = 20
"""The most devices that a summary names."""


@dataclass(frozen=True)
class Note:
    """One message.

    Parameters
    ----------
    key
        The same whenever it tells the same: by it a receiver knows that it has come again.
    events
        What it tells.
    held
        What a limit held back, if it tells that.
    until
        The limit is reached with this message: so long, ns UTC, what comes is held back.
    """

    key: str
    events: Sequence[Event] = ()
    held: Held | None = None
    until: int | None = None


@dataclass
class Held:
    """What a limit holds back: counted, to be told in one message."""

    limit: str
    count: int = 0
    first: int = 0
    last: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    devices: Counter[str] = field(default_factory=Counter)
    key: str = ""

    def add(self, note: Note) -> None:
        """Hold a message back."""
        for event in note.events:
            self.first = min(self.first, event.time) if self.count else event.time
            self.last = max(self.last, event.time)
            self.count += 1
            self.kinds[event.kind] += 1
            self.devices[event.device] += 1
        if len(self.devices) > 10 * _DEVICES:
            kept = dict(self.devices.most_common(5 * _DEVICES))
            kept.pop("", 0)  # the devices that are no longer told apart
            self.devices = Counter({**kept, "": self.devices.total() - sum(kept.values())})
        self.key = _hash([self.key, note.key])

    def tree(self) -> dict[str, Any]:
        """As plain values, for snapshots."""
        return {**vars(self), "kinds": dict(self.kinds), "devices": dict(self.devices)}

    @staticmethod
    def of(tree: Mapping[str, Any]) -> Held:
        """Out of plain values."""
        counters = {name: Counter(tree[name]) for name in ("kinds", "devices")}
        return Held(**{**tree, **counters})

    def row(self) -> dict[str, Any]:
        """As a message for machines has it."""
        named = [(name, count) for name, count in self.devices.most_common() if name][:_DEVICES]
        return {
            "at_most": self.limit,
            "count": self.count,
            "from": iso(self.first),
            "to": iso(self.last),
            "kinds": dict(self.kinds),
            "devices": dict(named),
        }


def notes(events: Iterable[Event]) -> list[Note]:
    """Events that were delivered together: a message for each incident, and one for the rest.

    An alert belongs to the incident that names it among its `members`.
    """
    listed = list(events)
    of: dict[str, str] = {}
    for event in listed:
        if event.kind == "incident":
            of[event.id] = event.id
            of |= dict.fromkeys(_members(event.fields.get("members")), event.id)
    groups: dict[str, list[Event]] = {}
    for event in listed:
        groups.setdefault(of.get(event.id, ""), []).append(event)
    for group in groups.values():
        group.sort(key=lambda event: event.kind != "incident")
    return [Note(_key(group), group) for group in groups.values()]


def _members(told: Any) -> list[str]:
    if not isinstance(told, (list, tuple)):
        return []
    ids = (one.get("id") if isinstance(one, Mapping) else one for one in told)
    return [one for one in ids if isinstance(one, str)]


def _key(events: Sequence[Event]) -> str:
    """Of one event its id and what became of it; of several a hash of theirs."""
    keys = []
    for event in events:
        told = (event.id, event.fields.get("status"), str(event.time))
        keys.append("-".join(str(part) for part in told if part is not None))
    return keys[0] if len(keys) == 1 else _hash(keys)


def _hash(keys: Iterable[str]) -> str:
    return blake2b("\x1f".join(keys).encode(), digest_size=12).hexdigest()
