"""Several processes on this host: started together, ended together, their balances added."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from streamflow.engine.balance import Balance
from streamflow.errors import StreamflowError

log = logging.getLogger("streamflow.run")

_LAST_WORDS = 2.0
RESTART = 75
"""A process that ends with this code asks for the whole cluster to be started again."""


class Cluster:
    """Processes that run one flow together.

    Parameters
    ----------
    command
        What starts one; it is told its place by `--process-id`, `--addresses` (on loopback),
        `--report` (the file for its balance) and `--lifeline` (a pipe that closes when this
        process is gone).
    processes
        How many.
    keep
        File descriptors that they inherit.
    stdout
        Where they print to, a file descriptor; None is where this process prints to.
    first
        Arguments for the first start, not for one after that.
    again
        Called before every start after the first.
    """

    def __init__(
        self,
        command: Sequence[str],
        processes: int,
        keep: Sequence[int] = (),
        stdout: int | None = None,
        first: Sequence[str] = (),
        again: Callable[[], None] | None = None,
    ) -> None:
        self._first, self._again = first, again
        self._command = command
        self._processes = processes
        self._keep = keep
        self._stdout = stdout
        self._running: list[subprocess.Popen[bytes]] = []
        self._stops = 0

    def run(self) -> Balance:
        """Run to the end, starting again when asked; the sum of the balances."""
        with self._signals(), tempfile.TemporaryDirectory(prefix="streamflow-") as folder:
            while True:
                reports = [Path(folder) / f"{n}.json" for n in range(self._processes)]
                if not self._run_once(reports) or self._stops:
                    break
                log.warning("starting all %d processes again", self._processes)
                self._first = ()
                if self._again:
                    self._again()
            total = Balance()
            for report in reports:
                if report.exists():
                    total.add(Balance.from_tree(json.loads(report.read_text())))
            return total

    def _run_once(self, reports: Sequence[Path]) -> bool:
        """Start all and wait for all; True if one asked to start again."""
        addresses = ";".join(f"127.0.0.1:{port}" for port in _free_ports(self._processes))
        ours, theirs = os.pipe()
        try:
            for number, report in enumerate(reports):
                place = [f"--process-id={number}", f"--addresses={addresses}"]
                place += [f"--report={report}", f"--lifeline={ours}"]
                # In sessions of their own: a Ctrl-C reaches them through us, once.
                process = subprocess.Popen(
                    [*self._command, *self._first, *place],
                    pass_fds=[ours, *self._keep],
                    stdout=self._stdout,
                    start_new_session=True,
                )
                self._running.append(process)
            return self._wait()
        finally:
            for process in self._running:
                if process.poll() is None:
                    process.kill()
                process.wait()
            self._running.clear()
            os.close(ours)
            os.close(theirs)

    def _wait(self) -> bool:
        left = dict(enumerate(self._running))
        while left:
            for number, process in list(left.items()):
                try:
                    code = process.wait(0.05)
                except subprocess.TimeoutExpired:
                    continue
                del left[number]
                if code == RESTART:
                    return True
                if code < 0 and self._stops:
                    return False  # it had not begun when it was told to stop; nor can the others
                if code:
                    _let_speak(left.values())
                    raise StreamflowError(
                        f"process {number} ended with code {code}; see its log above. The others "
                        f"were stopped; with --state, starting again goes on where they were"
                    )
        return False

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def forward(number: int, _: FrameType | None) -> None:
            self._stops += 1
            for process in self._running:
                if process.poll() is None:
                    process.send_signal(number)

        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, forward) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _let_speak(others: Iterable[subprocess.Popen[bytes]]) -> None:
    """The first to end is not always the one that knows why: wait a moment for the others."""
    for process in others:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LAST_WORDS)


def end_with_parent(lifeline: int) -> None:
    """End this process at once when the other end of the pipe closes."""

    def wait() -> None:
        os.read(lifeline, 1)
        os._exit(1)

    threading.Thread(target=wait, name="streamflow-lifeline", daemon=True).start()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports
