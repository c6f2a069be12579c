"""Expressions over columns: "score > 0.95 and temperature > 80". Parsed and checked, never eval.

Grammar: `and`, `or`, `not`, comparisons (also chained, and `in` a tuple), `+ - * /`, numbers,
strings, names of columns and tags, `device`, and the functions `abs(x)`, `missing(x)`, `good(x)`
and one for each quality flag: `imputed(x)`, `out_of_range(x)`, ...

A comparison with a missing value is false, whichever it is, so `not (x > 1)` is true where x is
missing and `x <= 1` is not.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow.core.batch import Batch, Mask, Values, Words
from streamflow.core.quality import Quality, flag_named
from streamflow.errors import FlowError, suggest

Node = Callable[[Batch], Any]

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
}
_FLAGS = [str(flag.name).lower() for flag in Quality]
_FUNCTIONS = ["abs", "missing", "good", *_FLAGS]


@dataclass(frozen=True)
class Expr:
    """A checked expression; build it with `parse`."""

    text: str
    names: tuple[str, ...]
    _node: Node

    def mask(self, batch: Batch) -> Mask:
        """Where it holds, bool[n]."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            got: Mask = self._node(batch)
        return got if np.shape(got) else np.full(len(batch), bool(got))

    def check(self, step: str, key: str, columns: Iterable[str], tags: Iterable[str]) -> None:
        """Raise FlowError for a name that is none at this step, or one of the wrong kind."""
        columns, tags = tuple(columns), tuple(tags)
        known = {*columns, *tags, "device"}
        for name in self.names:
            if name not in known:
                raise FlowError(
                    f"step {step!r}: {key}={self.text!r} uses {name!r}, which does not exist here; "
                    f"{suggest(name, known)}"
                )
        try:
            self.mask(Batch.of([], columns, tags))
        except FlowError as error:
            raise FlowError(f"step {step!r}: {key}: {error}") from None


@lru_cache(maxsize=256)
def parse(text: str) -> Expr:
    """Parse an expression; raises FlowError with the place that is wrong.

    >>> batch = Batch.of([{"device": "a", "time": 0, "t": 90.0}], ["t"])
    >>> parse("t > 80 and not missing(t)").mask(batch).tolist()
    [True]
    >>> parse("godo(t)")
    Traceback (most recent call last):
    ...
    streamflow.errors.FlowError: in 'godo(t)': no function 'godo'; did you mean 'good'?
    """
    if not isinstance(text, str):
        raise FlowError(f"{text!r} is not an expression; write it as text, like 'score > 0.95'")
    parser = _Parser(text)
    try:
        node = parser.truth(ast.parse(text.strip(), mode="eval").body)
    except (RecursionError, MemoryError):
        raise parser.fail("it is nested too deeply") from None
    except (SyntaxError, ValueError) as error:
        reason = getattr(error, "msg", str(error))
        problem = f"{_shown(text)} is not an expression: {reason}; write it like score > 0.95"
        raise FlowError(problem) from None
    return Expr(text, tuple(dict.fromkeys(parser.names)), node)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _defined(value: Any) -> Any:
    return ~np.isnan(value) if isinstance(value, (np.ndarray, float)) else True


def _column(name: str) -> Node:
    def get(batch: Batch) -> Any:
        if name == "device":
            return Words(batch.device, batch.devices)
        return batch.tags[name] if name in batch.tags else batch.columns[name]

    return get


def _word_equals(words: Words, value: str) -> Mask:
    code = next((i for i, word in enumerate(words.vocabulary) if word == value), -2)
    return np.asarray(words.codes == code)


