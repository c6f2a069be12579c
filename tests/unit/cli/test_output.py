from __future__ import annotations

import io
import json
import logging
import sys
from pathlib import Path

import numpy as np
import pytest

from streamflow.cli.output import JsonLines, ProgressLine, print_json
from streamflow.core.clock import ManualClock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_drawn_at_most_ten_times_a_second() -> None:
    terminal, clock = Terminal(), ManualClock()
    line = ProgressLine("replay", terminal, clock)
    for i in range(100):
        clock.sleep(0.01)
        line(i / 100, i)
    assert 5 <= terminal.getvalue().count("\r") <= 10


def test_progress_says_how_far_how_many_and_how_fast() -> None:
    terminal, clock = Terminal(), ManualClock()
    line = ProgressLine("replay", terminal, clock)
    clock.sleep(2)
    line(0.5, 5000)
    drawn = terminal.getvalue()
    assert f"replay [{'#' * 15}{'.' * 15}]  50%  5,000 readings, 2,500/s" in drawn
    clock.sleep(2)
    line(None, 6000)
    assert "replay  6,000 readings, 1,500/s" in terminal.getvalue()
    clock.sleep(2)
    line(1.7, 9000)
    assert f"[{'#' * 30}]" in terminal.getvalue()
    line.done()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_progress_is_for_terminals_only() -> None:
    file, clock = io.StringIO(), ManualClock()
    line = ProgressLine("replay", file, clock)
    clock.sleep(9)
    line(0.5, 5)
    line.done()
    assert file.getvalue() == ""


def test_json_knows_no_infinity(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [float("nan"), float("inf"), np.float64(1.5)], "b": Path("x"), "ö": "\u2603"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": [None, None, 1.5], "b": "x", "ö": "\u2603"}
    assert out.endswith("\n")


def test_a_log_record_is_one_line_whatever_it_holds() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        error = sys.exc_info()
    record = logging.LogRecord(
        "streamflow.x", logging.WARNING, "f.py", 1, "%s\n%d", ("a", 5), error
    )
    record.created = 1_500_000_000.2504
    text = JsonLines().format(record)
    assert "\n" not in text
    entry = json.loads(text)
    assert entry["time"] == "2017-07-14T02:40:00.250Z"
    assert (entry["level"], entry["message"]) == ("warning", "a\n5")
    assert entry["traceback"].endswith("ValueError: two\nlines")
