"""streamflow: anomaly detection on live IoT streams that survives production.

Compose a flow of stages with `|`, replay it on history, run it on Bytewax unchanged. The names
here are the whole public surface; they load when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamflow.core.batch import Batch as Batch
    from streamflow.core.batch import Words as Words
    from streamflow.core.clock import SystemClock as SystemClock
    from streamflow.core.connect import DeadLetter as DeadLetter
    from streamflow.core.connect import Decoded as Decoded
    from streamflow.core.connect import Format as Format
    from streamflow.core.connect import Message as Message
    from streamflow.core.connect import Messages as Messages
    from streamflow.core.connect import Outlet as Outlet
    from streamflow.core.connect import Position as Position
    from streamflow.core.connect import Reader as Reader
    from streamflow.core.connect import Sink as Sink
    from streamflow.core.connect import Source as Source
    from streamflow.core.connect import Writer as Writer
    from streamflow.core.connect import records as records
    from streamflow.core.duration import duration as duration
    from streamflow.core.event import Event as Event
    from streamflow.core.event import iso as iso
    from streamflow.core.memory import Field as Field
    from streamflow.core.memory import Memory as Memory
    from streamflow.core.quality import Quality as Quality
    from streamflow.core.schema import Schema as Schema
    from streamflow.core.schema import Sensor as Sensor
    from streamflow.core.stage import Stage as Stage
    from streamflow.engine.buffer import buffered as buffered
    from streamflow.flow.flow import Flow as Flow
    from streamflow.formats.arrow import Arrow as Arrow
    from streamflow.formats.avro import Avro as Avro
    from streamflow.formats.csv import Csv as Csv
    from streamflow.formats.json import Json as Json
    from streamflow.formats.msgpack import MsgPack as MsgPack
    from streamflow.models.auto import AutoDetector as AutoDetector
    from streamflow.models.learning import Gate as Gate
    from streamflow.models.level_shift import LevelShift as LevelShift
    from streamflow.models.mahalanobis import Mahalanobis as Mahalanobis
    from streamflow.models.novelty import ValueNovelty as ValueNovelty
    from streamflow.models.seasonal_novelty import SeasonalNovelty as SeasonalNovelty
    from streamflow.stages.alert import Alert as Alert
    from streamflow.stages.deduplicate import Deduplicate as Deduplicate
    from streamflow.stages.despike import Despike as Despike
    from streamflow.stages.detect import Detect as Detect
    from streamflow.stages.drift import MonitorDrift as MonitorDrift
    from streamflow.stages.guard_clock import GuardClock as GuardClock
    from streamflow.stages.impute import Impute as Impute
    from streamflow.stages.incidents import Incidents as Incidents
    from streamflow.stages.maintenance import Maintenance as Maintenance
    from streamflow.stages.map import Map as Map
    from streamflow.stages.map import Reject as Reject
    from streamflow.stages.map import stage as stage
    from streamflow.stages.reorder import Reorder as Reorder
    from streamflow.stages.resample import Resample as Resample
    from streamflow.stages.silent import Silent as Silent
    from streamflow.stages.stuck import Stuck as Stuck
    from streamflow.stages.validate import Validate as Validate

_HOME = {
    "Alert": "stages.alert",
    "Arrow": "formats.arrow",
    "AutoDetector": "models.auto",
    "Avro": "formats.avro",
    "Batch": "core.batch",
    "Csv": "formats.csv",
    "DeadLetter": "core.connect",
    "Decoded": "core.connect",
    "Deduplicate": "stages.deduplicate",
    "Despike": "stages.despike",
    "Detect": "stages.detect",
    "Event": "core.event",
    "Field": "core.memory",
    "Flow": "flow.flow",
    "Format": "core.connect",
    "Gate": "models.learning",
    "GuardClock": "stages.guard_clock",
    "Impute": "stages.impute",
    "Incidents": "stages.incidents",
    "Json": "formats.json",
    "LevelShift": "models.level_shift",
    "Maintenance": "stages.maintenance",
    "Mahalanobis": "models.mahalanobis",
    "Map": "stages.map",
    "Memory": "core.memory",
    "Message": "core.connect",
    "Messages": "core.connect",
    "MonitorDrift": "stages.drift",
    "MsgPack": "formats.msgpack",
    "Outlet": "core.connect",
    "Position": "core.connect",
    "Quality": "core.quality",
    "Reader": "core.connect",
    "Reject": "stages.map",
    "Reorder": "stages.reorder",
    "Resample": "stages.resample",
    "Schema": "core.schema",
    "SeasonalNovelty": "models.seasonal_novelty",
    "Sensor": "core.schema",
    "Silent": "stages.silent",
    "Sink": "core.connect",
    "Source": "core.connect",
    "Stage": "core.stage",
    "Stuck": "stages.stuck",
    "SystemClock": "core.clock",
    "Validate": "stages.validate",
    "ValueNovelty": "models.novelty",
    "Words": "core.batch",
    "Writer": "core.connect",
    "buffered": "engine.buffer",
    "duration": "core.duration",
    "iso": "core.event",
    "records": "core.connect",
    "stage": "stages.map",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'streamflow' has no attribute {name!r}")
    return getattr(import_module(f"streamflow.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
