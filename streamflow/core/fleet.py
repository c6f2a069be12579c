"""Fleet step: what looks at the events of all devices, behind the shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

from streamflow.core.duration import duration
from streamflow.core.event import Event
from streamflow.core.stage import snake


@dataclass(frozen=True)
class FleetStep:
    """A step that is given the events of all shards, one after the other, and may raise others.

    There is one in a flow on all workers together. It is given an event once every shard has come
    to the event's time and `lateness` beyond, in the order of event time: so what it gives back
    does not depend on which worker was faster. What comes later than that comes in the order of
    its arrival. Laws 1 and 2 hold for it; it is there to break law 4, and with it 3.

    Subclasses define `start` and `on_event`. Configuration only: what it remembers is the tree.
    What that holds about a device stands under its name, or is its name, or is a dict with the
    name as its "device": so `streamflow state erase` finds it.

    Parameters
    ----------
    lateness
        How long after its event time a reading may arrive.
    name
        The step's name: it keys saved state. Default: the class name in snake case.
    """

    lateness: str = field(default="10s", kw_only=True)
    name: str = field(default="", kw_only=True)
    flow: str = field(default="", init=False, repr=False, compare=False)

    @cached_property
    def step(self) -> str:
        """The step's name."""
        return self.name or snake(type(self).__name__)

    @cached_property
    def wait(self) -> int:
        """`lateness` in ns."""
        return duration(self.lateness)

    def bind(self, flow: str) -> Self:
        """The step for a flow of this name; FlowError if it cannot be."""
        bound = replace(self)
        object.__setattr__(bound, "flow", flow)
        return bound

    def start(self) -> dict[str, Any]:
        """What it remembers at first: plain dicts with strings as keys, lists, strings, numbers."""
        return {}

    def on_event(self, event: Event, state: dict[str, Any]) -> Sequence[Event]:
        """Take an event, change what is remembered, and say what there is to say."""
        raise NotImplementedError(f"{type(self).__name__} defines no on_event")
