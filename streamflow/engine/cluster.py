"""Several processes on this host: started together, ended together, their balances added."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from streamflow.engine.balance import Balance
from streamflow.errors import StreamflowError


def launch(command: Sequence[str], processes: int) -> Balance:
    """Run `command` once per process, with its place in the cluster; the sum of their balances.

    Each process gets `--process-id`, `--addresses` (on loopback) and `--report`, the file into
    which it writes its balance. When one fails, the others are ended.
    """
    addresses = ";".join(f"127.0.0.1:{port}" for port in _free_ports(processes))
    with tempfile.TemporaryDirectory(prefix="streamflow-") as folder:
        reports = [Path(folder) / f"{number}.json" for number in range(processes)]
        running = [
            subprocess.Popen(
                [*command, f"--process-id={n}", f"--addresses={addresses}", f"--report={report}"]
            )
            for n, report in enumerate(reports)
        ]
        try:
            _wait(running)
        finally:
            for process in running:
                if process.poll() is None:
                    process.terminate()
                process.wait()
        total = Balance()
        for report in reports:
            total.add(Balance.from_tree(json.loads(report.read_text())))
        return total


def _wait(running: Sequence[subprocess.Popen[bytes]]) -> None:
    left = list(running)
    while left:
        for process in list(left):
            try:
                code = process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            if code:
                number = running.index(process)
                raise StreamflowError(f"process {number} ended with code {code}; see its log above")
            left.remove(process)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports
