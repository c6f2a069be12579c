"""Flaky: a sink that cannot be reached while a file exists, for tests of what happens then."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from streamflow.core.batch import Batch
from streamflow.core.connect import DeadLetter, Position, Sink, Writer
from streamflow.core.event import Event
from streamflow.core.schema import Schema
from streamflow.errors import Backoff, NotConnected


@dataclass(frozen=True)
class Flaky(Sink):
    """Another sink that is down while a file exists: a test, or another process, makes the file.

    Parameters
    ----------
    sink
        What it is when it is up.
    down
        The file.
    wait
        Seconds to ask for with Backoff; None says NotConnected.
    slow
        Seconds that each `write` takes.

    Examples
    --------
    >>> import tempfile
    >>> from streamflow.testing import Collect
    >>> down = Path(tempfile.mkdtemp(), "down")
    >>> writer = Flaky(Collect(of="alerts"), down).open(None)
    >>> down.touch()
    >>> writer.write([])
    Traceback (most recent call last):
    streamflow.errors.NotConnected: collect_alerts is down
    """

    sink: Sink
    down: Path
    wait: float | None = field(default=None, kw_only=True)
    slow: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("of", "where", "deliver", "name"):
            object.__setattr__(self, name, getattr(self.sink, name))

    @property
    def step(self) -> str:
        """The name of the sink itself."""
        return self.sink.step

    @property
    def promise(self) -> str:
        """That of the sink itself."""
        return self.sink.promise

    def open(self, resume: Position) -> Writer:
        """Open the sink; NotConnected or Backoff while it is down."""
        self.reach()
        return _FlakyWriter(self, self.sink.open(resume))

    def check(self, schema: Schema) -> None:
        """Check the sink itself."""
        self.sink.check(schema)

    def reach(self) -> None:
        """Raise NotConnected or Backoff while it is down."""
        if not self.down.exists():
            return
        said = f"{self.step} is down"
        raise NotConnected(said) if self.wait is None else Backoff(self.wait, said)


class _FlakyWriter(Writer):
    def __init__(self, sink: Flaky, writer: Writer) -> None:
        self._sink, self._writer = sink, writer

    def write(self, items: Batch | Sequence[Event] | Sequence[DeadLetter]) -> None:
        time.sleep(self._sink.slow)
        self._sink.reach()
        self._writer.write(items)

    def snapshot(self) -> Position:
        self._sink.reach()
        return self._writer.snapshot()

    def close(self) -> None:
        self._writer.close()
