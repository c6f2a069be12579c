"""Map: a plain function of one reading as a stage, and `@stage`, which makes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any, Self

import numpy as np

from streamflow.core.batch import Batch
from streamflow.core.faults import Faults
from streamflow.core.memory import Memory
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage, snake
from streamflow.core.state import State
from streamflow.errors import FlowError, StageError

NOT_IMPORTABLE = (
    "is not at module level: other processes cannot import it; write it as a def in the module"
)


@dataclass(frozen=True)
class Reject:
    """Returned by a function to set its reading aside."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading, for functions: `r["temperature"]`, `r.get("site")`, `r.time`, `r.device`.

    Columns are floats, NaN if missing; tags are strings or None; `time` is ns UTC.
    """

    device: str
    time: int
    values: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a column or tag, or a default."""
        return self.values.get(name, default)


@dataclass(frozen=True)
class Map(Stage):
    """Call a function with each reading; it adds columns, changes sensors or rejects.

    `fn(reading)`, or `fn(reading, memory)` if `remembers` is given, returns a dict of columns,
    None for nothing to add, or `Reject("why")`. An exception rejects the reading, with the
    exception as the reason, and leaves the memory as it was.

    Parameters
    ----------
    fn
        A function at module level.
    adds
        The columns it adds; it may also return any column that exists, to replace it.
    remembers
        field -> default, per device: numbers. The function sees and sets them as attributes.

    Examples
    --------
    >>> from streamflow import Flow
    >>> def double(r):
    ...     return {"twice": 2 * r["t"]}
    >>> flow = Flow("doc", sensors=["t"]) | Map(double, adds=["twice"])
    >>> flow.replay([{"device": "a", "time": 0, "t": 20.0}]).rows["twice"].tolist()
    [40.0]
    """

    fn: Callable[..., Any]
    adds: Sequence[str] = ()
    remembers: Mapping[str, float | int | bool] = field(default_factory=dict)
    columns: tuple[str, ...] = field(default=(), init=False, repr=False)

    @property
    def step(self) -> str:
        """The name given, or the function's."""
        own = getattr(self.fn, "__name__", type(self.fn).__name__)
        return self.name or ("map" if own == "<lambda>" else snake(own))

    @property
    def uses(self) -> Sequence[str]:
        """The strings in the function's code: what it may read."""
        code = getattr(self.fn, "__code__", None)
        return [c for c in code.co_consts if isinstance(c, str)] if code else ()

    @cached_property
    def memory(self) -> Memory:
        """What the function remembers."""
        return Memory(dict(self.remembers))

    def warnings(self) -> Sequence[str]:
        """A function that other processes cannot import."""
        if "<" in getattr(self.fn, "__qualname__", ""):
            return [f"{self.fn.__qualname__} {NOT_IMPORTABLE}"]
        return ()

    def bind(self, schema: Schema) -> Self:
        """Know which columns may be returned."""
        if not callable(self.fn):
            raise FlowError(f"step {self.step!r}: {self.fn!r} is not a function of a reading")
        bound = type(self)(self.fn, tuple(self.adds), self.remembers, name=self.name)
        object.__setattr__(bound, "columns", (*schema.columns, *self.adds))
        return bound

    def on_batch(self, batch: Batch, state: State) -> Batch:
        """One reading after the other."""
        nan = float("nan")
        columns = {name: values.tolist() for name, values in batch.columns.items()}
        out = {**columns, **{name: [nan] * len(batch) for name in self.adds}}
        out = {name: list(values) for name, values in out.items()}
        inputs = {**columns, **{name: tag.list() for name, tag in batch.tags.items()}}
        memories: dict[int, SimpleNamespace] = {}
        faults = Faults(batch, state)
        returned = set(self.adds)
        devices, times = batch.device.tolist(), batch.time.tolist()
        for i, (row, time) in enumerate(zip(devices, times, strict=True)):
            reading = Reading(batch.devices[row], time, {k: v[i] for k, v in inputs.items()})
            try:
                if self.remembers:
                    now = memories.get(row) or self._recall(state, row)
                    after = SimpleNamespace(**vars(now))
                    got = self.fn(reading, after)
                else:
                    got = self.fn(reading)
            except Exception as error:  # noqa: BLE001  it is the user's code: it may raise anything
                faults.note(i, error)
                continue
            if self.remembers:
                memories[row] = self._as_stored(after)
            if isinstance(got, Reject):
                faults.reasons[i] = got.reason
            elif got is not None:
                self._put(out, i, got)
                returned.update(got)
        for row, memory in memories.items():
            for name in self.remembers:
                state[name][row] = getattr(memory, name)
        changed = {
            name: np.array(values, np.float64) for name, values in out.items() if name in returned
        }
        return faults.reject(batch.with_columns(changed))

    def _recall(self, state: State, row: int) -> SimpleNamespace:
        return SimpleNamespace(**{name: state[name][row].item() for name in self.remembers})

    def _as_stored(self, memory: SimpleNamespace) -> SimpleNamespace:
        # The next reading sees what a restart would bring back, so it must not matter which.
        fields = vars(memory)
        for name, value in fields.items():
            if name not in self.remembers:
                raise StageError(self.step, f"set memory.{name}; declare it: @stage({name}=0.0)")
            default = self.remembers[name]
            try:
                kept = type(default)(value)
            except (TypeError, ValueError, OverflowError):
                kept = None
            if kept is None or (kept != value and value == value):
                raise StageError(
                    self.step,
                    f"set memory.{name} to {value!r}, but {name}={default!r} keeps "
                    f"{type(default).__name__} values; give it a default of the kind it keeps",
                )
            fields[name] = kept
        return memory

    def _put(self, out: dict[str, list[Any]], i: int, got: Any) -> None:
        if not isinstance(got, Mapping):
            raise StageError(
                self.step,
                f"returned {type(got).__name__}; return a dict of columns, None or Reject",
            )
        for name, value in got.items():
            if name not in out:
                raise StageError(
                    self.step,
                    f'returned a column {name!r} it does not declare; @stage(adds="{name}")',
                )
            out[name][i] = float("nan") if value is None else float(value)


def stage(
    adds: str | Sequence[str] = (), *, name: str = "", **remembers: float | int | bool
) -> Callable[[Callable[..., Any]], Map]:
    """Make a stage of a function of one reading.

    Parameters
    ----------
    adds
        The column or columns it adds.
    name
        The step's name; default the function's.
    remembers
        Memory per device: fields with their defaults.

    Examples
    --------
    >>> from streamflow import Flow, stage
    >>> @stage(adds="rise", last=float("nan"))
    ... def rise(r, memory):
    ...     out = r["t"] - memory.last
    ...     memory.last = r["t"]
    ...     return {"rise": out}
    >>> rows = [{"device": "a", "time": 0, "t": 20.0}, {"device": "a", "time": 1, "t": 22.0}]
    >>> (Flow("doc", sensors=["t"]) | rise).replay(rows).rows["rise"].tolist()
    [nan, 2.0]
    """
    columns = [adds] if isinstance(adds, str) else list(adds)
    return lambda fn: Map(fn, columns, remembers, name=name)
