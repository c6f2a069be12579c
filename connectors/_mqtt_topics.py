"""Topics of MQTT: templates such as `plant/{site}/{device}/telemetry`, read and filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from streamflow.errors import FlowError

_NAME = re.compile(r"\{(\w+)\}")
_LONGEST = 65_535
_CACHED = 100_000
"""Topics whose words are remembered."""


class Topics:
    """What a source subscribes to, and the words that it takes from the topics of messages.

    A template is a filter of MQTT in which `{name}` stands for `+`: the word there is the
    device, the time or a tag of that name. `$share/GROUP/` may stand before it.

    >>> topics = Topics("source 'mqtt'", ["plant/{site}/{device}/telemetry"])
    >>> topics.filters, topics.names
    (['plant/+/+/telemetry'], ['site', 'device'])
    >>> topics.words(b"plant/north/pump-1/telemetry")
    ('north', 'pump-1')
    """

    def __init__(self, place: str, templates: Sequence[str]) -> None:
        self.filters: list[str] = []
        self.names: list[str] = []
        self._patterns: list[tuple[re.Pattern[str], list[str]]] = []
        self._known: dict[bytes, tuple[str | None, ...] | str] = {}
        for template in templates:
            self._add(place, template)
        self._none = (None,) * len(self.names)

    @property
    def shared(self) -> list[str]:
        """The filters that are shared among connections."""
        return [topic for topic in self.filters if topic.startswith("$share/")]

    def _add(self, place: str, template: str) -> None:
        names = _NAME.findall(template)
        shared, topic = _split(place, template)
        levels = topic.split("/")
        pattern = []
        for number, level in enumerate(levels):
            name = _NAME.fullmatch(level)
            whole = name or level in ("+", "#")
            if not whole and ("{" in level or "}" in level or "+" in level or "#" in level):
                raise _wrong(place, template, f"{level!r}: {{name}}, + and # fill a level alone")
            if level == "#" and number < len(levels) - 1:
                raise _wrong(place, template, "# may only stand at the end")
            pattern.append("[^/]*" if level == "+" else "([^/]*)" if name else re.escape(level))
        if len(names) != len(set(names)):
            raise _wrong(place, template, "a name stands in it twice")
        if "\0" in template or not topic or len(template.encode()) > _LONGEST:
            raise _wrong(place, template, f"a topic has 1 to {_LONGEST:,} bytes, none of them 0")
        regex = "/".join(pattern)
        if levels[-1] == "#":  # a/# is a, too
            regex = "/".join(pattern[:-1]) + "(?:/.*)?" if pattern[:-1] else ".*"
        self._patterns.append((re.compile(regex, re.DOTALL), names))
        self.filters.append(shared + _NAME.sub("+", topic))
        self.names += [name for name in names if name not in self.names]

    def words(self, topic: bytes) -> tuple[str | None, ...] | str:
        """The words of a topic, one for each of `names`; a string says why it has none."""
        known = self._known.get(topic)
        if known is None:
            if len(self._known) >= _CACHED:
                self._known.clear()
            known = self._known[topic] = self._read(topic)
        return known

    def _read(self, topic: bytes) -> tuple[str | None, ...] | str:
        try:
            text = topic.decode()
        except UnicodeDecodeError:
            return "its topic is not UTF-8"
        for pattern, names in self._patterns:
            found = pattern.fullmatch(text)
            if found:
                words = dict(zip(names, found.groups(), strict=True))
                return tuple(words.get(name) or None for name in self.names)
        return "its topic is none of this source's"


def _split(place: str, template: str) -> tuple[str, str]:
    """The `$share/GROUP/` of a template, and what follows it."""
    if not template.startswith("$share/"):
        return "", template
    _, group, topic = [*template.split("/", 2), "", ""][:3]
    if not group or not topic or "+" in group or "#" in group:
        raise _wrong(place, template, "a shared topic is $share/GROUP/TOPIC")
    return f"$share/{group}/", topic


def _wrong(place: str, template: str, why: str) -> FlowError:
    return FlowError(f"{place}: topic {template!r} is not valid: {why}")


class Address:
    """The topic of each item that a sink takes: a template filled in from its fields.

    What is no word of a topic in a field (`/`, `+`, `#`) becomes `_`; what is missing, too.

    >>> Address("sink 'mqtt_alerts'", "alerts/{device}").of({"device": "hall 3/pump+1"})
    'alerts/hall 3_pump_1'
    """

    def __init__(self, place: str, template: str) -> None:
        self.names = _NAME.findall(template)
        fixed = _NAME.sub("", template)
        if not template or any(c in fixed for c in "+#{}\0") or template.startswith("$"):
            raise _wrong(place, template, "a sink publishes to one topic: no +, no #, no $share")
        self._template = template

    def of(self, row: Mapping[str, Any]) -> str:
        """The topic for an item."""
        return _NAME.sub(lambda found: _word(row.get(found[1])), self._template)


def _word(value: Any) -> str:
    text = "" if value is None else str(value)
    return re.sub(r"[/+#\0]", "_", text) or "_"
