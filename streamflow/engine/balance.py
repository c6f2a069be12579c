"""The balance: what came in is what went out, was set aside or is held. For every run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

_REASONS = 100
_DEVICES = 1_000
"""So many entries by device are kept; of more, the larger half."""
_WORST = 5


@dataclass
class Balance:
    """Counts of a run; `adds_up` is true unless something was lost.

    messages: received = decoded + dead
    readings: in + created = out + merged + rejected + held + redelivered
    """

    received: int = 0
    decoded: int = 0
    dead: int = 0
    readings: int = 0
    created: int = 0
    out: int = 0
    merged: int = 0
    held: int = 0
    redelivered: int = 0
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(step, reason) -> readings."""
    flagged: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(sensor, flag) -> values, as they left the flow."""
    by_device: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(device, sensor or step, flag or reason) -> values flagged or readings rejected.

    Of the devices with most; exact until there are more than 1,000 such entries in a shard.
    """

    @property
    def adds_up(self) -> bool:
        """Whether both lines balance."""
        messages = self.received == self.decoded + self.dead
        out = self.out + self.merged + self.rejected.total() + self.held + self.redelivered
        return messages and self.readings + self.created == out

    def reject(self, step: str, reason: str, count: int = 1, device: str = "") -> None:
        """Count rejected readings; a step's hundredth and later reasons go by "other reasons"."""
        if (step, reason) not in self.rejected:
            known = sum(1 for at, _ in self.rejected if at == step)
            reason = reason if known < _REASONS else "other reasons"
        self.rejected[step, reason] += count
        if device:
            self._blame(device, step, reason, count)

    def flag(self, sensor: str, flag: str, devices: Mapping[str, int]) -> None:
        """Count flagged values: device -> how many."""
        self.flagged[sensor, flag] += sum(devices.values())
        for device, count in devices.items():
            self._blame(device, sensor, flag, count)

    def _blame(self, device: str, where: str, why: str, count: int) -> None:
        self.by_device[device, where, why] += count
        if len(self.by_device) > _DEVICES:
            self.by_device = Counter(dict(self.by_device.most_common(_DEVICES // 2)))

    def forget(self, devices: Collection[str]) -> None:
        """Keep nothing by the names of these devices."""
        gone = set(devices)
        kept = {key: count for key, count in self.by_device.items() if key[0] not in gone}
        self.by_device = Counter(kept)

    def add(self, other: Balance) -> None:
        """Add another shard's or worker's counts."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def lines(self) -> list[str]:
        """The balance in words.

        >>> Balance(received=3, decoded=2, dead=1, readings=2, out=2).lines()
        ['messages  3 received = 2 decoded + 1 dead', 'readings  2 in = 2 out']
        """
        words = [
            _sum("messages", [(self.received, "received")])
            + _side([(self.decoded, "decoded"), (self.dead, "dead")]),
            _sum("readings", [(self.readings, "in"), (self.created, "created")])
            + _side(
                [
                    (self.out, "out"),
                    (self.merged, "merged"),
                    (self.rejected.total(), "rejected"),
                    (self.held, "held"),
                    (self.redelivered, "redelivered"),
                ]
            ),
        ]
        return words if self.adds_up else [*words, "THE BALANCE DOES NOT ADD UP"]

    def quality(self) -> list[str]:
        """What was wrong with the data, in words: by sensor, by step, and the worst devices.

        >>> Balance(flagged=Counter({("bar", "out_of_range"): 3})).quality()
        ['flagged   bar: 3 out_of_range']
        """
        lines = [f"flagged   {line}" for line in _grouped(self.flagged)]
        lines += [f"rejected  {line}" for line in _grouped(self.rejected)]
        total = Counter[str]()
        for (device, _, _), count in self.by_device.items():
            total[device] += count
        for device, _ in total.most_common(_WORST):
            mine = Counter({k[1:]: n for k, n in self.by_device.items() if k[0] == device})
            lines.append(f"worst     {device}: {'; '.join(_grouped(mine))}")
        return lines

    def tree(self) -> dict[str, Any]:
        """The balance as plain values, for JSON and snapshots."""
        out: dict[str, Any] = dict(vars(self))
        for name in ("rejected", "flagged", "by_device"):
            out[name] = [[*key, count] for key, count in sorted(getattr(self, name).items())]
        return out

    @staticmethod
    def from_tree(tree: dict[str, Any]) -> Balance:
        """The balance again."""
        plain = dict(tree)
        for name in ("rejected", "flagged", "by_device"):
            plain[name] = Counter({tuple(key): count for *key, count in tree[name]})
        return Balance(**plain)


def _grouped(counts: Counter[tuple[str, str]]) -> list[str]:
    """One line for each first part of the key, the largest first."""
    lines: dict[str, list[str]] = {}
    for (where, why), count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        lines.setdefault(where, []).append(f"{count:,} {why}")
    return [_short(where, words) for where, words in list(lines.items())[:_WORST]]


def _short(where: str, words: list[str]) -> str:
    more = len(words) - _WORST
    return f"{where}: {', '.join(words[:_WORST])}" + (f", and {more} more" if more > 0 else "")


def _sum(what: str, terms: list[tuple[int, str]]) -> str:
    shown = [f"{count:,} {word}" for count, word in terms if count or word in ("received", "in")]
    return f"{what}  {' + '.join(shown)} = "


def _side(terms: list[tuple[int, str]]) -> str:
    shown = [f"{count:,} {word}" for count, word in terms if count or word in ("decoded", "out")]
    return " + ".join(shown)
