"""Brokers for tests: each has a folder and a port of its own, and is gone when its test ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # mosquitto.py, for the tests beside it

from mosquitto import MakeBroker, Mosquitto, brokers


def missing(what: str) -> None:
    """Something is not installed: CI fails, and elsewhere the test skips."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"this test needs {what}")


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[MakeBroker]:
    """Make brokers that are started, unless told otherwise."""
    with brokers(tmp_path, missing) as make:
        yield make


@pytest.fixture
def broker(make_broker: MakeBroker) -> Mosquitto:
    """A broker that lets everybody in and keeps nothing on disk."""
    return make_broker()
