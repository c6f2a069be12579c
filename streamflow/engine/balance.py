"""The balance: what came in is what went out, was set aside or is held. For every run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

_REASONS = 100


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

    @property
    def adds_up(self) -> bool:
        """Whether both lines balance."""
        messages = self.received == self.decoded + self.dead
        out = self.out + self.merged + self.rejected.total() + self.held + self.redelivered
        return messages and self.readings + self.created == out

    def reject(self, step: str, reason: str, count: int = 1) -> None:
        """Count rejected readings; a step's hundredth and later reasons go by "other reasons"."""
        if (step, reason) not in self.rejected:
            known = sum(1 for at, _ in self.rejected if at == step)
            reason = reason if known < _REASONS else "other reasons"
        self.rejected[step, reason] += count

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

    def tree(self) -> dict[str, Any]:
        """The balance as plain values, for JSON and snapshots."""
        out: dict[str, Any] = dict(vars(self))
        for name in ("rejected", "flagged"):
            out[name] = [[*key, count] for key, count in sorted(getattr(self, name).items())]
        return out

    @staticmethod
    def from_tree(tree: dict[str, Any]) -> Balance:
        """The balance again."""
        plain = dict(tree)
        for name in ("rejected", "flagged"):
            plain[name] = Counter({(a, b): count for a, b, count in tree[name]})
        return Balance(**plain)


def _sum(what: str, terms: list[tuple[int, str]]) -> str:
    shown = [f"{count:,} {word}" for count, word in terms if count or word in ("received", "in")]
    return f"{what}  {' + '.join(shown)} = "


def _side(terms: list[tuple[int, str]]) -> str:
    shown = [f"{count:,} {word}" for count, word in terms if count or word in ("decoded", "out")]
    return " + ".join(shown)
