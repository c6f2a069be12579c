"""Raw fields of many messages -> a batch. Shared by all formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from streamflow.core.batch import Batch, Codes, Mask, Values, Words
from streamflow.core.connect import Trouble
from streamflow.core.quality import Quality
from streamflow.core.schema import Schema
from streamflow.formats.times import TimeParser

_MISSING = {"", "null", "none", "na", "n/a"}


class Columns:
    """Builds batches for one partition; its vocabulary of devices grows with what it has seen."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._times = TimeParser(schema)
        self._devices: list[str] = []
        self._codes: dict[Any, int] = {}

    def build(
        self,
        fields: Mapping[str, Sequence[Any]],
        rows: Sequence[int],
        dead: Trouble,
        arrived: int | None = None,
    ) -> Batch:
        """A batch from raw values: `fields[name][k]` belongs to message `rows[k]`.

        A reading whose device or time is none is reported as dead. A sensor that is no number is
        missing and flagged `invalid`; a field that is absent is missing.
        """
        n = len(rows)
        none: list[Any] = [None] * n
        lost: set[int] = set()

        def bad(k: int, reason: str) -> None:
            if k not in lost:
                lost.add(k)
                dead(rows[k], reason)

        schema = self.schema
        device = self._device(fields.get(schema.device, none), bad)
        time = self._times.many(
            fields.get(schema.time, none), lambda k, why: bad(k, f"{schema.time}: {why}")
        )
        columns, quality = {}, {}
        for sensor in schema.sensors:
            columns[sensor], invalid = numbers(fields.get(sensor, none))
            if invalid is not None:
                quality[sensor] = np.where(invalid, Quality.INVALID, 0).astype(np.uint16)
        tags = {}
        for tag in schema.tags:
            words = [None if w is None or w == "" else str(w) for w in fields.get(tag, none)]
            tags[tag] = Words.of(words)
        came = time if arrived is None else np.full(n, arrived, np.int64)
        batch = Batch(self._devices, device, time, came, columns, tags, quality)
        if lost:
            batch = batch.take(np.array([k for k in range(n) if k not in lost], np.intp))
        return batch

    def _device(self, raw: Sequence[Any], bad: Any) -> Codes:
        known = self._codes
        out = [known.get(name, -1) if isinstance(name, str) else -1 for name in raw]
        for k, code in enumerate(out):
            if code < 0:
                out[k] = self._new(raw[k], k, bad)
        return np.array(out, np.int32)

    def _new(self, name: Any, k: int, bad: Any) -> int:
        if isinstance(name, int) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str) or not name.strip():
            what = "it has no device" if name in (None, "") else f"{name!r} is not a device"
            bad(k, f"{self.schema.device}: {what}")
            return 0
        code = self._codes.get(name)
        if code is None:
            code = self._codes[name] = len(self._devices)
            self._devices.append(name)
        return code


def numbers(raw: Sequence[Any]) -> tuple[Values, Mask | None]:
    """Raw values as float64, and where they are no numbers (None if nowhere).

    >>> numbers([1, "2.5", None, "", "hot", True])
    (array([1. , 2.5, nan, nan, nan, 1. ]), array([False, False, False, False,  True, False]))
    """
    try:
        return np.array(raw, np.float64), None
    except (ValueError, TypeError, OverflowError):
        pass
    out = np.full(len(raw), np.nan)
    invalid = np.zeros(len(raw), bool)
    for i, value in enumerate(raw):
        if value is None or (isinstance(value, str) and value.strip().lower() in _MISSING):
            continue
        try:
            out[i] = float(value)
        except (ValueError, TypeError, OverflowError):
            invalid[i] = True
    return out, invalid if invalid.any() else None
