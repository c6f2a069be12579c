"""`streamflow state`: look into a state directory, take devices out of it, carry it elsewhere."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamflow.cli.output import print_json

if TYPE_CHECKING:
    from streamflow.engine.overview import Overview
    from streamflow.engine.portrait import Memory

NAME = "state"
HELP = "look into a state directory, erase devices from it, export and import it"
EXAMPLE = "streamflow state show state/machines"
_PACKAGES = ("streamflow-iot", "bytewax", "river")
_HELD = 5
"""Of held readings so many are printed for people."""
_TIMES = (946_684_800 * 10**9, 4_102_444_800 * 10**9)
"""A whole number between these is taken for ns UTC from 2000 to 2100, and printed as a time."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their arguments."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    def action(name: str, text: str, example: str, main: Any) -> argparse.ArgumentParser:
        own: argparse.ArgumentParser = actions.add_parser(
            name,
            help=text.partition(";")[0],
            description=text,
            epilog=f"example:\n  streamflow state {name} {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        own.set_defaults(action=main)
        return own

    text = "what is kept, how much and how old; also while a flow runs on it"
    show = action("show", text, "state/machines", _show)
    show.add_argument("folder", type=Path, metavar="DIR", help="what --state names")
    show.add_argument("--json", action="store_true", help="print JSON")

    text = "what every step remembers of a device; also while a flow runs on it"
    inspect = action("inspect", text, "state/machines pump-1", _inspect)
    inspect.add_argument("folder", type=Path, metavar="DIR", help="what --state names")
    inspect.add_argument("device", metavar="DEVICE")
    inspect.add_argument("--json", action="store_true", help="print JSON")

    text = (
        "forget devices as if they had never been seen; the flow must be stopped.\n"
        "What its sinks have written is not touched."
    )
    erase = action("erase", text, "state/machines pump-1 pump-2", _erase)
    erase.add_argument("folder", type=Path, metavar="DIR", help="what --state names")
    erase.add_argument("devices", metavar="DEVICE", nargs="+")

    text = "write all of it to one file with a checksum; also while a flow runs on it"
    export = action("export", text, "state/machines machines.state", _export)
    export.add_argument("folder", type=Path, metavar="DIR", help="what --state names")
    export.add_argument("file", type=Path, metavar="FILE", help="a file that does not exist")

    text = (
        "make a state directory of an exported file; only of one that you trust:\n"
        "River's models in it are loaded as Python pickles, which can run any code."
    )
    import_ = action("import", text, "machines.state state/machines", _import)
    import_.add_argument("file", type=Path, metavar="FILE", help="what export has written")
    import_.add_argument("folder", type=Path, metavar="DIR", help="empty, or yet to be made")


def main(options: argparse.Namespace) -> int:
    """Do what was asked."""
    options.action(options)
    return 0


def _show(options: argparse.Namespace) -> None:
    from importlib.metadata import version

    from streamflow.core.clock import SystemClock
    from streamflow.core.duration import words
    from streamflow.core.event import iso
    from streamflow.engine.overview import overview

    found = overview(options.folder)
    installed = {name: version(name) for name in _PACKAGES}
    age = None if found.written is None else SystemClock().now() - found.written
    if options.json:
        print_json(_tree(found, age, installed))
        return
    use = f"process {found.process} works on it" if found.process else "nothing runs on it"
    print(f"flow       {found.flow}; {use}; generation {found.generation}")
    snapshot = "none yet"
    if age is not None and found.written is not None:
        snapshot = f"{words(age)} ago, {iso(found.written)} in the store; durable to epoch "
        snapshot += f"{found.epoch}"
    print(f"snapshot   {snapshot}")
    print(f"devices    {found.devices:,}; {found.disk:,} bytes on disk")
    print("installed  " + ", ".join(f"{name} {number}" for name, number in installed.items()))
    print("\nsteps")
    for name, step in found.steps.items():
        each = f"{step.bytes / max(found.devices, 1):,.0f} bytes a device"
        held = f", {step.held:,} readings held" if step.held else ""
        print(f"  {name:<16} {step.kind}, state version {step.version}, {each}{held}")
        if step.recipe:
            saved = f", {step.objects:,} saved by {step.codec}" if step.objects else ""
            print(f"  {'':<16} {step.recipe}{saved}")
    print("\nsources")
    for (source, partition), position in found.positions.items():
        print(f"  {source + '/' + partition:<16} {position}")
    print()
    print("\n".join(found.balance.lines()))


def _tree(found: Overview, age: int | None, installed: Mapping[str, str]) -> dict[str, Any]:
    from streamflow.core.event import iso

    steps = {
        name: {
            **dataclasses.asdict(step),
            "bytes_per_device": step.bytes / found.devices if found.devices else 0.0,
        }
        for name, step in found.steps.items()
    }
    return {
        "flow": found.flow,
        "process": found.process,
        "generation": found.generation,
        "epoch": found.epoch,
        "snapshot": None if found.written is None else iso(found.written),
        "snapshot_seconds": None if age is None else age / 1e9,
        "devices": found.devices,
        "disk": found.disk,
        "installed": installed,
        "steps": steps,
        "sources": [
            {"source": source, "partition": partition, "position": position}
            for (source, partition), position in found.positions.items()
        ],
        "balance": found.balance.tree(),
        "adds_up": found.balance.adds_up,
    }


def _inspect(options: argparse.Namespace) -> None:
    from streamflow.core.event import iso
    from streamflow.engine.portrait import portrait

    found = portrait(options.folder, options.device)
    seen = None if found.seen is None else iso(found.seen)
    if options.json:
        print_json({**dataclasses.asdict(found), "seen": seen})
        return
    print(f"{found.device}  of flow {found.flow}, in shard {found.shard}, epoch {found.epoch}")
    print(f"last seen {seen or 'never'}")
    for name, memory in found.steps.items():
        print(f"\n{name} ({memory.kind}, state version {memory.version})")
        print("\n".join(_lines(memory)) or "  nothing")


def _lines(memory: Memory) -> Iterator[str]:
    for name, value in memory.fields.items():
        yield f"  {name:<20} {_words(value)}"
    if memory.model:
        model = memory.model
        yield f"  model                {model.bytes:,} bytes by {model.codec}: {model.recipe}"
        for place, value in _flat(model.learned or {}):
            yield f"    {place:<28} {_words(value)}"
        if model.problem:
            yield f"    {model.problem}"
    if memory.held:
        yield f"  held                 {len(memory.held)} readings"
        for row in memory.held[:_HELD]:
            yield "    " + "  ".join(f"{k}={_words(v)}" for k, v in row.items() if k != "device")
        if len(memory.held) > _HELD:
            yield "    ..."


def _flat(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a tree and their places in it, as in scaler.min.t."""
    for name, value in tree.items():
        if isinstance(value, Mapping) and "shape" not in value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def _words(value: Any) -> str:
    if isinstance(value, Mapping) and "shape" in value:
        first = ", ".join(map(_words, value["first"]))
        if value["shape"] == [len(value["first"])]:
            return first
        shape = " x ".join(map(str, value["shape"]))
        return f"{shape} from {_words(value['min'])} to {_words(value['max'])}: {first}, ..."
    if value is None:
        return "missing"
    if isinstance(value, int) and _TIMES[0] <= value < _TIMES[1]:
        from streamflow.core.event import iso

        return iso(value)
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _erase(options: argparse.Namespace) -> None:
    from streamflow.engine.custody import erase

    done = erase(options.folder, options.devices)
    print(f"erased {len(options.devices)} devices from {options.folder}")
    if done.held:
        print(f"  {done.held:,} readings held of them now count as rejected")
    if done.waiting:
        print(f"  {done.waiting:,} rows and events of them will not be delivered")
    if done.letters:
        print(f"  {done.letters:,} rejected readings of them are deleted")
    if done.blanked:
        print(f"  {done.blanked:,} dead letters that named them lost their text")


def _export(options: argparse.Namespace) -> None:
    from streamflow.engine.archive import export_state

    size = export_state(options.folder, options.file)
    print(f"{options.folder} is in {options.file}: {size:,} bytes")


def _import(options: argparse.Namespace) -> None:
    from streamflow.engine.archive import import_state

    manifest = import_state(options.file, options.folder)
    print(f"{options.folder} holds the state of flow {manifest.flow}")
