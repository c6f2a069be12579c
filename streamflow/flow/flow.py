"""Flow: a frozen value that `|` composes and that runs anywhere unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamflow.core.batch import Batch
from streamflow.core.connect import Sink, Source
from streamflow.core.duration import duration
from streamflow.core.event import Event
from streamflow.core.fleet import FleetStep
from streamflow.core.schema import Schema, Sensor
from streamflow.core.stage import Stage
from streamflow.engine.local import Progress, replay
from streamflow.engine.plan import Part, Plan, plan
from streamflow.engine.result import Result
from streamflow.engine.rows import Batches, Rows
from streamflow.engine.split import MOST_SHARDS
from streamflow.errors import FlowError, StreamflowError
from streamflow.flow.registry import file_source
from streamflow.formats.times import TimeParser

if TYPE_CHECKING:
    from streamflow.backtest.evaluate import Backtest
    from streamflow.backtest.labels import Labels
    from streamflow.engine.balance import Balance

Data = str | Path | Sequence[Mapping[str, Any]] | Batch | Source
"""What can be replayed: a file, rows, a batch, a source."""


@dataclass(frozen=True)
class Flow:
    """Stages between sources and sinks. `|` returns a new flow; nothing runs until told to.

    Parameters
    ----------
    name
        Names the flow in saved state, metrics and the ids of its events.
    sensors
        The numeric fields of a message: name -> `Sensor`, or just their names.
    device, time
        The names of these fields in a message.
    tags
        Names of string fields to keep: site, firmware.
    timezone
        Of times that name none.
    time_format
        For times that are neither ISO 8601 nor a number whose size tells its unit: a format of
        `datetime.strptime`, or "epoch_s", "epoch_ms", "epoch_us", "epoch_ns".
    shards
        Into how many groups devices are split on Bytewax: twice the workers you will ever want.
    ttl
        After so long without a reading, such as "90d", a device is forgotten. Default: never.
    fault_limit
        When a step's own code raises, the reading is rejected and the flow goes on; above this
        share of the last readings (and 100 of them) the flow stops.

    Examples
    --------
    >>> from streamflow import Alert, Flow, Validate
    >>> flow = Flow("doc", sensors=["t"]) | Validate({"t": (-50, 50)}) | Alert("t > 30")
    >>> result = flow.replay([{"device": "a", "time": "2026-01-01T00:00:00Z", "t": 31.5}])
    >>> [event.fields["t"] for event in result.alerts]
    [31.5]
    """

    name: str
    sensors: Mapping[str, Sensor] | Sequence[str] = field(kw_only=True)
    device: str = field(default="device", kw_only=True)
    time: str = field(default="time", kw_only=True)
    tags: Sequence[str] = field(default=(), kw_only=True)
    timezone: str = field(default="UTC", kw_only=True)
    time_format: str | None = field(default=None, kw_only=True)
    shards: int = field(default=8, kw_only=True)
    ttl: str | None = field(default=None, kw_only=True)
    fault_limit: float = field(default=0.1, kw_only=True)
    parts: tuple[Part, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        if not self.name or not all(c.isalnum() or c in "_-" for c in self.name):
            raise FlowError(
                f"flow {self.name!r}: a name is made of letters, digits, _ and -, "
                f"for it keys saved state"
            )
        if isinstance(self.sensors, str) or not self.sensors:
            raise FlowError(f'flow {self.name!r}: give sensors=["temperature", ...], at least one')
        if not 0 <= self.fault_limit <= 1:
            raise FlowError(f"flow {self.name!r}: fault_limit={self.fault_limit}; a share, 0 to 1")
        if not 1 <= self.shards <= MOST_SHARDS:
            raise FlowError(
                f"flow {self.name!r}: shards={self.shards}; at least 1, at most {MOST_SHARDS:,}"
            )
        if isinstance(self.tags, str):
            raise FlowError(f'flow {self.name!r}: give tags=["{self.tags}"], a list')
        if not isinstance(self.sensors, Mapping):
            object.__setattr__(self, "sensors", {name: Sensor() for name in self.sensors})
        sensors: Any = self.sensors
        for name, sensor in sensors.items():
            if not isinstance(sensor, Sensor):
                raise FlowError(
                    f"flow {self.name!r}: sensor {name!r} is {sensor!r}; write it as Sensor(...)"
                )
        object.__setattr__(self, "tags", tuple(self.tags))
        names = self.schema.fields
        for name in names:
            if not isinstance(name, str):
                raise FlowError(
                    f"flow {self.name!r}: {name!r} cannot name a field: names are strings"
                )
            if not name.isprintable() or '"' in name or "\\" in name:
                raise FlowError(f"flow {self.name!r}: {name!r} cannot name a field")
            if names.count(name) > 1:
                raise FlowError(f"flow {self.name!r}: {name!r} is named twice among its fields")
        TimeParser(self.schema)

    def __or__(self, part: Part) -> Flow:
        if not isinstance(part, (Source, Stage, FleetStep, Sink)):
            kind = part.__name__ if hasattr(part, "__name__") else repr(part)
            raise FlowError(
                f"flow {self.name!r}: {kind} is no stage; make one of a function with @stage(), "
                f"and wrap a River detector in Detect(...)"
            )
        return replace(self, parts=(*self.parts, part))

    @property
    def schema(self) -> Schema:
        """What its messages hold."""
        sensors: Any = self.sensors
        return Schema(
            self.device, self.time, sensors, tuple(self.tags), self.timezone, self.time_format
        )

    def plan(self) -> Plan:
        """The flow checked and bound; raises FlowError."""
        ttl = duration(self.ttl) if self.ttl else None
        return plan(self.name, self.schema, self.parts, self.shards, ttl, self.fault_limit)

    def replay(
        self,
        data: Data | None = None,
        *,
        workers: int = 0,
        progress: Progress | None = None,
        events: Callable[[Sequence[Event]], None] | None = None,
    ) -> Result:
        """Run the stages in this process over history, sinks closed.

        Parameters
        ----------
        data
            A file (CSV, JSONL, Parquet; by its ending), rows as dicts with the flow's field names,
            a batch, or a source. Default: the flow's own sources.
        workers
            0: without Bytewax; else on Bytewax with so many threads. The result is the same.
        progress
            Called with the fraction read and the readings so far.
        events
            Called with events as they are raised; all are in the result, too.
        """
        if workers < 0:
            raise FlowError(f"flow {self.name!r}: workers={workers}; at least 0")
        checked = self.plan()
        sources = checked.sources if data is None else (_source(data),)
        if not sources:
            raise FlowError(f"flow {self.name!r} has no source; give replay a file or rows")
        for source in sources:
            source.check(self.schema)
        if workers:
            from streamflow.engine import wax

            return wax.replay(checked, sources, workers, progress=progress, events=events)
        return replay(checked, sources, progress=progress, events=events)

    def backtest(
        self, data: Data | None, labels: Labels, *, progress: Progress | None = None
    ) -> Backtest:
        """Replay history in which it is known what went wrong, and judge the alerts by it.

        Kernels are compiled first, by made-up readings, so that latencies are those of a flow that
        has been running.

        Parameters
        ----------
        data
            As for `replay`; None is the flow's own sources.
        labels
            The labelled windows: a CSV file with the columns device,start,end, a JSON file in the
            form of NAB, or (device, start, end). See `read_labels`.
        progress
            As for `replay`.

        Raises
        ------
        FlowError
            If the labels are wrong or do not fit the data, or there is nothing to judge.

        Examples
        --------
        >>> from streamflow import Alert, Flow
        >>> flow = Flow("doc", sensors=["t"]) | Alert("t > 30")
        >>> rows = [{"device": "a", "time": i * 60, "t": t} for i, t in enumerate([20, 20, 31, 20])]
        >>> judged = flow.backtest(rows, [("a", 60, 180)]).overall
        >>> judged.recall, judged.precision, judged.delays
        (1.0, 1.0, [60.0])
        """
        from streamflow.backtest.evaluate import evaluate
        from streamflow.backtest.labels import read_labels
        from streamflow.engine.warm import warm

        known = read_labels(labels, self.schema)
        with suppress(StreamflowError):  # a stage may be at a loss with readings that are made up
            warm(self.plan())
        return evaluate(self.replay(data, progress=progress), known)

    def run(
        self, *, workers: int = 1, state: str | Path | None = None, epoch: str = "2s"
    ) -> Balance:
        """Run on Bytewax in this process, with threads, until the sources end; the balance.

        Parameters
        ----------
        workers
            Threads. `streamflow run FLOW --processes N` runs processes.
        state
            A directory to keep state in, and to go on from. None keeps it in memory.
        epoch
            The time between two snapshots of the state.
        """
        from streamflow.engine.job import Job
        from streamflow.engine.supervisor import open_state, supervise

        job = Job(self.checked(), epoch=duration(epoch))
        if state is None:
            return supervise(job, workers=workers)
        job.state = open_state(job.plan, state)
        try:
            return supervise(job, workers=workers)
        finally:
            job.state.release()

    def model(self, device: str, state: str | Path, *, step: str = "") -> Any:
        """A device's model as River has it, out of a state directory that the flow has kept.

        Parameters
        ----------
        device
            Its name.
        state
            The directory; the flow may be running on it.
        step
            The `Detect`, `MonitorDrift` or `Impute` it belongs to; default the last `Detect`.

        Raises
        ------
        FlowError
            If the device is not known there, or the step has no model.
        StateError
            If the state is not this flow's.
        """
        from streamflow.engine.trained import saved, trained

        ready = self.plan()
        return trained(ready, [saved(ready, Path(state), device)], device, step)

    def checked(self) -> Plan:
        """The plan of a flow that can run: sources and sinks checked, too."""
        ready = self.plan()
        if not ready.sources:
            raise FlowError(
                f"flow {self.name!r} has no source; pipe one first, as in "
                f'Flow(...) | files.csv("machines.csv") | ...'
            )
        for source in ready.sources:
            source.check(self.schema)
        for tap in ready.taps:
            tap.sink.check(self.schema)
        return ready

    def test(
        self,
        rows: Data,
        expect: Sequence[Mapping[str, Any]],
        *,
        kind: str = "alert",
    ) -> Result:
        """Assert that replaying rows raises exactly these events, in this order.

        Every row must become a reading: a flow that sees nothing raises nothing.

        Parameters
        ----------
        rows
            As for `replay`.
        expect
            For each event what must be true of it: any of its fields. [] expects none.
        kind
            The kind of event to look at.

        Examples
        --------
        >>> from streamflow import Alert, Flow
        >>> flow = Flow("doc", sensors=["t"]) | Alert("t > 30")
        >>> hot = [{"device": "a", "time": 0, "t": 31.0}]
        >>> _ = flow.test(hot, expect=[{"device": "a", "status": "opened"}])
        """
        result = self.replay(rows)
        if result.dead_letters:
            first = result.dead_letters[0]
            raise AssertionError(
                f"{len(result.dead_letters)} rows could not become readings; the first, row "
                f"{first.place}: {first.reason}"
            )
        got = [event.row() for event in result.events if event.kind == kind]
        lines = [f"expected {len(expect)} events of kind {kind!r}, got {len(got)}"]
        wrong = len(got) != len(expect)
        for i, row in enumerate(got):
            wanted = expect[i] if i < len(expect) else {}
            differ = {k: row.get(k) for k, v in wanted.items() if row.get(k) != v}
            wrong |= bool(differ)
            note = f"  <- expected {dict(wanted)}" if differ else ""
            lines.append(f"  {row}{note}")
        lines += [f"  missing: {dict(wanted)}" for wanted in expect[len(got) :]]
        if wrong:
            raise AssertionError("\n".join(lines))
        return result


def _source(data: Data) -> Source:
    if isinstance(data, Source):
        return data
    if isinstance(data, Batch):
        return Batches((data,))
    if isinstance(data, (str, Path)):
        return file_source(str(data))
    return Rows(data)
