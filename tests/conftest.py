"""What tests of several folders need: programs and servers that may not be there."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

ROOT = Path(__file__).parents[1]
# kafka_broker.py and kafka_lab.py, for the tests that run on a server
sys.path += [str(ROOT / "examples" / "servers"), str(ROOT / "tests" / "servers")]

if TYPE_CHECKING:
    from kafka_lab import Kafka


def tell_missing(what: str) -> None:
    """Something a test needs is not there: CI fails, and elsewhere the test skips."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"this test needs {what}")
    pytest.skip(f"this test needs {what}")


@pytest.fixture
def missing() -> Callable[[str], None]:
    """Something a test needs is not there: CI fails, and elsewhere the test skips."""
    return tell_missing


@pytest.fixture
def need(missing: Callable[[str], None]) -> Callable[[str, str], str]:
    """The path of a program that a test needs."""

    def find(program: str, why: str) -> str:
        path = shutil.which(program)
        if path is None:
            missing(f"{program}, {why}: sh tests/servers/install.sh")
        assert path is not None
        return path

    return find


@pytest.fixture(scope="session")
def started_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A real Kafka of this session; it takes seconds to start."""
    from kafka_lab import Kafka, Missing

    try:
        kafka = Kafka.start(tmp_path_factory.mktemp("kafka"))
    except Missing as error:
        tell_missing(str(error))
        return
    yield kafka
    kafka.broker.kill()


@pytest.fixture
def kafka(started_kafka: Kafka) -> Kafka:
    """The Kafka of this session, running: a test before may have ended it."""
    started_kafka.revive()
    return started_kafka


@pytest.fixture
def observe(record_property: Callable[[str, object], None]) -> Callable[[str, str, str], None]:
    """Put down one line of the table in docs/when-it-dies.md: fault, expected, observed."""

    def put(fault: str, expected: str, observed: str) -> None:
        print(f"{fault}: {observed}")
        record_property("fault", json.dumps([fault, expected, observed]))

    return put
