"""Incidents: episodes that open together on many devices are one thing that happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from streamflow.core.duration import duration
from streamflow.core.event import Event, event_id, iso
from streamflow.core.fleet import FleetStep
from streamflow.errors import FlowError

Tree = dict[str, Any]
SHOWN = 100
"""So many members an event names; it counts all."""


@dataclass(frozen=True)
class Incidents(FleetStep):
    """Raise an incident when alerts open on several devices within a short time.

    It opens with the alert that makes it `devices` different devices within `within` of event
    time; every alert that opens within that time of the last one joins it; it closes when all
    its alerts have closed. Its events are of kind "incident", about the device of its first
    alert, with the `status` "opened", "ongoing" (when its devices have doubled) or "closed", and
    name its `members`. Alerts stay what they are: a sink of="alerts" takes those, one of="events"
    takes both.

    Its id is a hash of flow, step, and device and time of its earliest alert: the same in every
    replay, after a restart, and with any number of workers, if all readings arrive within
    `lateness` of their event time. A source that rests holds incidents up for 10 s at most.

    Parameters
    ----------
    within
        How close in event time alerts open that belong together.
    devices
        How many it takes.

    Raises
    ------
    FlowError
        If `devices` is less than 2, or a duration cannot be read.

    Examples
    --------
    >>> from streamflow import Alert, Flow
    >>> flow = Flow("doc", sensors=["t"]) | Alert("t > 30") | Incidents(within="1m", devices=2)
    >>> rows = [{"device": d, "time": i, "t": 31} for i, d in enumerate("ab")]
    >>> incident = flow.replay(rows).events[-1]
    >>> incident.kind, [member["device"] for member in incident.fields["members"]]
    ('incident', ['a', 'b'])
    """

    within: str = "10m"
    devices: int = 3

    def bind(self, flow: str) -> Self:
        """Check the parameters."""
        if self.devices < 2:
            raise FlowError(f"step {self.step!r}: devices={self.devices}; it takes at least 2")
        for key in (self.within, self.lateness):
            duration(key)
        return super().bind(flow)

    def start(self) -> Tree:
        """The alerts of late that are in no incident, and the incidents that are not closed."""
        return {"recent": [], "open": []}

    def on_event(self, event: Event, state: Tree) -> Sequence[Event]:
        """Follow the openings and ends of alerts."""
        if event.kind != "alert" or event.fields["status"] == "ongoing":
            return []
        if event.fields["status"] != "opened":
            return self._ended(event, state)
        since = event.time - self._within
        for incident in reversed(state["open"]):
            if incident["last"] >= since:
                return self._joined(incident, event)
        state["recent"] = [one for one in state["recent"] if one["time"] >= since]
        one = {"time": event.time, "device": event.device, "id": event.id, "open": True}
        state["recent"].append(one)
        if len({one["device"] for one in state["recent"]}) < self.devices:
            return []
        together = sorted(state["recent"], key=lambda one: (one["time"], one["device"]))
        state["recent"] = []
        first = together[0]
        incident = {
            "id": event_id(self.flow, self.step, first["device"], first["time"]),
            "began": first["time"],
            "last": event.time,
            "told": self.devices,
            "alerts": len(together),
            "devices": {one["device"]: 1 for one in together},
            "still": {one["id"]: one["device"] for one in together if one["open"]},
            "members": [{"device": one["device"], "id": one["id"]} for one in together[:SHOWN]],
        }
        state["open"].append(incident)
        return [self._event("opened", event.time, incident)]

    def _joined(self, incident: Tree, event: Event) -> Sequence[Event]:
        incident["alerts"] += 1
        incident["last"] = max(incident["last"], event.time)
        incident["devices"][event.device] = 1
        incident["still"][event.id] = event.device
        if len(incident["members"]) < SHOWN:
            incident["members"].append({"device": event.device, "id": event.id})
        if len(incident["devices"]) < 2 * incident["told"]:
            return []
        incident["told"] = len(incident["devices"])
        return [self._event("ongoing", event.time, incident)]

    def _ended(self, event: Event, state: Tree) -> Sequence[Event]:
        for one in state["recent"]:
            if one["id"] == event.id:
                one["open"] = False
        for incident in state["open"]:
            if incident["still"].pop(event.id, None) and not incident["still"]:
                state["open"].remove(incident)
                return [self._event("closed", event.time, incident)]
        return []

    def _event(self, status: str, time: int, incident: Tree) -> Event:
        fields = {
            "status": status,
            "began": iso(incident["began"]),
            "seconds": (time - incident["began"]) / 1e9,
            "devices": len(incident["devices"]),
            "alerts": incident["alerts"],
            "members": [dict(one) for one in incident["members"]],
        }
        about = next(iter(incident["devices"]), "")
        return Event(incident["id"], "incident", self.step, about, time, fields)

    @cached_property
    def _within(self) -> int:
        return duration(self.within)
