"""Options and fixtures for the faults: how long to torture, where, and on what."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # lab.py, for the tests beside it

from lab import Lab, Whole
from mosquitto import MakeBroker, Mosquitto, brokers

MakeLab = Callable[..., Lab]


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


@pytest.fixture
def make_broker(tmp_path: Path, missing: Callable[[str], None]) -> Iterator[MakeBroker]:
    """Make brokers that are started."""
    with brokers(tmp_path, missing) as make:
        yield make


@pytest.fixture
def broker(make_broker: MakeBroker) -> Mosquitto:
    """A broker that keeps all it is given, in memory."""
    return make_broker()


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, torture: int) -> Whole:
    """What a run of the flow "plant" that nobody disturbed left behind."""
    if torture:
        os.environ["MODEL"] = "1"
    return Whole.of(tmp_path_factory.mktemp("whole"))
