"""Stages that look at a device's next readings before they let one go.

They keep nothing about the readings held: when more has come, all that are held are looked at
again together with it. So what they remember is of the readings that they have let go.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from streamflow.core.batch import Batch, Mask
from streamflow.core.state import State

NEVER, ENDED = -(2**62), 2**63 - 1
LONGEST = 2**61
"""No wait is longer, in ns: so no sum of times overflows."""
Look = Callable[[Batch, int], tuple[Batch, Mask]]
"""Look at readings, waiting for nothing after `now`: what they become, and which must wait."""


def on_batch(batch: Batch, state: State, look: Look) -> Batch:
    """Let go what can be told, of the readings held and of those that have come."""
    if state.held is not None:
        before = state.release(np.isin(state.held.device, batch.device))
        if before is not None:
            batch = Batch.concat([before, batch])
    return _let_go(batch, state, look, NEVER)


def on_tick(now: int, state: State, look: Look, wait: int) -> Batch | None:
    """Let go what has waited for `wait` ns since it arrived."""
    if state.held is None:
        return None
    due = state.held.arrived <= now - wait
    if not due.any():
        return None
    # Those that wait behind are looked at, too: they may have waited for the ones that go.
    batch = state.release(np.isin(state.held.device, state.held.device[due]))
    assert batch is not None
    return _let_go(batch, state, look, now)


def on_end(state: State, look: Look) -> Batch | None:
    """Let go of everything."""
    if state.held is None:
        return None
    batch = state.release(np.ones(state.held_count, bool))
    assert batch is not None
    return _let_go(batch, state, look, ENDED)


def _let_go(batch: Batch, state: State, look: Look, now: int) -> Batch:
    after, waits = look(batch, now)
    if not waits.any():
        return after
    # Held as they came: they are looked at anew.
    state.hold(batch.take(waits))
    return after.take(~waits)
