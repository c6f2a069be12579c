"""What the tests of the scans share: a scan's readings beside those of msgspec."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np

from streamflow import Format, Messages, Schema, Sensor
from streamflow.formats.scan.scanner import Scanner

SENSORS = {"temperature": Sensor(), "bar": Sensor(names=["pressure"]), "a_long_name": Sensor()}
FORMS = [
    Schema("machine", "at", SENSORS, ("site", "firmware")),
    Schema("machine", "at", SENSORS, ("site",), timezone="Europe/Berlin"),
    Schema("machine", "at", SENSORS, time_format="epoch_ms"),
    Schema("machine", "at", SENSORS, time_format="%d.%m.%Y %H:%M"),
]
_NO_ADDRESS = partial(re.compile("0x[0-9a-f]+").sub, "0x")
"""Of what msgspec's path shows of a MessagePack extension."""
KEYS = [
    "machine",
    "at",
    "temperature",
    "bar",
    "pressure",
    "a_long_name",
    "site",
    "firmware",
    "ba",
    "x",
]


def decoded(decoder: Any, messages: Messages) -> Any:
    """All that a decoder gives, values and times to the bit."""
    dead: list[Any] = []

    def note(i: int, why: str, byte: int | None = None) -> None:
        dead.append((i, _NO_ADDRESS(why), byte))

    batch, message = decoder.decode(messages, note)
    quality = {name: flags.tolist() for name, flags in batch.quality.items() if flags.any()}
    columns = {name: values.view(np.int64).tolist() for name, values in batch.columns.items()}
    names = [batch.devices[code] for code in batch.device.tolist()]
    tags = {
        name: [word and _NO_ADDRESS(word) for word in words.list()]
        for name, words in batch.tags.items()
    }
    times = batch.time.tolist(), batch.arrived.tolist()
    return names, times, columns, tags, quality, message.tolist(), sorted(dead, key=str)


def assert_same(form: Format, schema: Schema, *several: Messages) -> None:
    """The scan gives what msgspec gives, for one batch after the other."""
    scanner: Any = form.decoder(schema)
    other: Any = form.decoder(schema)
    assert isinstance(scanner, Scanner)
    for one in several:
        assert decoded(scanner, one) == decoded(other._rest, one)


def of(*payloads: bytes | str) -> Messages:
    """A batch of messages."""
    raw = [one.encode() if isinstance(one, str) else one for one in payloads]
    return Messages(raw, range(len(raw)))


class Refuses:
    """A decoder for what is not plain that is given none."""

    def decode(self, messages: Messages, dead: Any) -> Any:
        """Fail."""
        raise AssertionError(messages.payloads)
