"""Stage: what every stage is to the engine. A stage holds configuration only."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from streamflow.core.batch import Batch
from streamflow.core.event import Event
from streamflow.core.memory import Memory
from streamflow.core.schema import Schema
from streamflow.core.state import State

Output = Batch | tuple[Batch | None, Sequence[Event]]
"""What a stage gives back: the batch, or the batch and events; on a tick perhaps events alone."""


@dataclass(frozen=True)
class Stage:
    """A step of a flow: a frozen dataclass that says what it adds and remembers, and does it.

    Subclasses define `on_batch`; all else has a default. What a stage learns lives in the
    `State` it is handed, never in `self`: the laws in `streamflow.testing` catch the contrary.

    Parameters
    ----------
    name
        The step's name: it keys saved state and metrics. Default: the class name in snake case.
    """

    name: str = field(default="", kw_only=True)

    @cached_property
    def step(self) -> str:
        """The step's name."""
        return self.name or snake(type(self).__name__)

    @property
    def adds(self) -> Sequence[str]:
        """The columns it adds."""
        return ()

    @property
    def uses(self) -> Sequence[str]:
        """The columns its result depends on."""
        return ()

    @property
    def memory(self) -> Memory:
        """What it remembers about each device."""
        return Memory()

    @property
    def fleet(self) -> bool:
        """Whether what a device gets depends on others of its shard: laws 3, 4 and 6 do not hold.

        Such a step forgets nothing of what others took over from an erased device, and gives
        something else with another number of shards.
        """
        return False

    @property
    def bytes_per_device(self) -> int:
        """Bytes of state for one device."""
        return self.memory.bytes_per_device

    @property
    def slow(self) -> str:
        """Why it runs River reading by reading; empty if it does not."""
        return ""

    def warnings(self) -> Sequence[str]:
        """What a user should know before trusting it; said by `streamflow check`."""
        return ()

    def remarks(self, seen: Collection[str]) -> Sequence[str]:
        """What a user should know after a replay, given the devices that were seen."""
        return ()

    def bind(self, schema: Schema) -> Self:
        """The stage for readings of this schema, defaults filled in; FlowError if it cannot be."""
        return self

    def on_devices(self, names: Sequence[str], rows: Sequence[int], state: State) -> None:
        """Devices joined, or came back with a snapshot: fill their derived fields."""

    def trained(self, state: State, row: int) -> Any:
        """What a device's model has become, as an object of its library; None without one."""
        return None

    def on_batch(self, batch: Batch, state: State) -> Output:
        """Handle readings, one after the other in effect, however they are batched."""
        raise NotImplementedError(f"{type(self).__name__} defines no on_batch")

    def warm(self, batch: Batch, state: State) -> None:
        """Call, to no effect, the kernels that `on_batch` calls only at times."""

    def on_tick(self, now: int, state: State) -> Output | None:
        """Time has come to `now` (ns UTC, as `arrived`) without a reading.

        The output may depend on which deadlines have passed, never on `now` itself, and a
        stage must itself meet a device's deadlines before that device's next reading: ticks
        only make things happen sooner.
        """
        return None

    def on_end(self, state: State) -> Output | None:
        """The input is complete: give back what is held."""
        return None


def snake(name: str) -> str:
    """The snake case of a class name.

    >>> snake("MonitorDrift")
    'monitor_drift'
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
