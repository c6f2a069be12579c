"""Despike: single values far from those around them are flagged and become missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from streamflow.core.batch import Batch, Mask
from streamflow.core.duration import duration
from streamflow.core.memory import Field, Memory
from streamflow.core.quality import Quality
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.errors import FlowError
from streamflow.stages import lookahead
from streamflow.stages.values import flagged, stacked


@dataclass(frozen=True)
class Despike(Stage):
    """Flag a value far from the median of the last ones, unless the next ones agree with it.

    The Hampel identifier: x is far if |x - m| > sigmas * s, with m the median of the device's last
    `window` good values, and s what good values have usually deviated from the mean of those before
    them, as normal ones do; or their 1.4826 MAD, the median absolute deviation, while that is
    more than 3 s: in a burst. It is a spike, becomes missing and is not learned, unless each of
    the device's next `confirm` readings is nearer to it than to m: then it is a step, and the
    window moves along.

    So a reading that is far waits for the device's next `confirm` readings, and at most `wait`
    since its arrival; all others go on at once. Where nothing confirms it in time it is a spike,
    unless it is near to the last of `confirm` spikes in a row. The first 2 * `window` values are
    not judged, nor are those of a sensor that has never moved; what differs by no more than three
    usual changes from one value to the next is not far.

    Parameters
    ----------
    window
        Values, an odd number from 3 on.
    sigmas
        Standard deviations that are far.
    confirm
        Readings of a device, at least 1: a spike may be as many readings long.
    wait
        How long a reading is held at most; more than the time between two readings.
    sensors
        Which; default all of the flow. Leave out those whose single readings are events.

    Raises
    ------
    FlowError
        For a number out of its range, and a sensor that does not exist.

    References
    ----------
    Hampel, F. R. (1974). The influence curve and its role in robust estimation. Journal of the
    American Statistical Association, 69(346), 383-393.

    Examples
    --------
    >>> from streamflow import Flow
    >>> flow = Flow("doc", sensors=["t"]) | Despike(window=3)
    >>> values = [20.0, 20.2, 19.9, 20.1, 20.0, 20.1, 95.0, 20.0, 30.0, 30.1]
    >>> rows = [{"device": "a", "time": i, "t": t} for i, t in enumerate(values)]
    >>> flow.replay(rows).rows["t"].tolist()[5:]
    [20.1, nan, 20.0, 30.0, 30.1]
    """

    window: int = 7
    sigmas: float = 5.0
    confirm: int = 1
    wait: str = "1h"
    sensors: Sequence[str] = ()

    def bind(self, schema: Schema) -> Self:
        """Check the numbers and the sensors."""
        place = f"step {self.step!r}"
        schema.require(self.step, "sensors", self.sensors)
        if not isinstance(self.window, int) or self.window < 3 or self.window % 2 == 0:
            raise FlowError(f"{place}: window={self.window!r} must be an odd number from 3 on")
        if not isinstance(self.confirm, int) or not 1 <= self.confirm <= self.window // 2:
            raise FlowError(
                f"{place}: confirm={self.confirm!r} must be a number of readings from 1 to "
                f"{self.window // 2}, less than half the window of {self.window}"
            )
        if not 0 < self.sigmas < float("inf"):
            raise FlowError(f"{place}: sigmas={self.sigmas} must be above 0")
        if duration(self.wait) == 0:
            raise FlowError(f"{place}: wait={self.wait!r} is no time; write it like 1h")
        return replace(self, sensors=tuple(self.sensors or schema.sensors))

    @property
    def uses(self) -> Sequence[str]:
        """The sensors it looks at."""
        return tuple(self.sensors)

    @cached_property
    def memory(self) -> Memory:
        """Each sensor's last good values, their spread, its last spike, its step."""
        d = len(self.sensors)
        return Memory(
            {
                "recent": Field(np.float64, 0, (d, self.window)),
                "spread": Field(np.float64, 0, (d,)),
                "away": Field(np.float64, 0, (d,)),
                "step": Field(np.float64, 0, (d,)),
                "count": Field(np.int64, 0, (d, 2)),
            },
            holds=True,
        )

    def on_batch(self, batch: Batch, state: State) -> Batch:
        """Judge what can be judged; hold back what the next readings must confirm."""
        return lookahead.on_batch(batch, state, self._look(state))

    def on_tick(self, now: int, state: State) -> Batch | None:
        """What has waited for long enough is a spike."""
        return lookahead.on_tick(now, state, self._look(state), self._wait)

    def on_end(self, state: State) -> Batch | None:
        """Nothing more will confirm it."""
        return lookahead.on_end(state, self._look(state))

    def _look(self, state: State) -> lookahead.Look:
        def look(batch: Batch, now: int) -> tuple[Batch, Mask]:
            from streamflow.stages.hampel import hampel

            values, usable = stacked(batch, self.sensors)
            flags, waits = np.zeros(values.shape, np.uint16), np.zeros(len(batch), bool)
            known = [state[field] for field in self.memory.fields]
            rule = (float(self.sigmas), self.confirm, self._wait, now)
            hampel(*known, *rule, batch.device, batch.arrived, values, usable, flags, waits)
            return flagged(batch, self.sensors, values, flags, missing=Quality.SPIKE), waits

        return look

    @cached_property
    def _wait(self) -> int:
        return min(duration(self.wait), lookahead.LONGEST)
