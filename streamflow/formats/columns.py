"""Raw fields of many messages -> a batch. Shared by all formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from streamflow.core.batch import Batch, Codes, Mask, Rows, Values, Words
from streamflow.core.connect import Decoded, Messages, Trouble
from streamflow.core.quality import Quality
from streamflow.core.schema import Schema
from streamflow.formats.times import TimeParser

Numbers = tuple[Values, Mask | None]
EMPTY = "empty message"
_MISSING = {"", "null", "none", "na", "n/a"}


class Columns:
    """Builds batches for one partition; its vocabulary of devices grows with what it has seen."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.times = TimeParser(schema)
        self.devices: list[str] = []
        self._codes: dict[Any, int] = {}

    def build(
        self,
        fields: Mapping[str, Any],
        rows: Rows,
        messages: Messages,
        dead: Trouble,
    ) -> Decoded:
        """A batch from raw values: `fields[name][k]` belongs to message `rows[k]`.

        What the messages' transport says of them counts more than the raw values.

        What is columnar already is taken as it is: times as datetime64[n] in UTC, devices as
        `Words` or as codes int32[n] that `code` gave, tags as `Words`, sensors as float64[n].

        A reading whose device or time is none is reported as dead. A sensor that is no number is
        missing and flagged `invalid`; a field that is absent is missing.
        """
        n = len(rows)
        none: list[Any] = [None] * n
        lost: set[int] = set()

        def bad(k: int, reason: str) -> None:
            if k not in lost:
                lost.add(k)
                first, end = np.searchsorted(rows, [rows[k], rows[k] + 1]).tolist()
                if end - first > 1:
                    reason = f"reading {k - first + 1} of {end - first}: {reason}"
                dead(int(rows[k]), reason)

        schema = self.schema
        fields = {**fields, **self._told(messages, fields, rows)}
        device = self._device(fields.get(schema.device, none), bad)
        moments = fields.get(schema.time, none)
        parse = self.times.stamps if isinstance(moments, np.ndarray) else self.times.many
        time = parse(moments, lambda k, why: bad(k, f"{schema.time}: {why}"))
        columns, quality = {}, {}
        for sensor, known in schema.sensors.items():
            columns[sensor], invalid = numbers(fields.get(sensor, none))
            for other in known.names:
                own = columns[sensor], invalid
                columns[sensor], invalid = _or(own, numbers(fields.get(other, none)))
            if invalid is not None:
                quality[sensor] = np.where(invalid, Quality.INVALID, 0).astype(np.uint16)
        tags = {}
        for tag in schema.tags:
            words = fields.get(tag, none)
            if not isinstance(words, Words):
                words = Words.of([None if w is None or w == "" else str(w) for w in words])
            tags[tag] = words
        arrived = messages.arrived
        came = time if arrived is None else np.full(n, arrived, np.int64)
        batch = Batch(self.devices, device, time, came, columns, tags, quality)
        if lost:
            kept = np.setdiff1d(np.arange(n), list(lost))
            return Decoded(batch.take(kept), rows[kept])
        return Decoded(batch, rows)

    def _told(self, messages: Messages, fields: Mapping[str, Any], rows: Rows) -> dict[str, Any]:
        """The fields that the transport told, for each reading."""
        out = {}
        for name in (self.schema.device, self.schema.time, *self.schema.tags):
            told = messages.fields.get(name)
            if told is not None:
                words = [told[i] for i in rows.tolist()]
                if None in words and name in fields:
                    own = _plain(fields[name])
                    words = [own[k] if word is None else word for k, word in enumerate(words)]
                out[name] = words
        return out

    def _device(self, raw: Any, bad: Any) -> Codes:
        if isinstance(raw, np.ndarray):
            return raw
        if isinstance(raw, Words):
            known = [self.code(word) for word in raw.vocabulary]
            out = np.array([*known, -1], np.int32)[raw.codes]
        else:
            seen = self._codes
            try:  # all of them known, as they are nearly always
                return np.fromiter(map(seen.__getitem__, raw), np.int32, len(raw))
            except (KeyError, TypeError):
                pass
            codes = [seen.get(name, -1) if isinstance(name, str) else -1 for name in raw]
            for k, code in enumerate(codes):
                if code < 0:
                    codes[k] = self.code(raw[k])
            out = np.array(codes, np.int32)
        for k in np.flatnonzero(out < 0).tolist():
            name = raw.at(k) if isinstance(raw, Words) else raw[k]
            what = "it has no device" if name in (None, "") else f"{name!r} is not a device"
            bad(k, f"{self.schema.device}: {what}")
        return out

    def code(self, name: Any) -> int:
        """The code of a device in `devices`, where it is put if it is new; -1 if it is no name."""
        if isinstance(name, int) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str) or not name.strip():
            return -1
        code = self._codes.get(name)
        if code is None:
            code = self._codes[name] = len(self.devices)
            self.devices.append(name)
        return code


def _or(own: Numbers, other: Numbers) -> Numbers:
    """The numbers of one field, and where it holds nothing those of another."""
    (values, invalid), (more, wrong) = own, other
    empty = np.isnan(values) if invalid is None else np.isnan(values) & ~invalid
    if wrong is not None:
        wrong = wrong & empty
        invalid = wrong if invalid is None else invalid | wrong
    return np.where(empty, more, values), invalid


def _plain(raw: Any) -> Sequence[Any]:
    if isinstance(raw, Words):
        return raw.list()
    if isinstance(raw, np.ndarray):
        return [None if t == "NaT" else t for t in np.datetime_as_string(raw, timezone="UTC")]
    return raw  # type: ignore[no-any-return]


def numbers(raw: Sequence[Any]) -> Numbers:
    """Raw values as float64, and where they are no numbers (None if nowhere).

    >>> numbers([1, "2.5", None, "", "hot", True])
    (array([1. , 2.5, nan, nan, nan, 1. ]), array([False, False, False, False,  True, False]))
    """
    try:
        out = np.array(raw, np.float64)
        if out.ndim == 1:  # a list for each value makes a table
            return out, None
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
