"""Result: what a replay gave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from streamflow.core.batch import Batch, Words
from streamflow.core.connect import DeadLetter
from streamflow.core.event import Event
from streamflow.engine.balance import Balance
from streamflow.engine.plan import Plan
from streamflow.engine.shard import Outcome, Shard
from streamflow.engine.trained import trained
from streamflow.errors import FlowError


@dataclass(frozen=True)
class Result:
    """What a replay gave: rows, events, what was set aside, and the balance.

    Parameters
    ----------
    rows
        All readings that came out, one batch.
    events
        All events, in order.
    rejected
        The readings set aside, as dicts, with `step` and `reason`.
    dead_letters
        The messages that could not become a reading; of very many the last 100,000.
    balance
        What came in, what went out.
    seconds
        Wall time of the run.
    spent
        step -> seconds spent in its stage, all workers together.
    latencies
        For each batch, of up to 4,096 messages, the seconds in which it was read, decoded and
        taken through all stages; empty on Bytewax, where batches overlap.
    """

    rows: Batch
    events: Sequence[Event]
    rejected: Sequence[Mapping[str, Any]]
    dead_letters: Sequence[DeadLetter]
    balance: Balance
    seconds: float
    spent: Mapping[str, float]
    plan: Plan = field(repr=False)
    shards: Sequence[Shard] = field(repr=False)
    latencies: Sequence[float] = field(default=(), repr=False)

    @staticmethod
    def of(
        plan: Plan,
        shards: Sequence[Shard],
        outcome: Outcome,
        dead: Sequence[DeadLetter],
        seconds: float,
        latencies: Sequence[float] = (),
    ) -> Result:
        """Put together what the shards of a run gave."""
        balance, spent = Balance(), Counter[str]()
        for shard in shards:
            balance.add(shard.balance)
            spent.update(shard.spent)
        rows = Batch.concat(outcome.rows) if outcome.rows else empty(plan)
        rejected = [row for batch in outcome.rejected for row in batch.rows()]
        cost = {step: ns / 1e9 for step, ns in spent.items()}
        return Result(
            rows, outcome.events, rejected, dead, balance, seconds, cost, plan, shards, latencies
        )

    @property
    def alerts(self) -> Sequence[Event]:
        """The events of kind "alert"."""
        return [event for event in self.events if event.kind == "alert"]

    @property
    def remarks(self) -> Sequence[str]:
        """What the steps have to say of this replay: a table names a device that never came."""
        seen = {name for shard in self.shards for name in shard.index.devices()}
        seen |= set(Words(self.rows.device, self.rows.devices).compact().vocabulary)
        seen |= {str(row["device"]) for row in self.rejected}
        return [text for stage in self.plan.stages for text in stage.remarks(seen)]

    def model(self, device: str, step: str = "") -> Any:
        """A device's model as River has it: it goes on where the replay ended, to the bit.

        Parameters
        ----------
        device
            Its name.
        step
            The `Detect`, `MonitorDrift` or `Impute` it belongs to; default the last `Detect`.

        Raises
        ------
        FlowError
            If the device was not seen, or the step has no model.
        """
        return trained(self.plan, self.shards, device, step)

    def firings(self, thresholds: Sequence[float] | None = None) -> dict[float, int]:
        """How many episodes the last `Alert` would have opened with other thresholds.

        Its condition must compare one column with a number, as in "score > 0.95"; hold, after
        and all else stay. Default thresholds: its own, and quantiles of the column from the
        90th percentile up.
        """
        from streamflow.stages.alert import Alert

        alerts = [stage for stage in self.plan.stages if isinstance(stage, Alert)]
        if not alerts:
            raise FlowError("the flow has no Alert, so no threshold to vary")
        alert = alerts[-1]
        if alert.threshold is None or alert.threshold[1] not in (">", ">="):
            of = alert.budget or alert.when
            problem = f"cannot vary the threshold of {of!r}: it is not column > number"
            raise FlowError(problem)
        column, sign, own = alert.threshold
        values = self.rows[column]
        known = values[np.isfinite(values)]
        if thresholds is None:
            quantiles = [0.9, 0.95, 0.99, 0.995, 0.999, 0.9999]
            cuts = np.quantile(known, quantiles).tolist() if len(known) else []
            thresholds = sorted({own, *(float(f"{cut:.4g}") for cut in cuts)})
        before = {n: v for n, v in self.rows.columns.items() if n not in alert.adds}
        rows = self.rows.replace(columns=before)
        here = replace(self.plan.outputs, columns=tuple(before))
        counts = {}
        for threshold in thresholds:
            varied = replace(alert, when=f"{column} {sign} {threshold!r}").bind(here)
            shard = Shard(replace(self.plan, steps=(varied,), taps=()))
            opened = [e for e in shard.on_batch(rows).events if e.fields["status"] == "opened"]
            counts[threshold] = len(opened)
        return counts

    def plot(
        self,
        path: str | Path = "streamflow.html",
        *,
        labels: Sequence[tuple[str, int, int]] | None = None,
    ) -> Path:
        """Write one self-contained HTML page that shows every device; its path.

        `labels` are known incidents: (device, start, end) with times in ns UTC.
        """
        from streamflow.engine.episodes import Incident
        from streamflow.engine.picture import page

        target = Path(path)
        known = None if labels is None else [Incident(*label) for label in labels]
        target.write_text(page(self, known), encoding="utf-8")
        return target


def empty(plan: Plan) -> Batch:
    """No readings, with all columns."""
    return Batch.of([], plan.outputs.columns, plan.outputs.tags)
