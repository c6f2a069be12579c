"""`streamflow profile`: looks at data, says what is wrong with it, writes a flow to start from."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from streamflow.cli.output import ProgressLine, check_writable, print_json, set_up_logs
from streamflow.errors import FlowError

if TYPE_CHECKING:
    from streamflow.profile.columns import Wish
    from streamflow.profile.profile import Profile

NAME = "profile"
HELP = "look at data: what is wrong with it, and a flow to start from"
EXAMPLE = "streamflow profile machines.csv --page profile.html --write machines.py"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    where = "CSV, JSONL or Parquet; or a flow, machines.py, whose sources are read for a while"
    add("data", metavar="DATA", help=where)
    add("--for", dest="span", metavar="TIME", help="how long to read the sources of a flow (60s)")
    add("--page", type=Path, metavar="FILE", help="write a page that shows devices and sensors")
    add("--write", type=Path, metavar="FILE", help="write a flow to start from, such as flow.py")
    add("--device", metavar="COLUMN", help='the column of the device; "none" if there is none')
    add("--time", metavar="COLUMN", help="the column of the time")
    add("--sensors", metavar="COLUMNS", help="the columns of the sensors, as in bar,rpm")
    add("--tags", metavar="COLUMNS", help="columns of words to keep, as in site,firmware")
    add("--time-format", metavar="FORMAT", help="how to read times, as in datetime.strptime")
    add("--timezone", default="UTC", metavar="ZONE", help="of times that name none (UTC)")
    add("--delimiter", metavar="CHARACTER", help="what separates the fields of a CSV file")
    add("--log", choices=["text", "json"], default="text", help="form of the logs")
    add("--json", action="store_true", help="print the profile as JSON")


def main(options: argparse.Namespace) -> int:
    """Look, print, write what was asked for; 1 if there was no reading."""
    set_up_logs(options.log)
    for path in (options.page, options.write):
        if path:
            check_writable(path)
    if options.write and options.write.exists():
        raise FlowError(f"{options.write} exists; name a new file, or remove it")
    line = ProgressLine("profile")
    profile = _profile(options, line)
    line.done()
    if options.page:
        from streamflow.profile.page import page

        options.page.write_text(page(profile), encoding="utf-8")
    if options.write and profile.devices:
        from streamflow.profile.starter import starter

        options.write.write_text(starter(profile), encoding="utf-8")
    if options.json:
        print_json(profile.tree())
    else:
        from streamflow.profile.words import lines

        print("\n".join(lines(profile)))
        written = (("page", options.page), ("flow", options.write if profile.devices else None))
        for what, path in written:
            if path:
                print(f"{what:<9} {path}")
    return 0 if profile.devices else 1


def _profile(options: argparse.Namespace, line: ProgressLine) -> Profile:
    from streamflow.profile.profile import of_file, of_flow

    name = Path(options.data.rpartition(":")[0] or options.data)
    if name.suffix == ".py" or (":" in options.data and not Path(options.data).exists()):
        from streamflow.core.duration import duration
        from streamflow.flow.load import load_flow

        seconds = duration(options.span or "60s") / 1e9
        return of_flow(load_flow(options.data), options.data, seconds, progress=line)
    if options.span:
        raise FlowError(f"--for {options.span}: {options.data} is a file, which is read whole")
    wish = _wish(options)
    return of_file(options.data, wish, delimiter=options.delimiter, progress=line)


def _wish(options: argparse.Namespace) -> Wish:
    from streamflow.profile.columns import Wish

    def split(text: str | None) -> tuple[str, ...] | None:
        return None if text is None else tuple(filter(None, text.split(",")))

    many = (split(options.sensors), split(options.tags))
    return Wish(options.device, options.time, *many, options.timezone, options.time_format)
