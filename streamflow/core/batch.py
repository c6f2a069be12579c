"""Batch: a columnar group of readings of many devices, in arrival order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamflow.core.duration import words
from streamflow.core.quality import flag_names

Codes = NDArray[np.int32]
Times = NDArray[np.int64]
Values = NDArray[np.float64]
Flags = NDArray[np.uint16]
Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]
ASIDE = ("detail", "traceback")
"""Tags that readings have only when they are set aside: what more there is to say of the reason."""


@dataclass(frozen=True, eq=False)
class Words:
    """Strings of the readings, as codes into a vocabulary; -1 is missing."""

    codes: Codes
    vocabulary: Sequence[str]

    def at(self, i: int) -> str | None:
        """The word of reading `i`."""
        code = self.codes[i]
        return None if code < 0 else self.vocabulary[code]

    def list(self) -> list[str | None]:
        """The words of all readings."""
        known = self.vocabulary
        return [None if code < 0 else known[code] for code in self.codes.tolist()]

    def compact(self) -> Words:
        """The same words over a vocabulary that holds only what is used, in order of first use."""
        used, first, back = np.unique(self.codes, return_index=True, return_inverse=True)
        order = np.argsort(first, kind="stable")
        order = order[used[order] >= 0]
        rank = np.full(len(used), -1, np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        return Words(rank[back], [self.vocabulary[code] for code in used[order].tolist()])

    @staticmethod
    def of(words: Sequence[str | None]) -> Words:
        """Encode strings.

        >>> Words.of(["a", None, "b", "a"]).codes.tolist()
        [0, -1, 1, 0]
        """
        known: dict[str, int] = {}
        codes = [-1 if w is None else known.setdefault(w, len(known)) for w in words]
        return Words(np.array(codes, np.int32), list(known))

    @staticmethod
    def concat(parts: Sequence[Words]) -> Words:
        """One after the other, over one vocabulary."""
        known: dict[str, int] = {}
        codes = []
        for part in (p.compact() for p in parts):
            new = [known.setdefault(word, len(known)) for word in part.vocabulary]
            codes.append(np.array([*new, -1], np.int32)[part.codes])
        return Words(np.concatenate(codes), list(known))


class Groups(NamedTuple):
    """Readings by device: `order[start[g] : start[g + 1]]` are those of `device[g]`, in order."""

    order: Rows
    start: Rows
    device: Codes


@dataclass(frozen=True, eq=False)
class Batch:
    """A frozen group of readings of many devices, in arrival order.

    Parameters
    ----------
    devices
        The vocabulary of device names. It may hold more than this batch uses.
    device
        int32[n], codes into `devices`.
    time
        int64[n], event time in ns UTC.
    arrived
        int64[n], when the reading reached the flow, ns UTC.
    columns
        name -> float64[n]: sensors, then what stages add; NaN is missing.
    tags
        name -> `Words`: string attributes of a reading.
    quality
        sensor -> uint16[n] `Quality` flags; absent is all good.
    reason
        Why a reading was set aside, in words; the engine takes such readings out.

    Examples
    --------
    >>> batch = Batch.of([{"device": "a", "time": 0, "temperature": 20.5}], sensors=["temperature"])
    >>> len(batch), batch["temperature"].tolist()
    (1, [20.5])
    """

    devices: Sequence[str]
    device: Codes
    time: Times
    arrived: Times
    columns: Mapping[str, Values]
    tags: Mapping[str, Words] = field(default_factory=dict)
    quality: Mapping[str, Flags] = field(default_factory=dict)
    reason: Words | None = None

    def __len__(self) -> int:
        return len(self.device)

    def __getitem__(self, column: str) -> Values:
        return self.columns[column]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Batch):
            return NotImplemented
        return list(map(repr, self.rows())) == list(map(repr, other.rows()))

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        # What travels between processes carries only the names it uses.
        words = Words(self.device, self.devices).compact()
        parts = (self.time, self.arrived, dict(self.columns))
        tags = {name: tag.compact() for name, tag in self.tags.items()}
        return Batch, (words.vocabulary, words.codes, *parts, tags, dict(self.quality), self.reason)

    @cached_property
    def groups(self) -> Groups:
        """The readings by device."""
        order = np.argsort(self.device, kind="stable")
        sorted_ = self.device[order]
        edges = np.flatnonzero(sorted_[1:] != sorted_[:-1]) + 1
        first = np.concatenate([[0], edges]) if len(order) else edges
        start = np.concatenate([first, [len(order)]]).astype(np.intp)
        return Groups(order, start, sorted_[first].astype(np.int32))

    def by_device(self) -> dict[str, Rows]:
        """Each device's readings, in order, by the names of the devices."""
        order, start, device = self.groups
        names = [self.devices[code] for code in device.tolist()]
        spans = [order[a:b] for a, b in pairwise(start)]
        return dict(sorted(zip(names, spans, strict=True)))

    def flags(self, sensor: str) -> Flags:
        """The quality flags of a sensor, uint16[n]."""
        got = self.quality.get(sensor)
        return np.zeros(len(self), np.uint16) if got is None else got

    def name(self, i: int) -> str:
        """The device of reading `i`."""
        return str(self.devices[self.device[i]])

    def replace(self, **changes: Any) -> Batch:
        """The batch with some fields replaced; ten times faster than `dataclasses.replace`."""
        new = object.__new__(Batch)
        new.__dict__.update(self.__dict__)
        new.__dict__.update(changes)
        if "device" in changes:
            new.__dict__.pop("groups", None)
        return new

    def with_columns(self, columns: Mapping[str, Values]) -> Batch:
        """The batch with columns added or replaced."""
        return self.replace(columns={**self.columns, **columns})

    def mark(self, sensor: str, where: Mask, flag: int) -> Batch:
        """The batch with a quality flag set for a sensor where `where` is true."""
        flags = self.flags(sensor) | np.where(where, flag, 0).astype(np.uint16)
        return self.replace(quality={**self.quality, sensor: flags})

    def with_detail(self, where: Mask, by: Times) -> Batch:
        """The batch with a tag `detail` where readings are set aside: `by`, ns each, in words."""
        amounts, which = np.unique(by[where], return_inverse=True)
        codes = np.full(len(self), -1, np.int32)
        codes[where] = which
        told = Words(codes, [words(amount) for amount in amounts.tolist()])
        return self.replace(tags={**self.tags, "detail": told})

    def reject(self, where: Mask, reason: str) -> Batch:
        """The batch with readings set aside; a reading keeps its first reason."""
        codes, known = np.full(len(self), -1, np.int32), [reason]
        if self.reason is not None:
            codes, known = self.reason.codes.copy(), [*self.reason.vocabulary, reason]
        codes[where & (codes < 0)] = len(known) - 1
        return self.replace(reason=Words(codes, known))

    def reject_each(
        self, reasons: Mapping[int, str], tracebacks: Sequence[str | None] = ()
    ) -> Batch:
        """The batch with some readings set aside, each for its own reason.

        `tracebacks`, one for each reading of the batch, stay with those that are set aside.
        """
        batch, where = self, np.zeros(len(self), bool)
        for reason in dict.fromkeys(reasons.values()):
            where[:] = False
            where[[i for i, why in reasons.items() if why == reason]] = True
            batch = batch.reject(where, reason)
        if reasons and any(tracebacks):
            batch = batch.replace(tags={**batch.tags, "traceback": Words.of(tracebacks)})
        return batch

    def take(self, rows: Mask | Rows | slice) -> Batch:
        """Some of the readings: a mask bool[n] or positions; of a slice, a view."""
        return self.replace(
            device=self.device[rows],
            time=self.time[rows],
            arrived=self.arrived[rows],
            columns={name: values[rows] for name, values in self.columns.items()},
            tags={name: Words(t.codes[rows], t.vocabulary) for name, t in self.tags.items()},
            quality={name: flags[rows] for name, flags in self.quality.items()},
            reason=self.reason and Words(self.reason.codes[rows], self.reason.vocabulary),
        )

    def cut(self, at: int) -> tuple[Batch, Batch]:
        """The readings before position `at`, and the rest."""
        return self.take(slice(at)), self.take(slice(at, None))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Each reading as a plain dict: device, time, tags, columns, and `quality` where not good.

        Missing values are None, so that every format can write them.
        """
        names = [self.devices[code] for code in self.device.tolist()]
        columns = {
            name: [None if v != v else v for v in values.tolist()]
            for name, values in self.columns.items()
        }
        tags = {name: tag.list() for name, tag in self.tags.items()}
        flags = {name: flags.tolist() for name, flags in self.quality.items() if flags.any()}
        reasons = self.reason.list() if self.reason else None
        for i, (device, time) in enumerate(zip(names, self.time.tolist(), strict=True)):
            row: dict[str, Any] = {"device": device, "time": time}
            row |= {name: words[i] for name, words in tags.items()}
            row |= {name: values[i] for name, values in columns.items()}
            bad = {name: flag_names(values[i]) for name, values in flags.items() if values[i]}
            if bad:
                row["quality"] = bad
            if reasons is not None:
                row["reason"] = reasons[i]
            yield row

    @staticmethod
    def of(
        rows: Sequence[Mapping[str, Any]], sensors: Sequence[str], tags: Sequence[str] = ()
    ) -> Batch:
        """A batch from dicts with `device`, `time` (ns), sensors and tags; absent is missing."""
        words = Words.of([row["device"] for row in rows])
        time = np.array([row["time"] for row in rows], np.int64)
        nan = float("nan")
        return Batch(
            words.vocabulary,
            words.codes,
            time,
            np.array([row.get("arrived", row["time"]) for row in rows], np.int64),
            {s: np.array([row.get(s, nan) for row in rows], np.float64) for s in sensors},
            {t: Words.of([row.get(t) for row in rows]) for t in tags},
        )

    @staticmethod
    def concat(batches: Sequence[Batch]) -> Batch:
        """One after the other. All have the same columns and tags.

        Batches of one shard share their device vocabulary; it is then kept as it is.
        """
        if len(batches) == 1:
            return batches[0]
        first = batches[0]
        if all(b.devices is first.devices for b in batches):
            device = Words(np.concatenate([b.device for b in batches]), first.devices)
        else:
            device = Words.concat([Words(b.device, b.devices) for b in batches])
        marked = {sensor for b in batches for sensor in b.quality}
        reasons = None
        if any(b.reason is not None for b in batches):
            none = [b.reason or Words(np.full(len(b), -1, np.int32), []) for b in batches]
            reasons = Words.concat(none)
        return Batch(
            device.vocabulary,
            device.codes,
            np.concatenate([b.time for b in batches]),
            np.concatenate([b.arrived for b in batches]),
            {name: np.concatenate([b.columns[name] for b in batches]) for name in first.columns},
            {name: Words.concat([b.tags[name] for b in batches]) for name in first.tags},
            {s: np.concatenate([b.flags(s) for b in batches]) for s in sorted(marked)},
            reasons,
        )
