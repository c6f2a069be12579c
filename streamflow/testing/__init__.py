"""Tools to test flows, stages and sinks: laws, streams to break them, rows, a collecting sink.

`check_laws(flow)` is the one line that a new stage needs, `check_sink` the one of a new sink.
pytest finds the fixture `readings` of `streamflow.testing.plugin` by itself. The laws want
Hypothesis: pip install hypothesis.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamflow.testing.collect import Collect as Collect
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
    from streamflow.testing.sinks import check_sink as check_sink
    from streamflow.testing.streams import Stream as Stream
    from streamflow.testing.streams import Tick as Tick
    from streamflow.testing.streams import streams_for as streams_for

_HOME = {
    "Collect": "collect",
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
