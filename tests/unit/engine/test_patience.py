"""Patience: a sink that cannot be reached is asked again, later and later, until the flow stops."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from streamflow.core.clock import ManualClock
from streamflow.engine.delivery import Delivery
from streamflow.engine.patience import Patience, Waits
from streamflow.errors import Backoff, ConnectorError, NotConnected
from streamflow.testing import Collect, Flaky


class Failing:
    """Fails so often, then gives its answer."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.asked = list(errors), 0

    def __call__(self, answer: str) -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return answer


def test_each_wait_is_about_twice_the_one_before_up_to_half_a_minute() -> None:
    waits = Waits()
    got = [waits.after(NotConnected("away")) for _ in range(12)]
    for number, wait in enumerate(got):
        longest = min(0.2 * 2**number, 30)
        assert longest / 2 <= wait <= longest
    assert waits.after(Backoff(7.5)) == 7.5
    assert waits.after(Backoff(0)) > 0
    waits.over()
    assert waits.after(NotConnected("away")) <= 0.2
    assert waits.failures == 15


def test_it_asks_until_it_gets_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    asked = Failing(NotConnected("away"), Backoff(60), NotConnected("still away"))
    patience = Patience("kafka", clock)
    with caplog.at_level(logging.INFO, "streamflow.sinks"):
        assert patience.ask(asked, "here") == "here"
    assert asked.asked == 4
    assert patience.failures == 3
    assert 60 < clock.monotonic() / 1e9 < 61
    assert caplog.messages == [
        "sink 'kafka' cannot go on, and the flow waits for it: away",
        "sink 'kafka' cannot go on, and the flow waits for it: still away",
        "sink 'kafka' goes on",
    ]


def test_other_errors_are_not_asked_again() -> None:
    asked = Failing(ConnectorError("no such topic"))
    with pytest.raises(ConnectorError, match="no such topic"):
        Patience("kafka", ManualClock()).ask(asked, "")
    assert asked.asked == 1


def test_a_flow_that_is_to_stop_does_not_wait_on() -> None:
    clock = ManualClock()
    patience = Patience("kafka", clock, lambda: clock.now() > 2 * 10**9)
    with pytest.raises(ConnectorError, match="sink 'kafka' could not take all before the flow"):
        patience.ask(Failing(Backoff(100, "maintenance")), "")
    assert clock.now() / 1e9 < 2.2


def test_a_delivery_opens_writes_and_saves_when_its_sink_is_back(tmp_path: Path) -> None:
    down = tmp_path / "down"

    class Mended(ManualClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            down.unlink(missing_ok=True)

    collect = Collect(of="alerts")
    sink = Flaky(collect, down)
    patience = Patience(sink.step, Mended())
    down.touch()
    delivery = Delivery(sink, None, patience=patience)
    down.touch()
    delivery.write([["alert"]])  # type: ignore[list-item]
    down.touch()
    assert delivery.snapshot() == [None, [], 1]
    assert collect.items == ["alert"]
    assert patience.failures == 3
