"""Plan: a flow's parts, checked against each other and bound to the columns that exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from streamflow.core.connect import OUTLETS, Outlet, Sink, Source
from streamflow.core.expr import Expr, parse
from streamflow.core.fleet import FleetStep
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.errors import FlowError, suggest

Part = Source | Stage | FleetStep | Sink


@dataclass(frozen=True)
class Tap:
    """A sink at its place in the flow; `also` is what it takes beside its own outlet."""

    sink: Sink
    where: Expr | None
    also: tuple[Outlet, ...] = ()

    def takes(self, outlet: Outlet) -> bool:
        """Whether it is given what comes out there."""
        return outlet == self.sink.of or outlet in self.also


@dataclass(frozen=True)
class Plan:
    """What the engines run.

    Parameters
    ----------
    name
        The flow's name.
    schema
        What messages hold.
    sources
        Where messages come from; their readings merge.
    steps
        Bound stages, and the taps of row sinks, in order.
    taps
        All sinks.
    outputs
        The schema behind the last step.
    shards
        How many groups the devices are split into.
    ttl
        After so many ns of silence a device is forgotten; None keeps it for ever.
    fault_limit
        The share of readings on which a step's code may raise before the flow stops.
    fleet
        The steps behind all shards, which see events only.
    """

    name: str
    schema: Schema
    sources: tuple[Source, ...]
    steps: tuple[Stage | Tap, ...]
    taps: tuple[Tap, ...]
    outputs: Schema
    shards: int
    ttl: int | None = None
    fault_limit: float = 1.0
    fleet: tuple[FleetStep, ...] = ()

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The bound stages, in order."""
        return tuple(step for step in self.steps if isinstance(step, Stage))


def plan(
    name: str,
    schema: Schema,
    parts: Sequence[Part],
    shards: int,
    ttl: int | None = None,
    fault_limit: float = 1.0,
) -> Plan:
    """Check and bind the parts of a flow; FlowError says what is wrong with which."""
    sources: list[Source] = []
    steps: list[Stage | Tap] = []
    taps: list[Tap] = []
    fleet: list[FleetStep] = []
    taken: set[str] = set()
    here = replace(schema, flow=name)
    for part in parts:
        if isinstance(part, Source):
            if steps or taps or fleet:
                raise FlowError(
                    f"source {part.step!r} comes after a stage; sources come first, "
                    f'and a sink says what it takes, as in of="rows"'
                )
            sources.append(part)
        elif isinstance(part, Sink):
            tap = _tap(part, here)
            taps.append(tap)
            if part.of == "rows":
                steps.append(tap)
        elif isinstance(part, FleetStep):
            _name(part.step, taken, "step")
            fleet.append(part.bind(name))
        else:
            _name(part.step, taken, "stage")
            bound = part.bind(here)
            here = here.adding(bound.step, bound.adds)
            steps.append(bound)
    for source in sources:
        _name(source.step, taken, "source")
        _decodable(source, schema)
    for tap in taps:
        _name(tap.sink.step, taken, "sink")
    where = (tuple(sources), tuple(steps), tuple(taps), here)
    return Plan(name, schema, *where, shards, ttl, fault_limit, tuple(fleet))


def _name(step: str, taken: set[str], kind: str) -> None:
    if not step or step.startswith("_") or not all(c.isalnum() or c in "_-" for c in step):
        raise FlowError(
            f"a {kind} is called {step!r}; a name is made of letters, digits, _ and -, "
            f"and does not start with _"
        )
    if step in taken:
        raise FlowError(f'two steps are called {step!r}; give this {kind} a name="..." of its own')
    taken.add(step)


def _decodable(source: Source, schema: Schema) -> None:
    try:
        if source.format is not None:
            source.format.decoder(schema)
    except FlowError as error:
        raise FlowError(f"source {source.step!r}: {error}") from None


def _tap(sink: Sink, schema: Schema) -> Tap:
    if sink.of not in OUTLETS:
        known = suggest(sink.of, OUTLETS)
        raise FlowError(f"sink {sink.step!r}: no outlet of={sink.of!r}; {known}")
    if sink.where is None:
        return Tap(sink, None)
    if sink.of != "rows":
        raise FlowError(f"sink {sink.step!r}: where= chooses rows; this sink takes {sink.of}")
    where = parse(sink.where)
    where.check(sink.step, "where", schema.columns, schema.tags)
    return Tap(sink, where)
