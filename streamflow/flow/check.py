"""Check: what can be known about a flow without running it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamflow.core.connect import Probed, Sink, Source
from streamflow.engine.manifest import Manifest
from streamflow.engine.plan import Plan
from streamflow.engine.statedir import StateDir
from streamflow.errors import ConnectorError, FlowError, StateError
from streamflow.flow.flow import Flow
from streamflow.stages.alert import Alert

REDELIVERED = (
    "what is not durable yet stays with the broker, which gives it again after a restart; "
    "what comes twice counts once."
)
NOT_REDELIVERED = (
    "without --state it cannot promise: what the flow had taken in when it ended is gone."
)


@dataclass(frozen=True)
class Finding:
    """Something to know about a step: an "error" keeps the flow from running."""

    level: str
    step: str
    text: str


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Parameters
    ----------
    findings
        Errors and warnings.
    promise
        What this combination of sources, state and sinks promises after a crash, a sentence each.
    bytes_per_device
        step -> bytes of state for one device.
    """

    findings: Sequence[Finding]
    promise: Sequence[str]
    bytes_per_device: dict[str, int]

    @property
    def ok(self) -> bool:
        """Whether the flow can run."""
        return not any(finding.level == "error" for finding in self.findings)


def check(flow: Flow, state: Path | None = None, *, connect: bool = False) -> Report:
    """Build a flow without running it, and say what stands out.

    Parameters
    ----------
    flow
        The flow.
    state
        The state directory it is meant to run with: is what is in it of this flow?
    connect
        Try the connections of its sources and sinks, too.
    """
    try:
        ready = flow.plan()
    except FlowError as error:
        return Report([Finding("error", flow.name, str(error))], [], {})
    findings = [
        *_openable(ready, connect),
        *_unused(ready),
        *_outlets(ready, state),
        *_stages(ready),
    ]
    if state is not None:
        findings += _state(ready, state)
    sizes = {stage.step: stage.bytes_per_device for stage in ready.stages}
    return Report(findings, list(promise(ready, kept=state is not None)), sizes)


def _openable(ready: Plan, connect: bool) -> Iterator[Finding]:
    if not ready.sources:
        yield Finding("error", ready.name, "the flow has no source: it can be replayed, not run")
    parts: list[Source | Sink] = [*ready.sources, *(tap.sink for tap in ready.taps)]
    for part in parts:
        try:
            part.check(ready.schema)
            if connect:
                yield Finding("info", part.step, f"{part.step}: {part.probe()}")
        except (FlowError, ConnectorError) as error:
            yield Finding("error", part.step, str(error))
        if connect and isinstance(part, Source):
            yield from _schemas(part)


def _schemas(source: Source) -> Iterator[Finding]:
    """Whether the server that has the schemas of a source's messages answers."""
    if not isinstance(source.format, Probed):
        return
    try:
        said = source.format.probe(source.subject)
    except (FlowError, ConnectorError) as error:
        yield Finding("error", source.step, f"source {source.step!r}: {error}")
    else:
        yield from [Finding("info", source.step, f"{source.step}: {said}")] if said else []


def _state(ready: Plan, path: Path) -> Iterator[Finding]:
    state = StateDir(path)
    if not state.exists:
        return
    try:
        old = state.manifest()
        old.check(Manifest.of(ready, old.partitions), str(path))
    except StateError as error:
        yield Finding("error", ready.name, str(error))


def _unused(ready: Plan) -> Iterator[Finding]:
    used = {column for stage in ready.stages for column in stage.uses}
    if not used:
        return
    for sensor in ready.schema.sensors:
        if sensor not in used:
            yield Finding("warning", ready.name, f"sensor {sensor!r} is never used by any stage")


def _outlets(ready: Plan, state: Path | None) -> Iterator[Finding]:
    taken = {tap.sink.of for tap in ready.taps}
    if not taken:
        yield Finding("warning", ready.name, "no sink: what the flow finds goes nowhere")
    elif any(isinstance(s, Alert) for s in ready.stages) and not taken & {"alerts", "events"}:
        yield Finding("warning", ready.name, 'no sink takes the alerts; add one with of="alerts"')
    elif ready.fleet and "events" not in taken:
        what = "no sink takes what a fleet step raises"
        yield Finding("warning", ready.fleet[0].step, f'{what}; add one with of="events"')
    for outlet in ("rejected", "dead_letters"):
        if outlet not in taken and state is None:
            what = outlet.replace("_", " ")
            text = f'{what} are counted, not kept, but with --state; or add a sink of="{outlet}"'
            yield Finding("info", ready.name, text)


def _stages(ready: Plan) -> Iterator[Finding]:
    for stage in ready.stages:
        for text in stage.warnings():
            yield Finding("warning", stage.step, text)
        if stage.slow:
            text = f"{stage.step}: {stage.slow}: it runs reading by reading, in River"
            yield Finding("info", stage.step, text)
        if stage.fleet:
            text = (
                f"{stage.step}: looks across the devices of a shard: what one gets depends on the "
                f"others, and on the number of shards"
            )
            yield Finding("info", stage.step, text)


def promise(ready: Plan, *, kept: bool) -> Iterator[str]:
    """What happens to what after a crash, for this very combination; `kept`: with --state."""
    for source in ready.sources:
        if source.promise == "none":
            yield f"{source.step}: what arrives while the flow is down is lost."
        elif source.promise == "redeliver":
            yield f"{source.step}: {REDELIVERED if kept else NOT_REDELIVERED}"
        elif kept:
            yield f"{source.step}: a restart goes on where the last durable epoch ended."
        else:
            yield f"{source.step}: a restart reads it again from the start; nothing is skipped."
        yield from (f"{source.step}: {caveat}" for caveat in source.caveats)
    yield (
        "State is durable once an epoch, and reflects each message once."
        if kept
        else "State is kept in memory only: after a restart every model learns anew."
    )
    fates = {
        "once": "cut back to the last durable epoch and written on, each item once",
        "upsert": "repeated since the last durable epoch under the same id, so it shows once",
        "repeat": "repeated since the last durable epoch: at least once",
    }
    if not kept:
        fates = {
            "once": "written anew, each item once",
            "upsert": "repeated from the start under the same id, so it shows once",
            "repeat": "repeated from the start",
        }
    for tap in ready.taps:
        late = ", only when it is durable" if kept and tap.sink.deliver == "durable" else ""
        yield f"{tap.sink.step}: {fates[tap.sink.promise]}{late}."
