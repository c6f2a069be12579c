"""Faults: readings on which somebody else's code raised. They are set aside; the flow goes on."""

from __future__ import annotations

import logging
import traceback

from streamflow.core.batch import Batch
from streamflow.core.state import State

log = logging.getLogger("streamflow.faults")


class Faults:
    """Collects the faults of one batch and one step.

    The reason is short and the same for all faults of a kind, so that they can be counted; the
    traceback goes along as the tag `traceback` of the rejected reading.
    """

    def __init__(self, batch: Batch, state: State) -> None:
        self._batch, self._state = batch, state
        self.reasons: dict[int, str] = {}
        self._tracebacks: list[str | None] = [None] * len(batch)

    def note(self, i: int, error: BaseException) -> None:
        """Reading `i` made the step's code raise."""
        state = self._state
        self.reasons[i] = f"{type(error).__name__} in {state.step}"
        self._tracebacks[i] = "".join(traceback.format_exception(error)).rstrip()
        state.faults += 1
        # Not one line for each: the first, the tenth, the hundredth say as much.
        if str(state.faults).strip("0") == "1":
            device = self._batch.name(i)
            log.warning(
                "step %r, device %s: fault %d", state.step, device, state.faults, exc_info=error
            )

    def reject(self, batch: Batch) -> Batch:
        """The batch with the faulty readings set aside."""
        return batch.reject_each(self.reasons, self._tracebacks)
