"""Letterbox: what people do with the letters of a state directory."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from streamflow.engine.letters import LETTERS, NO_CONTEXT, Letter, Letters, letters
from streamflow.engine.redelivery import REDELIVERED
from streamflow.engine.statedir import StateDir
from streamflow.errors import FlowError

LETTERS_STEP = "_letters"
"""The step that keeps letters."""
ERASED = "[erased]"
"""In place of a dead letter that names an erased device."""
_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|\b\d[\d.:TZ+-]*|…")
_OPEN = "queued is null and not redelivered"


@dataclass(frozen=True)
class Selection:
    """Which letters: those for which all that is given holds.

    Parameters
    ----------
    numbers
        These; all if empty.
    reason
        The reason contains this text.
    kind
        "dead" or "rejected".
    before
        Set aside before this time, ns UTC.
    """

    numbers: tuple[int, ...] = ()
    reason: str | None = None
    kind: str | None = None
    before: int | None = None

    def condition(self) -> tuple[str, list[Any]]:
        """As SQL."""
        terms, values = ["1"], list[Any]()
        if self.numbers:
            terms.append(f"id in ({', '.join('?' * len(self.numbers))})")
            values += self.numbers
        if self.reason is not None:
            terms.append("instr(reason, ?)")
            values.append(self.reason)
        if self.kind is not None:
            terms.append("kind = ?")
            values.append(self.kind)
        if self.before is not None:
            terms.append("kept < ?")
            values.append(self.before)
        return " and ".join(terms), values


@dataclass
class Group:
    """Letters with one reason; where numbers and quoted words in it differ, it has "…".

    `first` and `last` are when they were set aside, ns UTC; `newest` is the number of the last one.
    """

    kind: str
    origin: str
    reason: str
    count: int = 0
    first: int = 0
    last: int = 0
    newest: int = 0
    waiting: int = 0
    redelivered: int = 0


def find(folder: Path, which: Selection, newest: int = -1) -> list[Letter]:
    """Letters, also while a flow runs on the directory; of many only the newest."""
    at = _come_to(_state(folder))
    condition, values = which.condition()
    found = letters(folder / LETTERS, condition, values, newest, "id desc")
    out = [_as_of(letter, at) for letter in found]
    return out[::-1]


def groups(folder: Path, which: Selection) -> list[Group]:
    """Letters by reason, the most frequent first."""
    at = _come_to(_state(folder))
    condition, values = which.condition()
    out: dict[tuple[str, str, str], Group] = {}
    for letter in letters(folder / LETTERS, condition, values):
        letter = _as_of(letter, at)
        origin = letter.step or f"{letter.source}/{letter.partition}"
        key = (letter.kind, origin, _VARYING.sub("…", letter.reason))
        group = out.setdefault(key, Group(letter.kind, origin, letter.reason, first=letter.kept))
        if group.reason != letter.reason:
            group.reason = _common(group.reason, letter.reason)
        group.count += 1
        group.first, group.last = min(group.first, letter.kept), max(group.last, letter.kept)
        group.newest = letter.id
        group.redelivered += letter.redelivered
        group.waiting += letter.queued is not None and not letter.redelivered
    return sorted(out.values(), key=lambda group: -group.count)


def redeliver(folder: Path, which: Selection) -> int:
    """Ask for letters again: the flow's next run takes them. How many; the flow must be stopped.

    What was asked for before is passed over.
    """
    condition, values = which.condition()
    with _held(folder) as box, box.writing() as file:
        query = f"select id from letters where {condition} and {_OPEN} order by id"
        found = file.execute(query, values).fetchall()
        last = box.fact("queued")
        order = [(last + n, number) for n, (number,) in enumerate(found, 1)]
        file.executemany("update letters set queued = ? where id = ?", order)
        box.set_fact("queued", last + len(order))
    return len(found)


def purge(folder: Path, which: Selection) -> int:
    """Delete letters but those that wait for redelivery. How many; the flow must be stopped."""
    condition, values = which.condition()
    with _held(folder) as box:
        with box.writing() as file:
            gone = f"delete from letters where {condition} and (queued is null or redelivered)"
            count = file.execute(gone, values).rowcount
        box.shred()
    return count


def erase_devices(folder: Path, devices: Collection[str]) -> tuple[int, int]:
    """Delete rejected readings of devices, and blank dead letters that name one; how many of each.

    The caller holds the directory.
    """
    if not (folder / LETTERS).exists():
        return 0, 0
    box = Letters(folder / LETTERS)
    try:
        with box.writing() as file:
            marks = ", ".join("?" * len(devices))
            gone = f"delete from letters where device in ({marks})"
            deleted = file.execute(gone, list(devices)).rowcount
            named = [
                (letter.id,)
                for letter in letters(folder / LETTERS, "kind = 'dead'")
                if names(letter.payload + b"\n" + letter.reason.encode(), devices)
                or names(letter.context or b"", devices)
            ]
            blank = "update letters set payload = ?, reason = ?, context = ? where id = ?"
            words = (ERASED.encode(), ERASED, NO_CONTEXT)
            file.executemany(blank, [(*words, number) for (number,) in named])
        box.shred()
    finally:
        box.close()
    return deleted, len(named)


def names(text: bytes, devices: Collection[str]) -> bool:
    """Whether a text names one of the devices: nobody knows whose a dead letter is."""
    return any(
        re.search(rb"(?<![\w-])" + re.escape(device.encode()) + rb"(?![\w-])", text)
        for device in devices
    )


def settle(state: StateDir) -> None:
    """Note which letters are redelivered, durably; the caller holds the directory."""
    path = state.path / LETTERS
    if path.exists():
        box = Letters(path)
        try:
            _note(box, _come_to(state))
        finally:
            box.close()


@contextmanager
def _held(folder: Path) -> Iterator[Letters]:
    """The letters of a stopped flow as it will find them when it goes on."""
    state = _state(folder)
    state.acquire()
    try:
        box = Letters(folder / LETTERS)
        try:
            # A flow that was killed left letters that it will set aside once more.
            box.roll_back(_kept(state))
            _note(box, _come_to(state))
            yield box
            box.commit()
        finally:
            box.close()
    finally:
        state.release()


def _note(box: Letters, at: int) -> None:
    with box.writing() as file:
        file.execute("update letters set redelivered = 1 where queued <= ?", (at,))
    box.commit()


def _state(folder: Path) -> StateDir:
    state = StateDir(folder)
    state.manifest()
    return state


def _kept(state: StateDir) -> int:
    """The number of the last letter that is durable with the flow's state."""
    found = [snap.value for snap in state.store().snaps(LETTERS_STEP)]
    return int(found[0][0] or 0) if found else 0


def _come_to(state: StateDir) -> int:
    """How far in the order of redelivery the flow has come, durably."""
    found = [snap.value for snap in state.store().snaps(REDELIVERED)]
    return int(found[0]["position"] or 0) if found else 0


def _common(shown: str, reason: str) -> str:
    """One reason for two that differ in numbers and quoted words only.

    >>> _common("field 3 of 7: 'x'", "field 4 of 7: 'x'")
    "field … of 7: 'x'"
    """
    words = iter(_VARYING.findall(reason))

    def mark(found: re.Match[str]) -> str:
        word = next(words)
        return word if found[0] == word else "…"

    return _VARYING.sub(mark, shown)


def _as_of(letter: Letter, at: int) -> Letter:
    done = bool(letter.redelivered) or (letter.queued is not None and letter.queued <= at)
    return replace(letter, redelivered=done)


def parse_numbers(given: Sequence[str]) -> tuple[int, ...]:
    """Letter numbers as people write them; FlowError if one is none.

    >>> parse_numbers(["3", "17"])
    (3, 17)
    """
    for text in given:
        if not text.isdecimal():
            raise FlowError(f"{text!r} is not the number of a letter")
    return tuple(map(int, given))
