"""Explain: which sensors made an episode open, what was expected, and what it looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamflow.core.batch import Batch, Values
from streamflow.core.kernel import kernel
from streamflow.core.memory import Field
from streamflow.core.quality import Quality
from streamflow.core.state import State
from streamflow.stages.usual import Numbers, usual
from streamflow.stages.usual import fields as usual_fields

CAUSES = {
    "clock": "its clock: times that repeat, go back or lie ahead",
    "sensor": "the sensor: its values are flagged",
    "network": "the network: values or readings are missing",
    "machine": "the machine: its values are good",
}
FAULTY = Quality.OUT_OF_RANGE | Quality.TOO_FAST | Quality.STUCK | Quality.SATURATED
FAULTY |= Quality.COARSE | Quality.SPIKE
GAP = 5.0
"""A silence of so many usual steps is a gap."""
AHEAD = 10**9
"""A time so many ns after its arrival is from a wrong clock."""
RECENT = 0.1
"""The weight of a reading in the share of readings with some trouble; so large a share counts."""
NEAR = 0.5
"""A sensor takes a share of the score if it is off by at least this part of the farthest one's."""
SHOWN = 5
"""So many sensors are named at most."""
NEVER = np.iinfo(np.int64).min


def fields(sensors: Sequence[str]) -> Mapping[str, Field]:
    """What is usual for each sensor, and the share of late readings with some trouble."""
    return {
        **usual_fields(sensors),
        "faulty": Field(np.float64, 0.0, (len(sensors),)),
        "missing": Field(np.float64),
        "clock": Field(np.float64),
        "before": Field(np.int64, NEVER),
        "step": Field(np.float64),
    }


@dataclass(frozen=True)
class Explained:
    """What a batch's readings are explained by, reading by reading."""

    sensors: Sequence[str]
    values: Numbers
    expected: Numbers
    off: Numbers
    faulty: Numbers
    missing: Values
    clock: Values

    @staticmethod
    def of(batch: Batch, sensors: Sequence[str], state: State) -> Explained:
        """Follow what is usual and what is in trouble."""
        values, expected, off = usual(batch, sensors, state)
        bad, gone = np.zeros(values.shape, bool), np.zeros(values.shape, bool)
        for j, sensor in enumerate(sensors):
            flags = batch.flags(sensor)
            bad[:, j] = (flags & int(FAULTY)) != 0
            lost = np.isnan(values[:, j]) | ((flags & int(Quality.IMPUTED)) != 0)
            gone[:, j] = lost & ~bad[:, j]
        faulty, missing, clock = np.empty(values.shape), np.empty(len(batch)), np.empty(len(batch))
        known = [state[name] for name in ("faulty", "missing", "clock", "before", "step")]
        _troubles(
            *known,
            *(batch.device, batch.time, batch.arrived, bad, gone.any(axis=1)),
            *(faulty, missing, clock),
        )
        return Explained(sensors, values, expected, off, faulty, missing, clock)

    def at(self, i: int, score: float, without: Sequence[float]) -> dict[str, Any]:
        """The explanation of an episode that opens at reading i.

        Parameters
        ----------
        i
            The reading.
        score
            What it scored; NaN without a score.
        without
            What it would have scored with each sensor as expected; NaN where nobody asked.
        """
        off = self.off[i]
        # Where a value is about as expected, to put in what was expected says nothing of it.
        drops = np.where(off >= NEAR * off.max(), np.fmax(score - np.asarray(without), 0.0), 0.0)
        by_score = bool(np.nansum(drops) > 0)
        weight = np.where(np.isfinite(drops), drops, 0.0) if by_score else off
        total = weight.sum()
        known = np.isfinite(self.values[i])
        order = np.lexsort((-off, -weight))
        sensors = [
            {
                "sensor": self.sensors[j],
                "value": self.values[i, j].item(),
                "expected": None if np.isnan(self.expected[i, j]) else self.expected[i, j].item(),
                "share": round(float(weight[j] / total), 3) if total else None,
            }
            for j in order[:SHOWN].tolist()
            if known[j] and (not total or weight[j] > 0)
        ]
        cause = self._cause(i, order)
        by = "score" if by_score else "deviation"
        words = _words(sensors, by, cause)
        return {"sensors": sensors, "by": by, "cause": cause, "words": words}

    def _cause(self, i: int, order: np.ndarray) -> str:
        if self.clock[i] >= RECENT:
            return "clock"
        faulty = self.faulty[i] >= RECENT
        if faulty.sum() == 1 and (faulty[order[0]] or np.isnan(self.values[i, faulty][0])):
            return "sensor"
        return "network" if self.missing[i] >= RECENT else "machine"


def _words(sensors: Sequence[Mapping[str, Any]], by: str, cause: str) -> str:
    parts = []
    for one in sensors[:3]:
        text = f"{one['sensor']} is {one['value']:.6g}"
        if one["expected"] is not None:
            text += f" where {one['expected']:.6g} was expected"
        if one["share"] is not None:
            text += f" ({one['share']:.0%} of the {by})"
        parts.append(text)
    told = ", ".join(parts) or "no sensor has a value"
    return f"{told}; it looks like {CAUSES[cause]}"


@kernel
def _troubles(  # type: ignore[no-untyped-def]
    faulty, missing, clock, before, step, rows, time, arrived, bad, gone, faulty_at, missing_at, at
):
    for i in range(len(rows)):
        row, gap = rows[i], np.int64(0)
        skewed = time[i] - arrived[i] > AHEAD
        lost = gone[i]
        if before[row] != NEVER:
            gap = time[i] - before[row]
            skewed = skewed or gap <= 0
            if gap > 0:
                lost = lost or (step[row] > 0.0 and gap > GAP * step[row])
                near = min(float(gap), GAP * step[row]) if step[row] > 0.0 else float(gap)
                step[row] += RECENT * (near - step[row]) if step[row] > 0.0 else near
        before[row] = time[i]
        missing[row] += RECENT * ((1.0 if lost else 0.0) - missing[row])
        clock[row] += RECENT * ((1.0 if skewed else 0.0) - clock[row])
        missing_at[i], at[i] = missing[row], clock[row]
        for j in range(bad.shape[1]):
            faulty[row, j] += RECENT * ((1.0 if bad[i, j] else 0.0) - faulty[row, j])
            faulty_at[i, j] = faulty[row, j]
