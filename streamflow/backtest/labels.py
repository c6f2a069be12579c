"""Labels: what is known to have gone wrong, from a file, in the flow's own time."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any

from streamflow.core.batch import Batch
from streamflow.core.event import iso
from streamflow.core.schema import Schema
from streamflow.engine.episodes import Incident
from streamflow.errors import FlowError
from streamflow.formats.times import TimeParser

Labels = str | Path | Iterable[tuple[str | None, Any, Any]]
"""A file, or (device, start, end) with times in any form that the flow takes."""


@dataclass(frozen=True)
class Label:
    """One labelled window, both ends included, times in ns UTC; `place` says where it stands.

    The device is None where the labels name none.
    """

    place: str
    device: str | None
    start: int
    end: int


def read_labels(labels: Labels, schema: Schema) -> list[Label]:
    """The labelled windows, in order of time for each device.

    Times are read as the flow reads those of its messages: an offset counts, and what has none is
    in the flow's time zone.

    Parameters
    ----------
    labels
        A CSV file with the columns device,start,end, where the first may have the name that the
        flow gives it; a JSON file in the form of NAB, `{"pump-1": [["START", "END"], ...]}`; or
        (device, start, end). In data of a single device it may go without a name: no such column,
        a JSON list of windows, or None.
    schema
        The flow's.

    Raises
    ------
    FlowError
        If there is no such file, or a line of it is no window, ends before it starts, or overlaps
        another window of its device.

    Examples
    --------
    >>> schema = Schema("machine", "time", {}, timezone="Europe/Berlin")
    >>> (label,) = read_labels([("a", "2026-01-01T01:00:00", "2026-01-01T00:30:00Z")], schema)
    >>> label.start == label.end - 30 * 60 * 10**9
    True
    """
    times, out = TimeParser(schema), []
    for place, device, start, end in _windows(labels, schema):
        try:
            label = Label(place, device, times.one(start), times.one(end))
        except ValueError as error:
            raise FlowError(f"{place}: {error}") from None
        if label.end < label.start:
            raise FlowError(
                f"{place}: the window ends before it starts: {iso(label.start)} to {iso(label.end)}"
            )
        out.append(label)
    out.sort(key=lambda label: (label.device or "", label.start))
    for one, other in pairwise(out):
        if one.device == other.device and other.start <= one.end:
            whose = f" of {one.device!r}" if one.device else ""
            raise FlowError(
                f"{other.place}: this window{whose} overlaps that of {one.place}; make them one, "
                f"or say where the first ends"
            )
    return out


def _windows(labels: Labels, schema: Schema) -> Iterator[tuple[str, str | None, Any, Any]]:
    if not isinstance(labels, (str, Path)):
        for number, (device, start, end) in enumerate(labels, 1):
            yield f"label {number}", device, start, end
        return
    path = Path(labels)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FlowError(f"the labels {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FlowError(f"the labels {path} are not text in UTF-8") from None
    yield from _json(path, text) if path.suffix == ".json" else _csv(path, text, schema)


def _csv(path: Path, text: str, schema: Schema) -> Iterator[tuple[str, str | None, Any, Any]]:
    rows = csv.DictReader(text.splitlines())
    names = rows.fieldnames or ()
    form = f"the columns are {schema.device},start,end"
    if "start" not in names or "end" not in names:
        raise FlowError(f"{path}: it has no columns start and end; {form}")
    column = next((name for name in (schema.device, "device") if name in names), None)
    try:
        for row in rows:
            place = f"{path}, line {rows.line_num}"
            device = row[column] if column else None
            if column and not device:
                raise FlowError(f"{place}: it has no device; {form}")
            if not row["start"] or not row["end"]:
                raise FlowError(f"{place}: a window needs a start and an end; {form}")
            yield place, device, row["start"], row["end"]
    except csv.Error as error:
        raise FlowError(f"{path}, line {rows.line_num}: {error}") from None


def _json(path: Path, text: str) -> Iterator[tuple[str, str | None, Any, Any]]:
    try:
        tree = json.loads(text)
    except ValueError as error:
        raise FlowError(f"{path} is not JSON: {error}") from None
    form = 'write {"pump-1": [["START", "END"], ...], ...}, or the list alone for one device'
    of_devices: Mapping[str | None, Any] = tree if isinstance(tree, dict) else {None: tree}
    for device, windows in of_devices.items():
        if not isinstance(windows, list):
            raise FlowError(f"{path}: {device!r} has no list of windows; {form}")
        for number, window in enumerate(windows, 1):
            place = f"{path}, window {number}" + (f" of {device!r}" if device else "")
            if not isinstance(window, list) or len(window) != 2:
                raise FlowError(f"{place}: a window is a start and an end; {form}")
            yield place, device, *window


@dataclass(frozen=True)
class Known:
    """The labels that lie in the data, as incidents, and what there is to say of the others."""

    incidents: Sequence[Incident]
    notes: Sequence[str]


def fit(labels: Sequence[Label], rows: Batch, schema: Schema) -> Known:
    """Find the labels' devices in the data; FlowError for one that is not there.

    A window that lies outside of its device's data is not counted, and there is a note about it;
    if all do, that is a FlowError.
    """
    devices = {name: rows.time[at] for name, at in rows.by_device().items()}
    names = list(devices)
    incidents, notes = [], []
    for label in labels:
        device = _device(label, names, schema)
        begin, end = int(devices[device].min()), int(devices[device].max())
        if begin <= label.end and label.start <= end:
            incidents.append(Incident(device, label.start, label.end))
            continue
        notes.append(
            f"{label.place}: {iso(label.start)} to {iso(label.end)} lies outside of the data of "
            f"{device!r}, which is from {iso(begin)} to {iso(end)}, and is not counted"
        )
    if labels and not incidents:
        raise FlowError(
            f"no label lies in the data: {notes[0].removesuffix(', and is not counted')}. Times "
            f"without an offset are taken to be {schema.timezone}, the flow's timezone"
        )
    return Known(incidents, notes)


def _device(label: Label, names: Sequence[str], schema: Schema) -> str:
    if label.device is None:
        if len(names) == 1:
            return names[0]
        raise FlowError(
            f"{label.place}: it names no device, and the data has {len(names):,}; add a column "
            f"{schema.device}"
        )
    if label.device not in names:
        close = get_close_matches(label.device, names, n=1)
        some = ", ".join(sorted(names)[:10]) + (", ..." if len(names) > 10 else "")
        hint = f"did you mean {close[0]!r}?" if close else f"there is: {some}"
        raise FlowError(f"{label.place}: the data has no device {label.device!r}; {hint}")
    return label.device
