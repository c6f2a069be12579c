"""One form: four sides by turns in one process, equal columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import process_time

import numpy as np

from benchmarks.decode.data import BATCH, FLEET, FORMS, Form, messages
from benchmarks.decode.loops import Comprehensions, Lists, Loop, Table
from benchmarks.hot_path.data import SENSORS
from streamflow import Messages

Side = Callable[[Sequence[bytes]], Table]


class Ours:
    """A decoder of streamflow."""

    def __init__(self, form: Form) -> None:
        self._decoder = form.format.decoder(FLEET.schema)

    def __call__(self, payloads: Sequence[bytes]) -> Table:
        """The readings of a batch of messages."""
        batch = self._decoder.decode(Messages(payloads, range(len(payloads))), _dead).batch
        names = list(batch.devices)
        return Table(batch.device, names, batch.time, [batch[name] for name in SENSORS])


def _dead(i: int, reason: str, byte: int | None = None) -> None:
    raise RuntimeError(f"message {i}, byte {byte}: {reason}")


def duels(size: str, repeats: int) -> list[dict[str, object]]:
    """Readings per second of CPU, run by run, of each side and form.

    Raises RuntimeError where the sides differ in a bit.
    """
    return [{"name": name, "rates": run(form, size, repeats)} for name, form in FORMS.items()]


def run(form: Form, size: str, repeats: int) -> dict[str, list[float]]:
    """One form."""
    payloads, readings = messages(form, size)
    batches = [payloads[at : at + BATCH] for at in range(0, len(payloads), BATCH)]
    sides: dict[str, Side] = {
        "ours": Ours(form),
        "loop": Loop(form),
        "lists": Lists(form),
        "comprehensions": Comprehensions(form),
    }
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(1 + repeats):  # the first is not counted: names become known in it
        for name, side in sides.items():
            spent = 0.0
            for batch in batches:
                # As they come from a client, which has just made them.
                fresh = [bytes(bytearray(payload)) for payload in batch]
                begun = process_time()
                side(fresh)
                spent += process_time() - begun
            if number:
                rates[name].append(readings / spent)
    for batch in batches:
        _same(*(side(batch) for side in sides.values()))
    return rates


def _same(ours: Table, *others: Table) -> None:
    for other in others:
        named = [[table.names[code] for code in table.device] for table in (ours, other)]
        equal = named[0] == named[1] and ours.time.tolist() == other.time.tolist()
        pairs = zip(ours.sensors, other.sensors, strict=True)
        if not (equal and all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)):
            raise RuntimeError("the sides differ")
