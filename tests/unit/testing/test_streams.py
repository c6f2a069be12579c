from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from streamflow import Batch, Flow, Sensor
from streamflow.testing import Stream, Tick, streams_for

FLOW = Flow("drawn", sensors={"t": Sensor(low=0, high=90), "p": Sensor()}, tags=["site"])
ROWS = [{"device": device, "time": i, "t": float(i)} for i, device in enumerate("abcab")]
ALL = Batch.of(ROWS, ["t"])
STREAM = Stream(
    (Tick(0), ALL.take([0, 1]), Tick(1), ALL.take([2, 3]), Tick(3), Tick(9), ALL.take([4]))
)


def shape(stream: Stream) -> list[str]:
    """Each batch as its devices, each tick as its time."""
    return [
        f"tick {item.now}" if isinstance(item, Tick) else "".join(map(item.name, range(len(item))))
        for item in stream.items
    ]


def test_cut_keeps_the_ticks_at_its_cuts() -> None:
    assert shape(STREAM.cut([4, 1, 99])) == ["tick 0", "a", "bca", "tick 3", "tick 9", "b"]
    assert shape(STREAM.cut([])) == ["tick 0", "abcab"]


def test_singly_ticks_before_each_reading() -> None:
    got = shape(STREAM.singly())
    assert got[:6] == ["tick 0", "tick 0", "a", "tick 1", "b", "tick 1"]
    assert [name for name in got if "tick" not in name] == list("abcab")


def test_without_and_only_choose_a_device() -> None:
    assert shape(STREAM.without("a", stop=3)) == [
        "tick 0",
        "b",
        "tick 1",
        "ca",
        "tick 3",
        "tick 9",
        "b",
    ]
    assert shape(STREAM.only("a")) == ["tick 0", "a", "tick 1", "a", "tick 3", "tick 9"]
    assert STREAM.devices == ["a", "b", "c"]
    assert STREAM.end == 9


def test_streams_are_compared_by_value() -> None:
    assert Stream(tuple(STREAM.items)) == STREAM
    assert STREAM.cut([2, 4]).readings == STREAM.readings


def test_drawn_streams_are_as_unkind_as_they_say() -> None:
    drawn: list[Stream] = []

    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(stream=streams_for(FLOW))
    def draw(stream: Stream) -> None:
        drawn.append(stream)

    draw()
    for stream in drawn:
        moments = [
            moment
            for item in stream.items
            for moment in ([item.now] if isinstance(item, Tick) else item.arrived.tolist())
        ]
        assert moments == sorted(moments)
    readings = Batch.concat([stream.readings for stream in drawn])
    values = readings["t"]
    assert np.isnan(values).any()
    assert np.isinf(values).any()
    assert (values == np.nextafter(90, np.inf)).any()
    assert (np.abs(values) > 1e200).any()
    assert ((np.abs(values) < 1e-200) & (values != 0)).any()
    assert (readings.time > readings.arrived).any()
    assert all(readings.flags(sensor).any() for sensor in FLOW.sensors)
    assert set(readings.tags["site"].list()) == {"north", "south", None}
    times = [stream.readings.time for stream in drawn]
    assert any((np.diff(time) < 0).any() for time in times)
    assert any((np.diff(time) == 0).any() for time in times)
    assert any(np.unique(stream.readings["t"]).size == 1 < len(times) for stream in drawn)
    assert any(len(stream.devices) == 3 for stream in drawn)
    assert any(isinstance(item, Tick) for stream in drawn for item in stream.items)
    assert any(len(i) > 5 for s in drawn for i in s.items if isinstance(i, Batch))
