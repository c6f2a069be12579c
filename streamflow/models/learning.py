"""When a detector may learn a reading: the `learn` condition and the gate."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamflow.core.batch import Batch, Codes, Mask, Rows, Values
from streamflow.core.expr import Expr, parse
from streamflow.core.state import State
from streamflow.errors import FlowError

Decides = Callable[[Rows, Values], Mask]
"""Which of these readings, with these scores, may be learned; no two are of one device."""

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
}


@dataclass(frozen=True)
class Gate:
    """Stop learning while a device's recent scores alarm, so that a fault is not learned.

    Learning stops when `when` holds and resumes after `resume` readings in a row without it; or
    after `limit` readings in a row that were not learned, for then this is how the device is now.
    Readings without a good value, and those of a maintenance window, do not count.

    Parameters
    ----------
    when
        A condition on the score, such as "score > 0.95".
    resume
        Readings without alarm before learning resumes.
    limit
        The longest run of readings that is not learned.
    """

    when: str
    resume: int = 10
    limit: int = 1000

    def __post_init__(self) -> None:
        if self.resume < 1 or self.limit < 1:
            raise FlowError("a gate's resume and limit are numbers of readings, at least 1")


def gate_opens(gate: Gate, state: State, rows: Codes, alarm: Mask) -> Mask:
    """Whether each of these devices, no two alike, may learn the reading that alarms or not.

    State: `calm`, readings in a row without alarm, up to `resume`; `gated`, readings in a row
    that were not learned.
    """
    calm = np.where(alarm, 0, np.minimum(state["calm"][rows] + 1, gate.resume))
    at_ease = calm >= gate.resume
    gated = np.where(at_ease, 0, np.minimum(state["gated"][rows] + 1, gate.limit + 1))
    state["calm"][rows], state["gated"][rows] = calm, gated
    return at_ease | (gated > gate.limit)


@dataclass(frozen=True)
class Condition:
    """A condition on upstream columns and on the score of the very reading it is asked for.

    The upstream part is a mask over the batch; the score is known only reading by reading, so
    its part is a list of comparisons with numbers.
    """

    upstream: tuple[Expr, ...]
    limits: tuple[tuple[Callable[[Any, Any], Any], float], ...]

    def mask(self, batch: Batch) -> Mask:
        """Where the upstream part holds."""
        out: Mask = np.ones(len(batch), bool)
        for part in self.upstream:
            out = out & part.mask(batch)
        return out

    def holds(self, scores: Values) -> Mask:
        """Where the score's part holds."""
        out: Mask = np.ones(len(scores), bool)
        for compare, limit in self.limits:
            out &= compare(scores, limit)
        return out


def condition(
    step: str, key: str, text: str, score: str, columns: Iterable[str], tags: Iterable[str]
) -> Condition:
    """Split an expression into its upstream part and its comparisons of the score.

    >>> condition("detect", "learn", "score < 0.9 and t > 0", "score", ["t"], []).holds(
    ...     np.array([0.5, 0.95])
    ... )
    array([ True, False])
    """
    parse(text).check(step, key, [*columns, score], tags)
    tree: Any = ast.parse(text.strip(), mode="eval").body
    joined = isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And)
    terms = tree.values if joined else [tree]
    upstream, limits = [], []
    for term in terms:
        if not any(isinstance(node, ast.Name) and node.id == score for node in ast.walk(term)):
            upstream.append(parse(ast.unparse(term)))
            continue
        try:
            (op,), (right,) = term.ops, term.comparators
            limit = float(ast.literal_eval(right))
            if term.left.id != score:
                raise ValueError
            limits.append((_COMPARE[type(op)], limit))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise FlowError(
                f"step {step!r}: in {key}={text!r}, {score!r} is known reading by reading only; "
                f"compare it with a number, as in {score} < 0.95, joined by `and`"
            ) from None
    return Condition(tuple(upstream), tuple(limits))
