"""Schema: where in a message to find what, and which columns exist at a step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from streamflow.core.batch import ASIDE
from streamflow.errors import FlowError, suggest


@dataclass(frozen=True)
class Sensor:
    """A numeric channel: its unit, and the range of values that can be true.

    >>> Sensor("degF", low=-50, high=250)
    Sensor(unit='degF', low=-50, high=250)
    """

    unit: str = ""
    low: float = float("-inf")
    high: float = float("inf")

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise FlowError(f"a sensor's low={self.low} must be below its high={self.high}")


@dataclass(frozen=True)
class Schema:
    """What readings look like.

    Parameters
    ----------
    device, time
        The names of these fields in a message.
    sensors
        name -> `Sensor`.
    tags
        Names of string attributes.
    timezone
        Of times that name none, e.g. "Europe/Berlin".
    time_format
        How to read times that are not ISO 8601 and not a number, as in `datetime.strptime`.
    columns
        All numeric columns that exist at a step: sensors, then what stages added.
    flow
        The flow's name.
    """

    device: str
    time: str
    sensors: Mapping[str, Sensor]
    tags: tuple[str, ...] = ()
    timezone: str = "UTC"
    time_format: str | None = None
    columns: tuple[str, ...] = field(default=())
    flow: str = ""

    def __post_init__(self) -> None:
        if not self.columns:
            object.__setattr__(self, "columns", tuple(self.sensors))
        for name in ("device", "time"):
            if name in self.columns or name in self.tags:
                raise FlowError(
                    f"no sensor, tag or column can be called {name!r}: "
                    f"every row has a {name} of its own"
                )
        for name in ASIDE:
            if name in self.tags:
                raise FlowError(
                    f"no tag can be called {name!r}: rejected readings have a {name} of their own"
                )

    def require(self, step: str, key: str, columns: Iterable[str]) -> None:
        """Raise FlowError for a column that does not exist here."""
        for name in columns:
            if name not in self.columns:
                raise FlowError(
                    f"step {step!r}: {key} names the column {name!r}, which does not exist here; "
                    f"{suggest(name, self.columns)}"
                )

    def adding(self, step: str, columns: Iterable[str]) -> Schema:
        """The schema behind a step that adds columns."""
        for name in columns:
            if name in self.columns or name in self.tags:
                raise FlowError(
                    f"step {step!r} adds a column {name!r}, which exists already; "
                    f'give the step another name, as in name="second"'
                )
        return replace(self, columns=(*self.columns, *columns))
