"""`streamflow dead-letters`: what a flow set aside, and how it is taken again."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamflow.cli.output import print_json
from streamflow.errors import FlowError

if TYPE_CHECKING:
    from streamflow.engine.letterbox import Selection
    from streamflow.engine.letters import Letter

NAME = "dead-letters"
HELP = "look at dead letters and rejected readings, redeliver or purge them"
EXAMPLE = "streamflow dead-letters list state/machines"
_SHOWN = 2000
"""Of a message so many bytes are printed for people, around the byte that is wrong."""
_WIDTH = 100
"""Of a line under which a byte is marked so many characters are printed."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their arguments."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    def action(name: str, text: str, example: str, main: Any) -> argparse.ArgumentParser:
        own: argparse.ArgumentParser = actions.add_parser(
            name,
            help=text.partition(";")[0],
            description=text,
            epilog=f"example:\n  streamflow dead-letters {name} {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        own.set_defaults(action=main)
        own.add_argument("folder", type=Path, metavar="DIR", help="what --state names")
        return own

    def choosing(own: argparse.ArgumentParser) -> None:
        own.add_argument("--reason", metavar="TEXT", help="whose reason contains this")
        own.add_argument("--kind", choices=["dead", "rejected"], help="only of this kind")

    text = "how many there are, by reason; also while a flow runs on the directory"
    list_ = action("list", text, "state/machines", _list)
    choosing(list_)
    list_.add_argument("--each", type=int, metavar="N", help="a line for each of the newest N")
    list_.add_argument("--json", action="store_true", help="print JSON")

    text = "one of them whole; also while a flow runs on the directory"
    show = action("show", text, "state/machines 17", _show)
    show.add_argument("number", metavar="N", help="as `list` gives it")
    show.add_argument("--json", action="store_true", help="print JSON")

    text = (
        "let the flow take them again at its next start; it must be stopped now.\n"
        "A dead letter comes as the message it was, a rejected reading as it was when it was set\n"
        "aside, without what was filled in. Each has its effect once; what fails again is set\n"
        "aside again, with a new number."
    )
    redeliver = action("redeliver", text, 'state/machines --reason "is not a time"', _redeliver)
    redeliver.add_argument("numbers", metavar="N", nargs="*", help="only these")
    choosing(redeliver)
    redeliver.add_argument("--all", action="store_true", help="all that were not asked for yet")
    redeliver.add_argument("--json", action="store_true", help="print JSON")

    text = "delete them; the flow must be stopped. What waits for redelivery stays"
    purge = action("purge", text, "state/machines --older-than 30d", _purge)
    purge.add_argument("numbers", metavar="N", nargs="*", help="only these")
    choosing(purge)
    purge.add_argument("--older-than", metavar="AGE", help="set aside so long ago, as in 30d")
    purge.add_argument("--all", action="store_true", help="all of them")
    purge.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    """Do what was asked."""
    options.action(options)
    return 0


def _selection(options: argparse.Namespace) -> Selection:
    from streamflow.core.clock import SystemClock
    from streamflow.core.duration import duration
    from streamflow.engine.letterbox import Selection, parse_numbers

    age = getattr(options, "older_than", None)
    before = None if age is None else SystemClock().now() - duration(age)
    numbers = parse_numbers(getattr(options, "numbers", ()))
    which = Selection(numbers, options.reason, options.kind, before)
    if which == Selection() and not getattr(options, "all", True):
        raise FlowError("say which: their numbers, --reason, --kind, or --all")
    return which


def _list(options: argparse.Namespace) -> None:
    from streamflow.core.event import iso
    from streamflow.engine.letterbox import find, groups
    from streamflow.engine.letters import LETTERS, purged

    which = _selection(options)
    found = groups(options.folder, which)
    gone = purged(options.folder / LETTERS)
    each = [] if options.each is None else find(options.folder, which, max(options.each, 0))
    if options.json:
        tree: dict[str, Any] = {
            "count": sum(group.count for group in found),
            "purged": gone,
            "reasons": [
                {**vars(group), "first": iso(group.first), "last": iso(group.last)}
                for group in found
            ],
        }
        print_json({**tree, "letters": [_tree(letter) for letter in each]} if each else tree)
        return
    if not found:
        print("none")
    for group in found:
        notes = [f"{group.waiting:,} to be redelivered"] if group.waiting else []
        notes += [f"{group.redelivered:,} redelivered"] if group.redelivered else []
        print(f"{group.count:>9,}  {group.kind:<8}  {group.origin}: {group.reason}")
        print(
            f"{'':>9}  {'':<8}  {iso(group.first)} to {iso(group.last)}, newest {group.newest}"
            + "".join(f", {note}" for note in notes)
        )
    if gone:
        print(f"{gone:>9,}  purged: there were too many, and they were the oldest")
    for letter in each:
        who = letter.device or f"{letter.source}/{letter.partition} {letter.place}"
        print(f"{letter.id:>9}  {letter.kind:<8}  {who}: {letter.reason}")


def _show(options: argparse.Namespace) -> None:
    from streamflow.engine.letterbox import Selection, find, parse_numbers

    (number,) = parse_numbers([options.number])
    found = find(options.folder, Selection((number,)))
    if not found:
        raise FlowError(f"{options.folder} has no letter {number}")
    if options.json:
        print_json(_tree(found[0]))
        return
    print("\n".join(_lines(found[0])))


def _tree(letter: Letter) -> dict[str, Any]:
    from streamflow.core.event import iso
    from streamflow.engine.letters import reading_of

    own: dict[str, Any] = {"number": letter.id, "kind": letter.kind, "kept": iso(letter.kept)}
    own |= {"reason": letter.reason, "redelivery": _redelivery(letter)}
    if letter.kind == "rejected":
        own |= {"step": letter.step, "device": letter.device, "time": iso(letter.time or 0)}
        return {**own, "reading": reading_of(letter)}
    own |= {"source": letter.source, "partition": letter.partition, "place": letter.place}
    text = letter.payload.decode("utf-8", "backslashreplace")
    return {**own, "byte": letter.byte, "payload": text}


def _redelivery(letter: Letter) -> str | None:
    if letter.redelivered:
        return "done"
    return "waiting" if letter.queued is not None else None


def _lines(letter: Letter) -> Iterator[str]:
    from streamflow.core.event import iso
    from streamflow.engine.letters import context_of, reading_of

    what = "dead letter" if letter.kind == "dead" else "rejected reading"
    done = {"done": ", redelivered", "waiting": ", waits to be redelivered"}
    yield f"letter     {letter.id}, a {what}{done.get(_redelivery(letter) or '', '')}"
    yield f"kept       {iso(letter.kept)}"
    yield f"reason     {letter.reason}"
    if letter.kind == "rejected":
        yield f"step       {letter.step}"
        yield f"device     {letter.device}"
        yield f"time       {iso(letter.time or 0)}"
        for name, value in reading_of(letter).items():
            yield f"  {name:<16} {'missing' if value is None else value}"
        return
    yield f"source     {letter.source}/{letter.partition}, place {letter.place}"
    header, fields, _ = context_of(letter)
    if header:
        yield f"header     {header.decode('utf-8', 'backslashreplace')}"
    for name, value in fields.items():
        yield f"  {name:<16} {value}"
    if letter.byte is not None:
        yield f"byte       {letter.byte}"
    yield ""
    yield from _marked(letter.payload, letter.byte)


def _marked(payload: bytes, byte: int | None) -> Iterator[str]:
    r"""A payload in lines, with a mark under the byte that is wrong.

    >>> print("\n".join(_marked(b'{"a": oops}', 6)))
    {"a": oops}
          ^
    """
    if byte is None:
        text = payload[:_SHOWN].decode("utf-8", "backslashreplace")
        yield from text.splitlines()
        if len(payload) > _SHOWN:
            yield f"... {len(payload) - _SHOWN:,} bytes more"
        return
    start = payload.rfind(b"\n", 0, byte) + 1
    end = payload.find(b"\n", byte)
    line = payload[start : len(payload) if end < 0 else end]
    cut = max(0, byte - start - _WIDTH // 2)
    before = _printable(line[cut : byte - start])
    after = _printable(line[byte - start : cut + _WIDTH])
    lead = "... " if cut else ""
    yield lead + before + after + (" ..." if len(line) > cut + _WIDTH else "")
    yield " " * len(lead + before) + "^"


def _printable(text: bytes) -> str:
    shown = text.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown)


def _redeliver(options: argparse.Namespace) -> None:
    from streamflow.engine.letterbox import redeliver

    count = redeliver(options.folder, _selection(options))
    if options.json:
        print_json({"queued": count})
    else:
        print(f"{count:,} will be taken again when the flow starts")


def _purge(options: argparse.Namespace) -> None:
    from streamflow.engine.letterbox import purge

    count = purge(options.folder, _selection(options))
    if options.json:
        print_json({"purged": count})
    else:
        print(f"{count:,} deleted")
