"""`streamflow demo`: real industrial signals, end to end, with no file, broker or network."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from streamflow.cli.output import ProgressLine, check_writable, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamflow.core.event import Event
    from streamflow.engine.episodes import Episode, Incident, Verdict
    from streamflow.engine.result import Result
    from streamflow.flow.flow import Flow

NAME = "demo"
HELP = "replay real signals through clean, detect, drift and alert; ends with a page to look at"
EXAMPLE = "streamflow demo --page demo.html"
DATA = Path(__file__).parent / "demo_data"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    page = parser.add_argument("--page", type=Path, default=Path("demo.html"), metavar="FILE")
    page.help = "where to write the page (demo.html)"
    parser.add_argument("--workers", type=int, default=1, help="Bytewax threads (1)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def demo_flow(data: Path) -> Flow:
    """The flow of the demo: seven machines and services as the devices of one fleet."""
    from river import drift

    from streamflow import Alert, AutoDetector, Detect, Flow, Impute, MonitorDrift, Sensor, Validate
    from streamflow.flow.registry import file_source

    fleet = Flow(
        "demo", device="machine", time="timestamp", sensors={"value": Sensor(low=-1e6, high=1e6)}
    )
    return (
        fleet
        | file_source(str(data))
        | Validate()
        | Impute(hold="6h")
        | Detect("auto")
        | MonitorDrift("value", drift.ADWIN(delta=1e-6))
        | Alert(f"score > {AutoDetector.ALERT_LIMIT}", hold="6h")
    )


def main(options: argparse.Namespace) -> int:
    """Run the demo; 1 if the balance does not add up."""
    from streamflow.backtest.labels import read_labels
    from streamflow.engine.episodes import Incident, episodes, judge
    from streamflow.engine.picture import page

    check_writable(options.page)
    line = ProgressLine("demo")
    flow = demo_flow(DATA / "fleet.csv.gz")
    tell = None if options.json else _First(line)
    result = flow.replay(workers=options.workers, progress=line, events=tell)
    line.done()
    labels = read_labels(DATA / "incidents.csv", flow.schema)
    incidents = [Incident(str(one.device), one.start, one.end) for one in labels]
    found = episodes(result.events)
    verdict = judge(found, incidents)
    options.page.write_text(page(result, incidents), encoding="utf-8")
    rate = result.balance.readings / result.seconds
    if options.json:
        print_json(
            {
                "balance": result.balance.tree(),
                "adds_up": result.balance.adds_up,
                "incidents": len(incidents),
                "hit": len(verdict.hit),
                "missed": len(verdict.missed),
                "false": len(verdict.false),
                "drifts": sum(event.kind == "drift" for event in result.events),
                "readings_per_second": rate,
                "page": str(options.page),
            }
        )
        return 0 if result.balance.adds_up else 1
    _print(result, found, incidents, verdict)
    print(f"\nspeed     {rate:,.0f} readings/s, every device's model learning from every reading")
    print(f"page      {options.page.resolve()}")
    return 0 if result.balance.adds_up else 1


class _First:
    """Says at once what the first alert is, while the replay goes on."""

    def __init__(self, line: ProgressLine) -> None:
        self._line, self._told = line, False

    def __call__(self, events: Sequence[Event]) -> None:
        from streamflow.core.event import iso

        first = next((event for event in events if event.kind == "alert"), None)
        if first is None or self._told:
            return
        self._told = True
        self._line.done()
        score = f"score {first.fields['score']:.1f}"
        print(f"first     {first.device}, {iso(first.time)}, {score}", flush=True)


def _print(
    result: Result, found: Sequence[Episode], incidents: Sequence[Incident], verdict: Verdict
) -> None:
    """The balance, and the alerts beside the incidents that are known."""
    from streamflow.core.event import iso
    from streamflow.engine.episodes import judge

    print("\n".join(result.balance.lines()))
    print(
        f"alerts    {len(found)} episodes; of {len(incidents)} known incidents "
        f"{len(verdict.hit)} hit, {len(verdict.missed)} missed; {len(verdict.false)} alerts false"
    )
    rows = [(i.device, i.start, "missed", f"until {iso(i.end)}") for i in verdict.missed]
    for episode in found:
        told = "false" if episode in verdict.false else "hit"
        hit = [i for i in incidents if not judge([episode], [i]).missed]
        note = f"known incident from {iso(hit[0].start)}" if hit else ""
        rows.append((episode.device, episode.start, told, note))
    print()
    for device, start, told, note in sorted(rows):
        print(f"  {device:<20} {iso(start):<22} {told:<7} {note}")
