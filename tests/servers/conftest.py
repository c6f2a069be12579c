"""Brokers for tests: each has a folder and a port of its own, and is gone when its test ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # mosquitto.py, for the tests beside it

from mosquitto import Mosquitto, program

MakeBroker = Callable[..., Mosquitto]


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[MakeBroker]:
    """Make brokers that are started, unless told otherwise."""
    if program() is None:
        why = "this test needs mosquitto: sh tests/servers/install.sh"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(why)
    brokers: list[Mosquitto] = []

    def make(*, started: bool = True, **options: Any) -> Mosquitto:
        folder = tmp_path / f"broker-{len(brokers)}"
        folder.mkdir()
        brokers.append(Mosquitto(folder, **options))
        if started:
            brokers[-1].start()
        return brokers[-1]

    yield make
    for broker in brokers:
        broker.stop()


@pytest.fixture
def broker(make_broker: MakeBroker) -> Mosquitto:
    """A broker that lets everybody in and keeps nothing on disk."""
    return make_broker()
