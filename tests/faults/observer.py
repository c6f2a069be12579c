"""Tells what the recovery store says at this very moment: a line out for every line in.

A process of its own, for in the flow's process a second SQLite would take away the locks of the
one that Bytewax has.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from streamflow.engine.statedir import StateDir


def main() -> None:
    store = StateDir(Path(sys.argv[1])).store()
    for _ in sys.stdin:
        snaps = [snap for snap in store.snaps() if snap.step == "numbers"]
        durable = {snap.key: snap.value["position"] for snap in snaps}
        epoch = max((snap.epoch for snap in snaps), default=0)
        print(json.dumps({"durable": durable, "epoch": epoch}), flush=True)


if __name__ == "__main__":
    main()