class _Parser:
    """One visit of a parsed expression: lowers it to functions of a batch."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: list[str] = []

    def fail(self, reason: str) -> FlowError:
        return FlowError(f"in {_shown(self.text)}: {reason}")

    def truth(self, tree: ast.expr) -> Node:
        """A node that gives bool[n]."""
        if isinstance(tree, ast.BoolOp):
            parts = [self.truth(value) for value in tree.values]
            combine = np.logical_and if isinstance(tree.op, ast.And) else np.logical_or
            return lambda batch: reduce(combine, [part(batch) for part in parts])
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not):
            inner = self.truth(tree.operand)
            return lambda batch: np.logical_not(inner(batch))
        if isinstance(tree, ast.Compare):
            return self.comparison(tree)
        if isinstance(tree, ast.Call):
            return self.test(tree)
        if isinstance(tree, ast.Constant) and isinstance(tree.value, bool):
            answer = tree.value
            return lambda _: answer
        raise self.fail(f"{ast.unparse(tree)!r} is not a condition; compare it, as in score > 0.95")

    def comparison(self, tree: ast.Compare) -> Node:
        parts: list[Node] = []
        left = tree.left
        for op, right in zip(tree.ops, tree.comparators, strict=True):
            parts.append(self.compare(left, op, right))
            left = right
        if len(parts) == 1:
            return parts[0]
        return lambda batch: reduce(np.logical_and, [part(batch) for part in parts])

    def compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Node:
        if isinstance(op, ast.In):
            if not isinstance(right, (ast.Tuple, ast.List)) or not right.elts:
                raise self.fail("`in` wants a tuple of strings or numbers")
            alternatives = [self.compare(left, ast.Eq(), choice) for choice in right.elts]
            return lambda batch: reduce(np.logical_or, [a(batch) for a in alternatives])
        if isinstance(right, ast.Constant) and isinstance(right.value, str):
            if not isinstance(left, ast.Name) or not isinstance(op, (ast.Eq, ast.NotEq)):
                raise self.fail('a string is compared with a tag, as in site == "north"')
            return self.word(left.id, right.value, isinstance(op, ast.Eq))
        if type(op) not in _COMPARE:
            raise self.fail("compare with < <= > >= == != in")
        a, b, apply = self.number(left), self.number(right), _COMPARE[type(op)]

        def run(batch: Batch) -> Any:
            x, y = a(batch), b(batch)
            answer = apply(x, y)
            return answer & _defined(x) & _defined(y) if apply is operator.ne else answer

        return run

    def word(self, name: str, value: str, equal: bool) -> Node:
        self.names.append(name)
        get = _column(name)

        def run(batch: Batch) -> Mask:
            words = get(batch)
            if not isinstance(words, Words):
                raise self.fail(f"{name!r} is a number, not a tag")
            same = _word_equals(words, value)
            return same if equal else ~same & (words.codes >= 0)

        return run

    def test(self, tree: ast.Call) -> Node:
        name = tree.func.id if isinstance(tree.func, ast.Name) else ast.unparse(tree.func)
        if name not in _FUNCTIONS:
            raise self.fail(f"no function {name!r}; {suggest(name, _FUNCTIONS)}")
        if len(tree.args) != 1 or tree.keywords or not isinstance(tree.args[0], ast.Name):
            raise self.fail(f"{name} takes one column")
        column = tree.args[0].id
        if name == "abs":
            raise self.fail("abs(x) is a number; compare it, as in abs(x) > 1")
        get = self.number(tree.args[0])
        if name == "missing":
            return lambda batch: np.isnan(get(batch))
        if name == "good":
            return lambda batch: ~np.isnan(get(batch)) & (batch.flags(column) == 0)
        flag = int(flag_named(name))

        def flagged(batch: Batch) -> Mask:
            get(batch)  # refuses a tag, which has no flags
            return np.asarray((batch.flags(column) & flag) != 0)

        return flagged

    def numeric(self, name: str, value: Any) -> Values:
        if isinstance(value, Words):
            raise self.fail(f"{name!r} is a tag, not a number")
        got: NDArray[np.float64] = value
        return got

    def number(self, tree: ast.expr) -> Node:
        """A node that gives float64[n] or a float."""
        if isinstance(tree, ast.Constant) and type(tree.value) in (int, float):
            try:
                constant = float(tree.value)  # type: ignore[arg-type]
            except OverflowError:
                raise self.fail("a number is too large") from None
            return lambda _: constant
        if isinstance(tree, ast.Name):
            name = tree.id
            self.names.append(name)
            get = _column(name)
            return lambda batch: self.numeric(name, get(batch))
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
            inner = self.number(tree.operand)
            return lambda batch: -inner(batch)
        if isinstance(tree, ast.BinOp) and type(tree.op) in _ARITHMETIC:
            a, b = self.number(tree.left), self.number(tree.right)
            apply = _ARITHMETIC[type(tree.op)]
            return lambda batch: apply(a(batch), b(batch))
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "abs":
            if len(tree.args) != 1 or tree.keywords:
                raise self.fail("abs takes one value")
            inner = self.number(tree.args[0])
            return lambda batch: abs(inner(batch))
        raise self.fail(f"{ast.unparse(tree)!r} is not a number or a column")
