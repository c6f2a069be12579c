"""Check: what can be known about a flow without running it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from streamflow.core.connect import Sink, Source
from streamflow.engine.plan import Plan
from streamflow.errors import FlowError
from streamflow.flow.flow import Flow
from streamflow.stages.alert import Alert


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


def check(flow: Flow) -> Report:
    """Build a flow without running it, and say what stands out."""
    try:
        ready = flow.plan()
    except FlowError as error:
        return Report([Finding("error", flow.name, str(error))], [], {})
    findings = [*_openable(ready), *_unused(ready), *_outlets(ready), *_stages(ready)]
    sizes = {stage.step: stage.bytes_per_device for stage in ready.stages}
    return Report(findings, list(promise(ready)), sizes)


def _openable(ready: Plan) -> Iterator[Finding]:
    if not ready.sources:
        yield Finding("error", ready.name, "the flow has no source: it can be replayed, not run")
    parts: list[Source | Sink] = [*ready.sources, *(tap.sink for tap in ready.taps)]
    for part in parts:
        try:
            part.check(ready.schema)
        except FlowError as error:
            yield Finding("error", part.step, str(error))


def _unused(ready: Plan) -> Iterator[Finding]:
    used = {column for stage in ready.stages for column in stage.uses}
    if not used:
        return
    for sensor in ready.schema.sensors:
        if sensor not in used:
            yield Finding("warning", ready.name, f"sensor {sensor!r} is never used by any stage")


def _outlets(ready: Plan) -> Iterator[Finding]:
    taken = {tap.sink.of for tap in ready.taps}
    if not taken:
        yield Finding("warning", ready.name, "no sink: what the flow finds goes nowhere")
    elif any(isinstance(s, Alert) for s in ready.stages) and not taken & {"alerts", "events"}:
        yield Finding("warning", ready.name, 'no sink takes the alerts; add one with of="alerts"')
    for outlet in ("rejected", "dead_letters"):
        if outlet not in taken:
            what = outlet.replace("_", " ")
            text = f'{what} are counted, not kept; to keep them add a sink with of="{outlet}"'
            yield Finding("info", ready.name, text)


def _stages(ready: Plan) -> Iterator[Finding]:
    for stage in ready.stages:
        for text in stage.warnings():
            yield Finding("warning", stage.step, text)


def promise(ready: Plan) -> Iterator[str]:
    """What happens to what after a crash, for this very combination."""
    for source in ready.sources:
        if source.promise == "replay":
            yield f"{source.step}: a restart reads it again from the start; nothing is skipped."
        else:
            yield f"{source.step}: what arrives while the flow is down is lost."
    yield "State is kept in memory only: after a restart every model learns anew."
    for tap in ready.taps:
        fate = {
            "once": "is written anew by a restart, each item once",
            "upsert": "is repeated by a restart under the same id, so it shows once",
            "repeat": "is repeated by a restart",
        }[tap.sink.promise]
        yield f"{tap.sink.step}: {fate}."
