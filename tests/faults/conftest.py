"""Options and fixtures for the faults: how long to torture, what to put down about it."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # lab.py, for the tests beside it

from lab import Lab, Whole

MakeLab = Callable[..., Lab]
Observe = Callable[[str, str, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--torture", type=int, default=0, metavar="N", help="kill flows N times (a few)"
    )
    parser.addoption("--seed", type=int, help="repeat what a test printed that it did")


@pytest.fixture(scope="session")
def torture(request: pytest.FixtureRequest) -> int:
    """How often to kill; 0 is the size for every day."""
    return int(request.config.getoption("--torture", 0))


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Random numbers, another seed each time; the seed is printed when the test fails."""
    given = request.config.getoption("--seed", None)
    seed = random.SystemRandom().randrange(10**6) if given is None else given
    print(f"{request.node.name} --seed {seed}")
    return random.Random(seed)


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[MakeLab]:
    """Make labs; whatever still runs in them at the end is killed."""
    labs: list[Lab] = []

    def make(flow: str = "plant", name: str = "lab", **environment: str) -> Lab:
        labs.append(Lab(tmp_path / name, flow, environment))
        return labs[-1]

    yield make
    for lab in labs:
        lab.clean()


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, torture: int) -> Whole:
    """What a run of the flow "plant" that nobody disturbed left behind."""
    if torture:
        os.environ["MODEL"] = "1"
    return Whole.of(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def observe(record_property: Callable[[str, object], None]) -> Observe:
    """Put down one line of the table in docs/when-it-dies.md: fault, expected, observed."""

    def put(fault: str, expected: str, observed: str) -> None:
        print(f"{fault}: {observed}")
        record_property("fault", json.dumps([fault, expected, observed]))

    return put
