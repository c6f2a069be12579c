"""Traces: what runs gave, device by device, and the first place where two of them differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from struct import pack
from typing import Any

from streamflow.core.batch import Batch
from streamflow.core.event import Event, iso
from streamflow.core.quality import Quality
from streamflow.engine.shard import Outcome

Key = tuple[str, str, str]
"""Rows, rejected or events; device; step."""

Entry = Mapping[str, Any]
Trace = dict[Key, list[Entry]]
"""Per device and step, since between them only the order of each is defined."""


def trace(outcome: Outcome) -> Trace:
    """All that came out."""
    out = trace_of(outcome.rows, outcome.events)
    for batch in outcome.rejected:
        for device, entry in _entries(batch):
            out.setdefault(("rejected readings", device, entry["step"]), []).append(entry)
    return out


def trace_of(rows: Iterable[Batch], events: Iterable[Event]) -> Trace:
    """Rows and events."""
    out: Trace = {}
    for batch in rows:
        for device, entry in _entries(batch):
            out.setdefault(("rows", device, ""), []).append(entry)
    for event in events:
        entry = {"id": event.id, "kind": event.kind, "time": event.time, **event.fields}
        out.setdefault(("events", event.device, event.step), []).append(entry)
    return out


def _entries(batch: Batch) -> Iterator[tuple[str, Entry]]:
    for i in range(len(batch)):
        entry: dict[str, Any] = {"time": batch.time[i].item(), "arrived": batch.arrived[i].item()}
        entry |= {name: values[i].item() for name, values in batch.columns.items()}
        entry |= {name: tag.at(i) for name, tag in batch.tags.items()}
        flagged = {name: flags[i].item() for name, flags in batch.quality.items() if flags[i]}
        entry |= {f"quality of {name}": Quality(flags) for name, flags in flagged.items()}
        if batch.reason is not None:
            entry["reason"] = batch.reason.at(i)
        yield batch.name(i), entry


def difference(expected: Trace, got: Trace, usual: str, changed: str) -> str | None:
    """Where two traces first differ, in words; `usual` and `changed` say how each came about."""
    for key in sorted(expected.keys() | got.keys()):
        what, device, step = key
        place = f"{what} of device {device!r}" + (f" from step {step!r}" if step else "")
        a, b = expected.get(key, []), got.get(key, [])
        for number, (one, other) in enumerate(zip_longest(a, b), 1):
            if one is None or other is None:
                which, extra = (changed, other) if one is None else (usual, one)
                counts = f"{len(a)} {usual}, {len(b)} {changed}"
                return f"{place}: {counts}; only {which}: {_shown(extra)}"
            for name in [*one, *(name for name in other if name not in one)]:
                x, y = one.get(name), other.get(name)
                if not _same(x, y):
                    when = f"number {number}, at {iso(one['time'])}"
                    return f"{place}, {when}: {name!r} is {x!r} {usual}, {y!r} {changed}"
    return None


def _same(x: Any, y: Any) -> bool:
    if isinstance(x, float) and isinstance(y, float):
        return pack("d", x) == pack("d", y) or (x != x and y != y)
    return bool(x == y) and isinstance(x, bool) == isinstance(y, bool)


def _shown(entry: Entry) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in entry.items())
