"""The other side: plain Python, one reading after the other, a dict of state per device.

A loop is given the readings of a batch as dicts and gives those that go on, as dicts; a rejected
one is left out. Each is written for the parameters that `pairs` gives the stage.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from itertools import count
from typing import Any

from benchmarks.cleaning_speed.data import SECOND, SENSORS, Row

MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86400 * SECOND


class Reorder:
    """lateness="5s", idle="1m": a heap for each device."""

    def __init__(self) -> None:
        self.devices: dict[str, dict[str, Any]] = {}
        self.number = count()

    def __call__(self, rows: list[Row]) -> list[Row]:
        """What is complete."""
        out = []
        for row in rows:
            own = self.devices.get(row["device"])
            if own is None:
                own = {"heap": [], "newest": row["time"], "floor": 0, "last": row["arrived"]}
                self.devices[row["device"]] = own
            heap = own["heap"]
            if heap and row["arrived"] - own["last"] >= MINUTE:
                own["floor"] = own["newest"]
                while heap:
                    out.append(heappop(heap)[2])
            own["last"] = row["arrived"]
            time = row["time"]
            if time < own["newest"] - 5 * SECOND or time < own["floor"]:
                continue
            heappush(heap, (time, next(self.number), row))
            own["newest"] = max(own["newest"], time)
            while heap and heap[0][0] <= own["newest"] - 5 * SECOND:
                out.append(heappop(heap)[2])
        return out


class Deduplicate:
    """window=64: a set of keys and their order for each device."""

    def __init__(self) -> None:
        self.devices: dict[str, tuple[set[Any], deque[Any]]] = {}

    def __call__(self, rows: list[Row]) -> list[Row]:
        """What has not come before."""
        out = []
        for row in rows:
            own = self.devices.get(row["device"])
            if own is None:
                own = self.devices[row["device"]] = (set(), deque())
            keys, order = own
            key = (row["time"], *(row[sensor] for sensor in SENSORS))
            if key in keys:
                continue
            if len(order) == 64:
                keys.remove(order.popleft())
            keys.add(key)
            order.append(key)
            out.append(row)
        return out


class GuardClock:
    """The defaults, for clocks that are right or ahead: what the data has."""

    def __init__(self) -> None:
        self.devices: dict[str, dict[str, int]] = {}

    def __call__(self, rows: list[Row]) -> list[Row]:
        """What can be true, corrected."""
        out = []
        for row in rows:
            own = self.devices.get(row["device"])
            if own is None:
                own = {"skew": 0, "count": 0, "hint": 0, "best": 0}
                self.devices[row["device"]] = own
            offset = row["time"] - row["arrived"]
            if offset - own["skew"] <= 5 * MINUTE:
                own["count"] = 0
            else:
                if own["count"] and abs(offset - own["hint"]) <= 5 * MINUTE:
                    own["count"] += 1
                    own["best"] = max(own["best"], offset)
                else:
                    own |= {"count": 1, "hint": offset, "best": offset}
                if own["count"] < 3:
                    continue
                hours = round(own["best"] / HOUR) * HOUR
                whole = hours <= 14 * HOUR and abs(own["best"] - hours) <= MINUTE
                own |= {"skew": hours if whole else own["best"] // 10**6 * 10**6, "count": 0}
            out.append({**row, "time": row["time"] - own["skew"]})
        return out


class Silent:
    """after="5s": tells of silences in `told`; rows go on as they are."""

    def __init__(self) -> None:
        self.last: dict[str, int] = {}
        self.told: list[tuple[str, int]] = []

    def __call__(self, rows: list[Row]) -> list[Row]:
        """All, unchanged."""
        last = self.last
        for row in rows:
            device, now = row["device"], row["arrived"]
            before = last.get(device)
            if before is not None and now >= before + 5 * SECOND:
                self.told.append((device, before + 5 * SECOND))
                self.told.append((device, now))
            last[device] = now if before is None else max(before, now)
        return rows


class Resample:
    """every="10s", the mean of each cell; the data has no gap to fill."""

    def __init__(self) -> None:
        self.devices: dict[str, dict[str, Any]] = {}

    def __call__(self, rows: list[Row]) -> list[Row]:
        """The rows of the cells that are complete."""
        out = []
        for row in rows:
            own = self.devices.get(row["device"])
            cell = -(-row["time"] // (10 * SECOND))
            if own is None or cell > own["cell"]:
                if own is not None:
                    out.append({**own["row"], **own["means"], "time": own["cell"] * 10 * SECOND})
                means = {sensor: row[sensor] for sensor in SENSORS}
                self.devices[row["device"]] = {"cell": cell, "row": row, "n": 1, "means": means}
            elif cell == own["cell"]:
                own["row"] = row
                own["n"] += 1
                means = own["means"]
                for sensor in SENSORS:
                    means[sensor] += (row[sensor] - means[sensor]) / own["n"]
        return out
