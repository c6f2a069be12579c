"""Tools to test flows, stages and sinks: laws, streams to break them, rows, a collecting sink.

`inject` puts faults into a clean stream, such as `Gaps`, `Flatline`, `ClockReset`, and says where.

`check_laws(flow)` is the one line that a new stage needs, `check_sink` the one of a new sink.
pytest finds the fixture `readings` of `streamflow.testing.plugin` by itself. The laws want
Hypothesis: pip install hypothesis.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamflow.testing.clock_faults import ClockAhead as ClockAhead
    from streamflow.testing.clock_faults import ClockJump as ClockJump
    from streamflow.testing.clock_faults import ClockReset as ClockReset
    from streamflow.testing.clock_faults import ClockSkew as ClockSkew
    from streamflow.testing.clock_faults import TimeZoneShift as TimeZoneShift
    from streamflow.testing.collect import Collect as Collect
    from streamflow.testing.delivery_faults import Duplicates as Duplicates
    from streamflow.testing.delivery_faults import Gaps as Gaps
    from streamflow.testing.delivery_faults import LateDelivery as LateDelivery
    from streamflow.testing.delivery_faults import Silence as Silence
    from streamflow.testing.faults import Fault as Fault
    from streamflow.testing.faults import Truth as Truth
    from streamflow.testing.faults import inject as inject
    from streamflow.testing.flaky import Flaky as Flaky
    from streamflow.testing.law5 import compiled_equals_river as compiled_equals_river
    from streamflow.testing.laws import batching_is_invisible as batching_is_invisible
    from streamflow.testing.laws import check_laws as check_laws
    from streamflow.testing.laws import (
        devices_do_not_see_each_other as devices_do_not_see_each_other,
    )
    from streamflow.testing.laws import engines_agree as engines_agree
    from streamflow.testing.laws import erased_equals_never_seen as erased_equals_never_seen
    from streamflow.testing.laws import restart_is_invisible as restart_is_invisible
    from streamflow.testing.sensor_faults import Drift as Drift
    from streamflow.testing.sensor_faults import Flatline as Flatline
    from streamflow.testing.sensor_faults import Infinities as Infinities
    from streamflow.testing.sensor_faults import MissingValues as MissingValues
    from streamflow.testing.sensor_faults import NoiseBurst as NoiseBurst
    from streamflow.testing.sensor_faults import Offset as Offset
    from streamflow.testing.sensor_faults import OutOfRange as OutOfRange
    from streamflow.testing.sensor_faults import Quantisation as Quantisation
    from streamflow.testing.sensor_faults import Saturation as Saturation
    from streamflow.testing.sensor_faults import Spikes as Spikes
    from streamflow.testing.sensor_faults import SwappedSensors as SwappedSensors
    from streamflow.testing.sensor_faults import UnitChange as UnitChange
    from streamflow.testing.sinks import check_sink as check_sink
    from streamflow.testing.streams import Stream as Stream
    from streamflow.testing.streams import Tick as Tick
    from streamflow.testing.streams import streams_for as streams_for

_HOME = {
    "Collect": "collect",
    "Fault": "faults",
    "Truth": "faults",
    "inject": "faults",
    "Drift": "sensor_faults",
    "Flatline": "sensor_faults",
    "Infinities": "sensor_faults",
    "MissingValues": "sensor_faults",
    "NoiseBurst": "sensor_faults",
    "Offset": "sensor_faults",
    "OutOfRange": "sensor_faults",
    "Quantisation": "sensor_faults",
    "Saturation": "sensor_faults",
    "Spikes": "sensor_faults",
    "SwappedSensors": "sensor_faults",
    "UnitChange": "sensor_faults",
    "ClockAhead": "clock_faults",
    "ClockJump": "clock_faults",
    "ClockReset": "clock_faults",
    "ClockSkew": "clock_faults",
    "TimeZoneShift": "clock_faults",
    "Duplicates": "delivery_faults",
    "Gaps": "delivery_faults",
    "LateDelivery": "delivery_faults",
    "Silence": "delivery_faults",
    "Flaky": "flaky",
    "Stream": "streams",
    "Tick": "streams",
    "batching_is_invisible": "laws",
    "check_laws": "laws",
    "check_sink": "sinks",
    "compiled_equals_river": "law5",
    "devices_do_not_see_each_other": "laws",
    "engines_agree": "laws",
    "erased_equals_never_seen": "laws",
    "restart_is_invisible": "laws",
    "streams_for": "streams",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'streamflow.testing' has no attribute {name!r}")
    return getattr(import_module(f"streamflow.testing.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
