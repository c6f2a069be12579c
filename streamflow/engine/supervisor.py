"""Supervisor: what a run needs around Bytewax: signals, a watch on the clock, a lock, metrics."""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from streamflow.engine.aside import equipped
from streamflow.engine.balance import Balance
from streamflow.engine.health import serve
from streamflow.engine.job import Job
from streamflow.engine.letterbox import settle
from streamflow.engine.plan import Plan
from streamflow.engine.statedir import StateDir
from streamflow.engine.wax import Place, execute, make_store

log = logging.getLogger("streamflow.run")

STEP_BACK = 10**9
"""A wall clock that falls so many ns behind the monotonic one has been set back."""


def open_state(
    plan: Plan,
    path: str | Path,
    forget: Collection[str] = (),
    rename: Mapping[str, str] | None = None,
) -> StateDir:
    """Lock a state directory for a flow, and see that the flow can go on from it."""
    state = StateDir(Path(path))
    state.acquire()
    try:
        state.prepare(plan, make_store, forget, rename)
        settle(state)
    except BaseException:
        state.release()
        raise
    return state


def supervise(
    job: Job,
    *,
    workers: int = 1,
    place: Place | None = None,
    metrics: tuple[str, int] | None = None,
    on_clock_step: Callable[[], None] | None = None,
    alone: bool = False,
) -> Balance:
    """Run a job until its sources end or a signal stops it; its balance.

    Parameters
    ----------
    job
        What to run; its state directory is locked.
    workers
        Threads.
    place
        Where this process stands in a cluster.
    metrics
        Host and port to serve metrics and health at.
    on_clock_step
        What to do when the wall clock was set back: Bytewax plans by it, and would stand still
        until it has caught up. Default: say so.
    alone
        Whether there is nothing else in this process: then Python's garbage collector need not
        look at what was loaded for the flow again, which stops all threads for a tenth of a second.
    """
    if job.state:
        job.delivered |= job.state.delivered()
    job.plan = equipped(job.plan, job.state)
    with ExitStack() as around:
        around.enter_context(_signals(job))
        number = place.process if place else 0
        around.enter_context(_watch(job, number, on_clock_step, alone))
        if metrics:
            port = around.enter_context(serve(job, *metrics, number))
            log.info("metrics at http://%s:%d/metrics", metrics[0], port)
        return execute(job, workers=workers, place=place)


@contextmanager
def _signals(job: Job) -> Iterator[None]:
    """SIGTERM and SIGINT stop the sources, and a second one stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: FrameType | None) -> None:
        if job.stopping:
            os._exit(128 + number)
        job.stopping = True
        log.info("stopping: %s; once more to stop at once", signal.Signals(number).name)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _watch(
    job: Job, process: int, on_clock_step: Callable[[], None] | None, alone: bool
) -> Iterator[None]:
    """Look at the clock, and write down how far the state is durable, once a second or epoch."""
    done = threading.Event()

    def look() -> None:
        offset = job.clock.now() - job.clock.monotonic()
        noted: Any = None
        loading = alone
        while not done.wait(min(1.0, job.epoch / 1e9)):
            now = job.clock.now() - job.clock.monotonic()
            if now < offset - STEP_BACK:
                log.error(
                    "the clock was set back by %.1f s: Bytewax stands still", (offset - now) / 1e9
                )
                if on_clock_step:
                    on_clock_step()
            offset = now
            if loading and job.readings:  # the first have loaded what the stages need
                loading = False
                gc.collect()
                gc.freeze()
            if job.state and job.last_commit != noted:
                noted = job.last_commit
                _note(job, process)

    thread = threading.Thread(target=look, name="streamflow-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        _note(job, process)


def _note(job: Job, process: int) -> None:
    """Write progress down. Where that fails, what is wrong with the state itself is the news."""
    if job.state is None or not (job.durable or job.delivered):
        return
    try:
        job.state.note_progress(job.durable, job.delivered, process)
    except OSError as error:
        log.warning("cannot note progress in %s: %s", job.state.path, error.strerror)
