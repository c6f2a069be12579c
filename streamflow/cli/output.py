"""What commands print: JSON for scripts, a progress line and logs for people."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any, TextIO

import orjson

from streamflow.core.clock import Clock, SystemClock
from streamflow.core.event import iso
from streamflow.errors import FlowError

_QUIET_NS = 100_000_000  # a progress line is drawn at most ten times a second


def print_json(value: Any) -> None:
    """One JSON document on stdout; what is not finite is null."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    print(orjson.dumps(value, default=str, option=options).decode())


def check_writable(path: Path) -> None:
    """Raise FlowError unless a file can be written there, before work is spent on it."""
    folder = path.parent
    if os.path.isdir(path):
        raise FlowError(f"{path} is a folder; name a file")
    if not os.path.isdir(folder):
        raise FlowError(f"{path} cannot be written: there is no folder {folder}")
    if not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise FlowError(f"{path} cannot be written: permission denied")


class ProgressLine:
    """A line that says how far a replay is; on a terminal only."""

    def __init__(self, what: str, stream: TextIO | None = None, clock: Clock | None = None) -> None:
        self._what = what
        self._stream = stream or sys.stderr
        self._clock = clock or SystemClock()
        self._on = self._stream.isatty()
        self._began = self._drawn = self._clock.monotonic()

    def __call__(self, fraction: float | None, readings: int) -> None:
        """Draw, unless that was done a moment ago."""
        now = self._clock.monotonic()
        if not self._on or now - self._drawn < _QUIET_NS:
            return
        self._drawn = now
        rate = readings / max((now - self._began) / 1e9, 1e-9)
        bar = ""
        if fraction is not None:
            done = round(30 * min(fraction, 1.0))
            bar = f" [{'#' * done}{'.' * (30 - done)}] {fraction:4.0%}"
        self._stream.write(f"\r{self._what}{bar}  {readings:,} readings, {rate:,.0f}/s \x1b[K")
        self._stream.flush()

    def done(self) -> None:
        """Clear the line."""
        if self._on:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


class JsonLines(logging.Formatter):
    """A log record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """time, level, logger, message, and the traceback if there is one."""
        entry = {
            "time": iso(round(record.created * 1e3) * 10**6),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def set_up_logs(form: str) -> None:
    """Send the library's logs to stderr: form "text" for people, "json" for machines."""
    handler = logging.StreamHandler()
    plain = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonLines() if form == "json" else plain)
    logger = logging.getLogger("streamflow")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
