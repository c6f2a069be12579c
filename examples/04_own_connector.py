"""A connector of your own: a source that is a generator, and a sink that takes alerts.

A source yields messages, each with the position behind it: a run that goes on from saved state
calls `open` with the last one. It yields None when there is nothing now. A sink is given batches
of rows, or lists of events.

    streamflow run examples/04_own_connector.py           # prints what it would send
    streamflow run examples/04_own_connector.py --state boilers      # twice: it goes on
"""

import json
from dataclasses import dataclass

from streamflow import Alert, Flow, Json, Message, Sensor, Sink, Source, Writer, iso
from streamflow_connectors import files

START = 1_767_225_600  # 2026-01-01, in seconds


@dataclass(frozen=True)
class Boilers(Source):
    """Two boilers that send their pressure every minute; one springs a leak."""

    minutes: int = 600

    format = Json()

    def partitions(self):
        """One for each boiler."""
        return ["boiler-1", "boiler-2"]

    def open(self, partition, position):
        """The messages behind `position`, the minutes that have been sent."""
        for minute in range(position or 0, self.minutes):
            lost = max(0, minute - 400) / 50 if partition == "boiler-2" else 0
            reading = {"boiler": partition, "time": START + 60 * minute, "bar": 8 - lost}
            yield Message(json.dumps(reading).encode(), position=minute + 1)


@dataclass(frozen=True)
class Pager(Sink):
    """Calls whoever is on duty."""

    def open(self, resume):
        """Nothing to resume: what has been said cannot be taken back."""
        return Call()


class Call(Writer):
    """Prints instead."""

    def write(self, events):
        """Each event once."""
        for event in events:
            print(f"pager: {event.device} {event.fields['status']} at {iso(event.time)}")


flow = (
    Flow("boilers", device="boiler", sensors={"bar": Sensor("bar", low=0, high=20)})
    | Boilers()
    | Alert("bar < 6", after="5m")
    | Pager(of="alerts")
    | files.jsonl("boilers.jsonl", of="rows")
)
