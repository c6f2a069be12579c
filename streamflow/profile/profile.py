"""Profile: reads a file, or a live source for a while, and says what is in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from streamflow.core.clock import Clock, SystemClock
from streamflow.core.connect import Source
from streamflow.core.schema import Schema
from streamflow.engine.intake import Intake
from streamflow.errors import Backoff, EndOfStream, FlowError, NotConnected
from streamflow.flow.flow import Flow
from streamflow.flow.registry import file_source, load
from streamflow.profile.advice import Advice, Seen, advise
from streamflow.profile.cells import cells
from streamflow.profile.columns import Roles, Wish, guess
from streamflow.profile.facts import DeviceFacts, facts
from streamflow.profile.findings import Finding, findings, worst
from streamflow.profile.nice import quoted
from streamflow.profile.survey import Survey

Progress = Callable[[float | None, int], None]
"""Told the fraction read, if it is known, and the readings so far."""
_LETTERS = 5


@dataclass(frozen=True)
class Profile:
    """What was seen of data.

    Parameters
    ----------
    place
        The file, or the flow whose sources were read.
    roles
        What each column is taken to be.
    devices
        The facts of each, by name.
    messages, dead
        How many messages came, and how many could not become a reading.
    letters
        Why, for the first of them.
    beyond
        Readings of devices for which there was no room: they are only counted.
    live
        Whether readings arrived by the clock.
    late
        Late readings by how late, in quarters of a power of two of ns.
    source
        Code for the source, and what it imports; empty if the flow's own sources are used.
    """

    place: str
    roles: Roles
    devices: Sequence[DeviceFacts]
    messages: int
    dead: int
    letters: Sequence[str] = ()
    beyond: int = 0
    live: bool = False
    late: Sequence[int] = field(default=(), repr=False)
    source: str = ""

    @cached_property
    def findings(self) -> list[Finding]:
        """What is suspicious, device by device."""
        return findings(self.devices)

    @cached_property
    def worst(self) -> list[DeviceFacts]:
        """The devices with most kinds of finding first."""
        return worst(self.devices, self.findings)

    @property
    def seen(self) -> Seen:
        """What advice is given on."""
        return Seen(self.devices, self.findings, self.late, self.live)

    @property
    def advice(self) -> list[Advice]:
        """The stages that the data calls for."""
        return advise(self.seen)

    @property
    def readings(self) -> int:
        """All readings."""
        return sum(one.readings for one in self.devices) + self.beyond

    def tree(self) -> dict[str, Any]:
        """The profile as plain values, for JSON."""
        return {
            "data": self.place,
            "messages": self.messages,
            "dead": self.dead,
            "readings": self.readings,
            "columns": {
                "device": self.roles.device,
                "time": self.roles.time,
                "sensors": self.roles.sensors,
                "tags": self.roles.tags,
                "left_out": dict(self.roles.left_out),
                "long": self.roles.long,
            },
            "devices": [_tree(one) for one in self.devices],
            "findings": [vars(one) for one in self.findings],
            "stages": [{"code": one.code, "reason": one.reason} for one in self.advice],
        }


def _tree(one: DeviceFacts) -> dict[str, Any]:
    plain = {k: v for k, v in vars(one).items() if k not in ("sample", "sensors", "correlations")}
    sensors = {name: {**vars(s), "longest": s.longest._asdict()} for name, s in one.sensors.items()}
    pairs = [[a, b, r] for (a, b), r in one.correlations.items()]
    return {**plain, "sensors": sensors, "correlations": pairs}


def of_file(
    path: str,
    wish: Wish,
    *,
    delimiter: str | None = None,
    progress: Progress | None = None,
    clock: Clock | None = None,
) -> Profile:
    """The profile of a file; FlowError if it cannot be read, or has no time or no sensor."""
    source: Any = file_source(path)
    if not Path(path).exists():
        source.check(Schema("device", "time", {}))  # it says what is there instead
    kind = type(source).__name__.removesuffix("File").lower()
    options = ""
    if kind == "csv":
        mark = delimiter or _delimiter(source)
        source = replace(source, delimiter=mark)
        options = f", delimiter={quoted(mark)}" if mark != "," else ""
    roles = guess(cells(source, path), wish, path)
    if roles.device is None:
        name, stem = roles.schema.device, Path(path).name.partition(".")[0] or "device"
        source = replace(source, fields={name: stem})
        options += f", fields={{{quoted(name)}: {quoted(stem)}}}"
    code = f"files.{kind}({quoted(path)}{options})"
    if roles.long:
        by, value = roles.long
        source = load("connectors", "long").rows(source, by=by, value=value)
        code = f"long.rows({code}, by={quoted(by)}, value={quoted(value)})"
    source.check(roles.schema)
    looked = _look([source], roles.schema, None, progress, clock or SystemClock())
    if roles.long:
        looked = replace(looked, devices=[_of_rows(one) for one in looked.devices])
    return replace(looked, place=path, roles=roles, source=code)


def _of_rows(one: DeviceFacts) -> DeviceFacts:
    """The facts where each row is of one sensor: it says nothing of the others."""
    sensors = {name: replace(sensor, missing=0) for name, sensor in one.sensors.items()}
    return replace(one, same_time=0, sensors=sensors)


def of_flow(
    flow: Flow,
    place: str,
    seconds: float,
    *,
    progress: Progress | None = None,
    clock: Clock | None = None,
) -> Profile:
    """The profile of what a flow's sources give within so many seconds."""
    sources = flow.plan().sources
    if not sources:
        raise FlowError(f"{place}: the flow has no source to look at")
    for source in sources:
        source.check(flow.schema)
    looked = _look(sources, flow.schema, seconds, progress, clock or SystemClock())
    form = (flow.timezone, flow.time_format)
    roles = Roles(flow.device, flow.time, tuple(flow.sensors), tuple(flow.tags), {}, *form)
    return replace(looked, place=place, roles=roles)


