"""Events in plain words, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streamflow_connectors._notes import Note

from streamflow import Event, iso

QUIET = frozenset({("alert", "ongoing")})
"""Kind and status of what an episode says while it lasts: for machines, not for people."""
_EVENTS = 20
"""The most events that a message tells one by one."""
_LONGEST = 300
"""Of a word that comes from data, so many characters."""
_TOLD = ("status", "when", "since", "opened", "seconds", "readings", "explanation", "members")


def title(note: Note) -> str:
    """A message in one line."""
    if note.held:
        return f"{note.held.count} more, held back by the limit of {note.held.limit}"
    first, more = note.events[0], len(note.events) - 1
    return sentence(first) + (f"; and {more} more" if more else "")


def text(note: Note) -> str:
    """A message in lines, with explanations."""
    lines: list[str] = []
    if note.held:
        held = note.held.row()
        named = ", ".join(f"{clean(name)} ({count})" for name, count in held["devices"].items())
        lines += [
            f"{held['count']} more, of {held['from']} to {held['to']}, were held back by the "
            f"limit of {held['at_most']}: {named}"
        ]
    for event in note.events[:_EVENTS]:
        lines += [sentence(event), *(f"  {word}" for word in explained(event))]
    if len(note.events) > _EVENTS:
        names = {event.device for event in note.events[_EVENTS:]}
        lines.append(f"and {len(note.events) - _EVENTS} more on {_devices(len(names))}")
    if note.until is not None:
        lines.append(f"The limit is reached: what comes before {iso(note.until)} is summed up then")
    return "\n".join(lines)


def sentence(event: Event) -> str:
    """One event in one line.

    >>> fields = {"status": "opened", "when": "score > 4.5", "score": 7.25}
    >>> sentence(Event("1", "alert", "alert", "pump-1", 0, fields))
    'pump-1: alert opened at 1970-01-01T00:00:00Z, score > 4.5: score 7.25'
    """
    fields = event.fields
    status = f" {clean(fields['status'])}" if "status" in fields else ""
    words = f"{clean(event.kind)}{status} at {iso(event.time)}"
    if "when" in fields:
        words += f", {fields['when']}"  # of the flow, not of data
    if isinstance(fields.get("seconds"), (int, float)) and fields.get("status") != "opened":
        words += f", after {fields['seconds']:,.0f} s"
    if isinstance(fields.get("members"), (list, tuple)):
        words += f", with {_members(fields['members'], fields.get('devices'))}"
    else:
        words = f"{clean(event.device)}: {words}"
    rest = [f"{clean(name)} {_value(fields[name])}" for name in fields if _plain(fields, name)]
    return f"{words}: {', '.join(rest)}" if rest else words


def explained(event: Event) -> list[str]:
    """The explanation of an event, if it has one in words."""
    told = event.fields.get("explanation")
    words = told.get("words") if isinstance(told, Mapping) else told
    if isinstance(words, str):
        words = [words]
    return [clean(word) for word in words if word] if isinstance(words, (list, tuple)) else []


def _members(told: Sequence[Any], count: Any) -> str:
    """The devices that are in it; the first ones, if they are many, and how many more."""
    devices = [one.get("device") if isinstance(one, Mapping) else one for one in told]
    names = list(dict.fromkeys(clean(one) for one in devices))
    more = max(count if isinstance(count, int) else 0, len(names)) - len(names[:_EVENTS])
    return ", ".join(names[:_EVENTS]) + (f" and {more} more" if more > 0 else "")


def clean(value: Any) -> str:
    """Text of unknown origin in one line: it cannot call anybody, link, or start a header."""
    told = "".join(c if c.isprintable() else " " for c in str(value)[:_LONGEST])
    return told.translate(_HARMLESS)


_HARMLESS = str.maketrans({"<": "‹", ">": "›", "@": "@\u200b"})
"""Chats take <!channel> and @all for calls, <http://...> for links."""


def _plain(fields: Mapping[str, Any], name: str) -> bool:
    return name not in _TOLD and isinstance(fields[name], (int, float, str))


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else clean(value)


def _devices(count: int) -> str:
    return f"{count} device{'' if count == 1 else 's'}"
