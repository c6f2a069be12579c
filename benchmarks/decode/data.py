"""The messages: those of hot_path's fleet, in each form that is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import orjson

from benchmarks.hot_path.data import SENSORS, workload
from benchmarks.hot_path.data import Size as Fleet
from streamflow import Flow, Format, Json, MsgPack

FLEET = Flow("decode", device="machine", time="timestamp", sensors=SENSORS)
BATCH = 4096
TOGETHER = 10
"""Readings in a message that holds several."""
SIZES = {"small": 20, "full": 200}
"""Readings of each of 1,000 devices."""


@dataclass(frozen=True)
class Form:
    """A form of messages.

    Parameters
    ----------
    format
        How streamflow is told to read it.
    pack
        A whole message from its object.
    shape
        "flat", "nested" or "several": where the fields stand.
    epoch
        Whether times are ms since 1970; else ISO 8601.
    floor
        How many times the rate of the loop ours reaches; None only informs.
    """

    format: Format
    pack: Callable[[Any], bytes]
    shape: str = "flat"
    epoch: bool = False
    floor: float | None = 3.0


_PATHS = {name: f"data.{name}" for name in SENSORS}
FORMS: Mapping[str, Form] = {
    "JSON, ISO 8601": Form(Json(), orjson.dumps),
    "JSON, epoch ms": Form(Json(), orjson.dumps, epoch=True),
    "MessagePack, ISO 8601": Form(MsgPack(), msgspec.msgpack.encode),
    "MessagePack, epoch ms": Form(MsgPack(), msgspec.msgpack.encode, epoch=True),
    "JSON, nested": Form(Json(paths=_PATHS), orjson.dumps, "nested", floor=None),
    f"JSON, {TOGETHER} readings": Form(Json(readings="sent"), orjson.dumps, "several", floor=None),
}


def messages(form: Form, size: str) -> tuple[list[bytes], int]:
    """Messages in this form, and how many readings they hold."""
    fleet = workload(Fleet(1000, SIZES[size], BATCH)).messages
    things = [_shaped(form, orjson.loads(payload)) for payload in fleet]
    if form.shape == "several":
        things = [{"sent": things[at : at + TOGETHER]} for at in range(0, len(things), TOGETHER)]
    return [form.pack(thing) for thing in things], len(fleet)


def _shaped(form: Form, thing: dict[str, Any]) -> dict[str, Any]:
    if form.epoch:
        moment = datetime.fromisoformat(thing["timestamp"])
        thing["timestamp"] = round(moment.timestamp() * 1000)
    if form.shape == "nested":
        return {
            "machine": thing["machine"],
            "timestamp": thing["timestamp"],
            "data": {name: thing[name] for name in SENSORS},
        }
    return thing
