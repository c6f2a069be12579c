"""Warm: compile every kernel that a flow will call, and keep it, before the flow runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamflow.core.batch import Batch, Words
from streamflow.core.connect import Decoded, Messages
from streamflow.core.quality import Quality
from streamflow.engine.again import Namer, Seen
from streamflow.engine.intake import decoder_of
from streamflow.engine.plan import Plan
from streamflow.engine.shard import Shard

_ROUNDS = 16


@dataclass(frozen=True)
class Warmth:
    """What there is after warming.

    Parameters
    ----------
    kernels
        How many the flow calls.
    compiled
        How many of them had to be compiled; the others were there.
    folders
        Where they are kept; none if they could not be.
    """

    kernels: int
    compiled: int
    folders: Sequence[str]


def warm(plan: Plan) -> Warmth:
    """Run the stages of a plan on made-up readings of two devices; sources and sinks stay closed.

    A kernel is compiled for the types that it is called with, so it is called as in a run.
    """
    batch = _readings(plan)
    shard = Shard(plan)
    for half in (batch.take(np.arange(_ROUNDS)), batch.take(np.arange(_ROUNDS, len(batch)))):
        shard.on_batch(half)
    shard.on_end()
    rows, _ = shard.index.locate(batch)
    own = batch.replace(device=rows, devices=shard.index.names)
    for stage in plan.stages:
        stage.warm(own, shard.states[stage.step])
    if any(source.window for source in plan.sources):
        _recognise(batch)
    for source in plan.sources:
        decoder_of(source, plan.schema).decode(Messages([b"{}"], [0]), _pass)
    from streamflow.core.kernel import MADE

    called = [made for made in MADE if made.signatures]
    stats = [made.stats for made in called]
    folders = sorted({one.cache_path for one in stats if one.cache_path})
    return Warmth(len(called), sum(bool(one.cache_misses) for one in stats), folders)


def _readings(plan: Plan) -> Batch:
    """Readings of each sensor, some missing and some flagged."""
    n = 2 * _ROUNDS
    columns, quality = {}, {}
    for j, (name, sensor) in enumerate(plan.schema.sensors.items()):
        low, high = max(sensor.low, -1e6), min(sensor.high, 1e6)
        columns[name] = low + (high - low) * (np.arange(n) * (j + 3) % 11) / 11
        columns[name][5 + j :: 13] = np.nan
        quality[name] = np.zeros(n, np.uint16)
        quality[name][7 + j :: 13] = Quality.IMPUTED
    at = np.arange(n) * 10**9
    tags = {name: Words.of(["warm"] * n) for name in plan.schema.tags}
    device = (np.arange(n) % 2).astype(np.int32)
    return Batch(["a", "b"], device, at, at, columns, tags, quality)


def _pass(i: int, reason: str, byte: int | None = None) -> None:
    """A dead letter of no interest."""


def _recognise(batch: Batch) -> None:
    """As when a source gives messages again."""
    seen = Seen({"warm": 1}, [("warm", "0")])
    messages = Messages([b"%d" % i for i in range(len(batch))], range(len(batch)))
    origin = Namer("warm", "0").origin(messages, Decoded(batch, np.arange(len(batch))))
    for _ in range(2):
        seen.new(origin)