def _delimiter(source: Source) -> str:
    """What separates the fields of a CSV file: the commonest of the usual in its header."""
    reader: Any = source.open("0", None)
    try:
        header = b""
        while not header:
            header = getattr(reader.poll(1), "header", b"")
    except EndOfStream:
        return ","
    finally:
        reader.close()
    return max(",;\t|", key=header.decode("utf-8", "replace").count)


def _look(
    sources: Sequence[Source],
    schema: Schema,
    seconds: float | None,
    progress: Progress | None,
    clock: Clock,
) -> Profile:
    survey = Survey(list(schema.sensors), clock.now())
    parts = [(source, part) for source in sources for part in source.partitions()]
    intakes = [Intake(source, schema, part, None, clock) for source, part in parts]
    counts: dict[str, int] = {"messages": 0, "dead": 0}
    letters: list[str] = []
    live = False
    end = None if seconds is None else clock.monotonic() + round(seconds * 1e9)
    opened = list(intakes)
    try:
        while intakes and (end is None or clock.monotonic() < end):
            waits = []
            for intake in list(intakes):
                try:
                    parcels = intake.poll()
                except EndOfStream:
                    intakes.remove(intake)
                    continue
                except (Backoff, NotConnected) as error:
                    waits.append(error.wait if isinstance(error, Backoff) else 1.0)
                    continue
                if not parcels:
                    waits.append(intake.reader.next_poll())
                for parcel in parcels:
                    counts["messages"] += parcel.received
                    counts["dead"] += len(parcel.dead)
                    letters += [f"{x.source}, {x.place}: {x.reason}" for x in parcel.dead]
                    del letters[_LETTERS:]
                    live = live or parcel.live
                    if parcel.batch is not None and len(parcel.batch):
                        survey.add(parcel.batch)
                if progress:
                    progress(_fraction(opened), counts["messages"])
            if intakes and len(waits) == len(intakes):
                clock.sleep(min(waits))
    finally:
        for intake in opened:
            intake.reader.close()
    devices = facts(survey)
    empty = Roles(None, schema.time, tuple(schema.sensors))
    kept: Mapping[str, Any] = {"beyond": survey.beyond, "live": live, "late": survey.late.tolist()}
    return Profile("", empty, devices, counts["messages"], counts["dead"], letters, **kept)


def _fraction(intakes: Sequence[Intake]) -> float | None:
    known = [part for intake in intakes if (part := intake.reader.progress()) is not None]
    return sum(known) / len(known) if known else None
