"""Trained: a device's model as an object of its library, out of shards or a state directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streamflow.core.stage import Stage
from streamflow.engine.manifest import Manifest
from streamflow.engine.plan import Plan
from streamflow.engine.shard import Shard
from streamflow.engine.shardtree import pick, unknown
from streamflow.engine.statedir import SHARDS_STEP, StateDir
from streamflow.errors import FlowError, suggest
from streamflow.stages.detect import Detect


def trained(plan: Plan, shards: Sequence[Shard], device: str, step: str = "") -> Any:
    """What a device's model has become; without `step`, that of the last `Detect`."""
    stage = _stage(plan, step)
    for shard in shards:
        row = shard.index.row(device)
        if row is not None:
            model = stage.trained(shard.states[stage.step], row)
            if model is None:
                raise FlowError(f"step {stage.step!r} has no model")
            return model
    known = [name for shard in shards for name in shard.index.devices()]
    raise FlowError(f"no reading was of device {device!r}; {suggest(device, known)}")


def saved(plan: Plan, folder: Path, device: str) -> Shard:
    """A shard with what a state directory remembers of a device, of that device only."""
    state = StateDir(folder)
    old = state.manifest()
    old.check(Manifest.of(plan, old.partitions), str(folder))
    known: list[str] = []
    for snap in state.checked_store().snaps():
        if snap.step == SHARDS_STEP:
            devices = snap.value["devices"]
            if device in devices:
                return Shard(plan, pick(snap.value, [devices.index(device)]))
            known += devices
    raise unknown(folder, device, known)


def _stage(plan: Plan, step: str) -> Stage:
    if step:
        found = [stage for stage in plan.stages if stage.step == step]
        if not found:
            steps = [stage.step for stage in plan.stages]
            raise FlowError(f"the flow has no step {step!r}; {suggest(step, steps)}")
    else:
        found = [stage for stage in plan.stages if isinstance(stage, Detect)]
        if not found:
            raise FlowError('the flow has no Detect; name a step, as in step="monitor_drift"')
    return found[-1]
