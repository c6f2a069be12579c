"""The manifest beside a flow's state: what the state is of, checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from streamflow.core.connect import Sink, Source
from streamflow.engine.plan import Plan
from streamflow.errors import StateError

FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """What a state directory is of.

    Parameters
    ----------
    flow
        The flow's name.
    shards
        Into how many groups its devices are split.
    steps
        step -> what it remembers: kind, version, recipe of its estimator, fields.
    ends
        Sources and sinks: step -> kind; their positions are part of the state.
    partitions
        How many files the recovery store has.
    generation
        How often a flow has been started on it.
    """

    flow: str
    shards: int
    steps: Mapping[str, Mapping[str, Any]]
    ends: Mapping[str, str]
    partitions: int
    generation: int = 0

    @staticmethod
    def of(plan: Plan, partitions: int) -> Manifest:
        """The manifest of a plan's state."""
        steps = {}
        for stage in plan.stages:
            fields = {
                name: [str(spec.make(0).dtype), list(spec.shape)]
                for name, spec in stage.memory.fields.items()
                if not spec.derived
            }
            steps[stage.step] = {
                "kind": type(stage).__name__,
                "version": stage.memory.version,
                "recipe": getattr(stage, "recipe", ""),
                "fields": fields,
            }
        for step in plan.fleet:
            own = {"kind": type(step).__name__, "version": 1, "recipe": "", "fields": {}}
            steps[step.step] = own
        parts: list[Source | Sink] = [*plan.sources, *(tap.sink for tap in plan.taps)]
        ends = {part.step: type(part).__name__ for part in parts}
        return Manifest(plan.name, plan.shards, steps, ends, partitions)

    def tree(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {"format": FORMAT, **vars(self)}

    @staticmethod
    def from_tree(tree: Mapping[str, Any], place: str) -> Manifest:
        """The manifest again; StateError if this library cannot read it."""
        if tree.get("format") != FORMAT:
            raise StateError(
                f"{place} was written in format {tree.get('format')}, and this is {FORMAT}; run it "
                f"with the release that wrote it, or start anew in another --state folder"
            )
        try:
            return Manifest(**{name: value for name, value in tree.items() if name != "format"})
        except TypeError as error:
            raise StateError(f"{place}/manifest.json is damaged: {error}") from None

    def check(self, new: Manifest, place: str) -> None:
        """Raise StateError, with the way out, unless a flow can go on from this state."""
        if self.flow != new.flow:
            raise StateError(
                f"{place} holds the state of flow {self.flow!r}, not of {new.flow!r}; give this "
                f"flow a --state folder of its own"
            )
        if self.shards != new.shards:
            raise StateError(
                f"{place}: the flow has {new.shards} shards and its state {self.shards}; set "
                f"shards={self.shards}, or start anew in another --state folder"
            )
        problems = list(self._problems(new))
        if problems:
            raise StateError(f"{place} does not fit the flow: " + "; ".join(problems))

    def _problems(self, new: Manifest) -> Iterator[str]:
        for end, kind in self.ends.items():
            if end not in new.ends:
                added = [name for name in new.ends if name not in self.ends]
                alike = [name for name in added if new.ends[name] == kind]
                hint = f" or, if it has a new name, --rename {end}={alike[0]}" if alike else ""
                yield f"its source or sink {end!r} is not in the flow now: --forget {end}{hint}"
            elif new.ends[end] != kind:
                yield f"{end!r} was a {kind} and is a {new.ends[end]}: --forget {end}"
        fresh = [step for step in new.steps if step not in self.steps]
        for step, old in self.steps.items():
            if step not in new.steps:
                alike = [name for name in fresh if new.steps[name]["kind"] == old["kind"]]
                hint = f" or, if it has a new name, --rename {step}={alike[0]}" if alike else ""
                yield f"its step {step!r} is not in the flow any more: --forget {step}{hint}"
            elif old["kind"] != new.steps[step]["kind"]:
                now = new.steps[step]["kind"]
                yield f"step {step!r} was a {old['kind']} and is a {now}: --forget {step}"
            elif old["recipe"] != new.steps[step]["recipe"]:
                yield (
                    f"step {step!r} learned as {old['recipe']} and is now "
                    f"{new.steps[step]['recipe']}: undo that, or --forget {step}"
                )
            elif old["version"] == new.steps[step]["version"]:
                yield from _changed_fields(step, old["fields"], new.steps[step]["fields"])


def _changed_fields(step: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name, shape in old.items():
        if name in new and list(new[name]) != list(shape):
            yield f"step {step!r} remembers {name!r} in another form now: --forget {step}"
