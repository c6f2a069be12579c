"""Follows one run: what it costs from one moment to another."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.process import peak_memory


@dataclass(frozen=True)
class Figures:
    """What one run cost.

    Parameters
    ----------
    ready_cpu, ready_wall
        Seconds from the start of the program to the arrival of its first batch.
    readings_cpu
        Seconds of CPU from the first batch handed out to the arrival of the last reading.
    input_cpu
        Seconds of CPU from the start of the program to the end of its input.
    end_cpu, end_wall
        Seconds from the end of the input to the end of the program: the last snapshot.
    grown
        What the program holds at the end of its input, in bytes of resident memory.
    peak
        Largest resident memory of the process, MB.
    disk
        Bytes of the recovery store.
    """

    ready_cpu: float
    ready_wall: float
    readings_cpu: float
    input_cpu: float
    end_cpu: float
    end_wall: float
    grown: float
    peak: float
    disk: float


@dataclass(frozen=True)
class _Mark:
    cpu: float
    wall: float


def _now() -> _Mark:
    return _Mark(time.process_time(), time.perf_counter())


class Watch:
    """Told by a side what happens, in this order; made right before its program starts.

    Parameters
    ----------
    expected
        Readings that will arrive.
    """

    def __init__(self, expected: int) -> None:
        self._left = expected
        self._resident = _resident()
        self._begun = _now()
        self._polled: _Mark | None = None
        self._ready: _Mark | None = None
        self._last: _Mark | None = None
        self._ended: _Mark | None = None
        self._grown = 0

    def polled(self) -> None:
        """A batch is handed out."""
        self._polled = self._polled or _now()

    def arrived(self, readings: int) -> None:
        """So many readings have come to the sink."""
        self._ready = self._ready or _now()
        self._left -= readings
        if self._left == 0:
            self._last = _now()

    @property
    def waited(self) -> float:
        """Seconds since all readings have arrived."""
        return time.perf_counter() - self._last.wall if self._last else 0.0

    def ended(self) -> None:
        """The input ends."""
        self._ended = _now()
        self._grown = _resident() - self._resident

    def figures(self, store: Path) -> dict[str, float]:
        """What it cost; the program has just ended."""
        end = _now()
        assert self._polled is not None
        assert self._ready is not None
        assert self._last is not None
        assert self._ended is not None
        return asdict(
            Figures(
                ready_cpu=self._ready.cpu - self._begun.cpu,
                ready_wall=self._ready.wall - self._begun.wall,
                readings_cpu=self._last.cpu - self._polled.cpu,
                input_cpu=self._ended.cpu - self._begun.cpu,
                end_cpu=end.cpu - self._ended.cpu,
                end_wall=end.wall - self._ended.wall,
                grown=self._grown,
                peak=peak_memory(),
                disk=sum(path.stat().st_size for path in store.glob("**/*.sqlite3*")),
            )
        )


def _resident() -> int:
    """Resident memory of this process now, bytes; 0 where the system does not tell."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * 4096 if statm.exists() else 0
