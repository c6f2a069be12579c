"""Fleet: the fleet steps of a flow, and the order in which they are given the events of shards."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from streamflow.core.event import Event
from streamflow.engine.plan import Plan
from streamflow.errors import StageError, StateError, StreamflowError

FLEET = "fleet"
"""The key of the one place where they run."""
IDLE = 10 * 10**9
"""So many ns by the clock a source is waited for that sends nothing."""
_NEVER, _END = np.iinfo(np.int64).min, np.iinfo(np.int64).max


class Word(NamedTuple):
    """What a shard tells the fleet steps: events, and how far a partition has come there."""

    events: Sequence[Event] = ()
    partition: str = ""
    newest: int | None = None
    live: bool = False
    stop: bool = False


TO_FLEET = -1
"""In the place of a tap's number: a word for the fleet steps."""


def to_fleet(item: tuple[str, tuple[int, Any]]) -> list[tuple[str, tuple[str, Word]]]:
    """A shard's word, on its way to the one place where it is heard."""
    shard, (number, word) = item
    return [(FLEET, (shard, word))] if number == TO_FLEET else []


def without(tree: Any, devices: Collection[str]) -> Any:
    """What fleet steps remember, without devices: what is under their names or is about them."""
    if isinstance(tree, dict):
        left = {name: value for name, value in tree.items() if name not in devices}
        return {n: without(v, devices) for n, v in left.items() if not _about(v, devices)}
    if isinstance(tree, list):
        return [without(one, devices) for one in tree if not _about(one, devices)]
    return tree


def _about(thing: Any, devices: Collection[str]) -> bool:
    named = thing.get("device") if isinstance(thing, dict) else thing
    return isinstance(named, str) and named in devices


class Fleet:
    """Merges the events of shards by event time, and runs the fleet steps over them.

    An event waits until each shard has heard from each source partition of something later: then
    no shard can come with an earlier one, but for what arrives late.

    Parameters
    ----------
    plan
        The flow.
    shards
        The names of the shards.
    saved
        A snapshot to go on from.
    """

    def __init__(self, plan: Plan, shards: Iterable[str], saved: Any = None) -> None:
        self.steps = plan.fleet
        self._states = {step.step: step.start() for step in self.steps}
        self._waiting: dict[str, list[tuple[int, Event]]] = {step.step: [] for step in self.steps}
        self._latest: dict[str, dict[str, int]] = {step.step: {} for step in self.steps}
        parts = [f"{s.step}/{part}" for s in plan.sources for part in s.partitions()]
        self._heard = {(part, shard): _NEVER for part in parts for shard in shards}
        self._now = _NEVER
        for step, tree in (saved or {}).items():
            if step not in self._states:
                raise StateError(
                    f"the state has a step {step!r} that the flow has not; --forget {step}"
                )
            self._states[step] = tree["state"]
            self._waiting[step] = [(one["key"], Event(*one["event"])) for one in tree["waiting"]]
            self._latest[step] = {event.device: key for key, event in self._waiting[step]}

    def hear(
        self, partition: str, shard: str, newest: int | None, events: Sequence[Event]
    ) -> list[Event]:
        """A shard has handled all that a partition brought it until `newest`, an arrival."""
        for step in self.steps:
            waiting, latest = self._waiting[step.step], self._latest[step.step]
            for event in events:
                # An event from the future waits no longer than others; and those of a device
                # stay in order, whatever its clock says.
                key = event.time if newest is None else min(event.time, newest)
                key = latest[event.device] = max(key, latest.get(event.device, key))
                waiting.append((key, event))
        if newest is not None:
            self._heard[partition, shard] = max(newest, self._heard.get((partition, shard), _NEVER))
        return self._release()

    def tick(self, now: int) -> list[Event]:
        """The clock has come to `now`: whoever has not been heard of is idle."""
        self._now = max(self._now, now - IDLE)
        return self._release()

    def on_end(self) -> list[Event]:
        """The input is complete: nothing waits."""
        self._now = _END
        return self._release()

    def snapshot(self) -> dict[str, Any]:
        """What the steps remember, and what waits."""
        return {
            step: {
                "state": state,
                "waiting": [
                    {"key": key, "device": event.device, "event": list(event)}
                    for key, event in self._waiting[step]
                ],
            }
            for step, state in self._states.items()
        }

    def _release(self) -> list[Event]:
        clock = max(self._now, min(self._heard.values(), default=_NEVER))
        out: list[Event] = []
        for step in self.steps:
            waiting = self._waiting[step.step]
            until = clock if clock in (_NEVER, _END) else clock - step.wait
            due = [one for one in waiting if one[0] <= until]
            if not due:
                continue
            left = self._waiting[step.step] = [one for one in waiting if one[0] > until]
            self._latest[step.step] = {event.device: key for key, event in left}
            state = self._states[step.step]
            for _, event in sorted(due, key=lambda one: (one[0], one[1].device)):
                try:
                    out += step.on_event(event, state)
                except StreamflowError:
                    raise
                except Exception as error:
                    raise StageError(step.step, f"{type(error).__name__}: {error}") from error
        return out
