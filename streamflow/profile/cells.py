"""Cells: raw values of some messages from all over a file, to guess from what its columns are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import orjson

from streamflow.core.connect import Messages, Reader, Source
from streamflow.errors import EndOfStream, FlowError
from streamflow.formats.csv import Csv
from streamflow.profile.columns import Cells

_FIRST, _EACH, _BLOCKS = 2_000, 64, 32
"""So many messages of the first block, of each other one, and so many others."""


def cells(source: Source, place: str) -> Cells:
    """Raw values of some messages from all over a file: column -> values."""
    reader: Any = source.open("0", None)
    rng = Random(0)
    rows: list[Mapping[str, Any]] = []
    blocks: list[list[Mapping[str, Any]]] = []
    polls = 0
    try:
        for messages in _polled(reader):
            wanted = _FIRST if not polls else _EACH
            polls += 1
            if polls == 1:
                rows = _rows(source, messages, wanted)
                continue
            at = polls - 2 if polls - 2 < _BLOCKS else rng.randrange(polls - 1)
            if at < _BLOCKS:
                blocks[at : at + 1] = [_rows(source, messages, wanted)]
    finally:
        reader.close()
    rows = [*rows, *(row for block in blocks for row in block)]
    names = dict.fromkeys(name for row in rows for name in row)
    if not names:
        raise FlowError(f"{place}: no reading in it")
    return {name: [row.get(name) for row in rows] for name in names}


def _polled(reader: Reader) -> Iterator[Messages]:
    while True:
        try:
            got = reader.poll(4096)
        except EndOfStream:
            return
        if isinstance(got, Messages):
            yield got


def _rows(source: Source, messages: Messages, wanted: int) -> list[Mapping[str, Any]]:
    """Some messages as dicts; those that are none are passed over."""
    out: list[Mapping[str, Any]] = []
    form = source.format
    for i in range(min(len(messages.payloads), wanted)):
        try:
            payload = messages.payloads[i]
            if isinstance(form, Csv):
                header = form.header(messages.header)
                values = form.split(payload.decode("utf-8"))
                row: Any = dict(zip(header, values, strict=True))
            else:
                row = orjson.loads(payload.removeprefix(b"\xef\xbb\xbf"))
        except ValueError:
            continue
        if isinstance(row, dict):
            out.append(row)
    return out
