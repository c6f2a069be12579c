"""The laws that every stage obeys, as functions; `check_laws` draws streams to break them.

1 Batching is invisible. 2 A restart is invisible. 3 Erased equals never seen. 4 Devices do not
see each other. 6 Local equals Bytewax. (Law 5, compiled equals River, is about models.)

A law that does not hold is an AssertionError with its name and the first place that differs.
Floats are compared bit for bit, but any NaN equals any NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from streamflow.core.stage import Stage
from streamflow.engine.balance import Balance
from streamflow.engine.rows import Batches
from streamflow.engine.shard import Outcome, Shard
from streamflow.flow.flow import Flow
from streamflow.testing.collect import Collect
from streamflow.testing.streams import Stream, Tick, streams_for
from streamflow.testing.trace import Trace, difference, trace, trace_of

BATCHING = "law 1, batching is invisible"
RESTART = "law 2, a restart is invisible"
ERASED = "law 3, erased equals never seen"
DEVICES = "law 4, devices do not see each other"
ENGINES = "law 6, local equals Bytewax"


def batching_is_invisible(flow: Flow, stream: Stream, cuts: Collection[int]) -> None:
    """Law 1: however a stream is batched, and whichever ticks come, the output is the same.

    Ticks only make things happen sooner, so output is compared per device and step, when the
    input is complete. The time that the stream has come to at its end is part of it: every run
    ends with a tick at that time.

    Parameters
    ----------
    cuts
        Numbers of readings before which to cut; ticks elsewhere are left out.
    """
    expected, balance = _run(flow, stream)
    again, _ = _run(flow, stream)
    _compare(BATCHING, expected, again, "in one run", "in another run of the same batches")
    for how, variant in {
        f"cut at {sorted(cuts)}": stream.cut(cuts),
        "in one batch": stream.cut([]),
        "reading by reading, after a tick each": stream.singly(),
    }.items():
        got, counts = _run(flow, variant, end=stream.end)
        _compare(BATCHING, expected, got, "as given", how)
        _compare_balance(BATCHING, balance, counts, how)


def restart_is_invisible(flow: Flow, stream: Stream, at: int) -> None:
    """Law 2: a run that goes on from a snapshot gives what an unbroken one gives.

    Parameters
    ----------
    at
        The number of batches and ticks before the snapshot.
    """
    expected, balance = _run(flow, stream)
    shard = _shard(flow)
    before = _feed(shard, stream.items[:at])
    saved = shard.snapshot()
    after = _finish(shard, stream.items[at:], stream.end)
    _compare(RESTART, expected, _trace(before, after), "without a snapshot", "with one")
    # Copied only now: a snapshot is saved while its shard goes on.
    restored = _shard(flow, _copied(saved, "the snapshot"))
    after = _finish(restored, stream.items[at:], stream.end)
    how = f"restarted after {at} of {len(stream.items)} items"
    _compare(RESTART, expected, _trace(before, after), "unbroken", how)
    _compare_balance(RESTART, balance, restored.balance, how)


def erased_equals_never_seen(flow: Flow, stream: Stream, device: str, at: int) -> None:
    """Law 3: after a device is erased, all is as if it had never been seen, also after a restart.

    Parameters
    ----------
    device
        Which to erase.
    at
        The number of batches and ticks before that.
    """
    expected, _ = _run(flow, stream.without(device, stop=at), end=stream.end)
    shard = _shard(flow)
    before = _trace(_feed(shard, stream.items[:at]))
    kept = {key: entries for key, entries in before.items() if key[1] != device}
    shard.erase([device])
    saved = _copied(shard.snapshot(), "the snapshot")
    if device in saved["devices"]:
        raise AssertionError(f"{ERASED}: {device!r} is still in the snapshot")
    runs = {f"erased after {at} items": shard, "erased and restarted": _shard(flow, saved)}
    for how, run in runs.items():
        after = _trace(_finish(run, stream.items[at:], stream.end))
        got = {key: [*kept.get(key, ()), *after.get(key, ())] for key in kept | after}
        _compare(ERASED, expected, got, "never seen", how)


def devices_do_not_see_each_other(flow: Flow, stream: Stream) -> None:
    """Law 4: each device alone gives what it gives in company."""
    together, _ = _run(flow, stream)
    for device in stream.devices:
        expected, _ = _run(flow, stream.only(device), end=stream.end)
        got = {key: entries for key, entries in together.items() if key[1] == device}
        _compare(DEVICES, expected, got, "alone", "among others")


def engines_agree(flow: Flow, stream: Stream, workers: int) -> None:
    """Law 6: local and Bytewax give the same rows and events per device, and the same balance.

    Parameters
    ----------
    workers
        Threads of Bytewax.
    """
    source = Batches(tuple(item for item in stream.items if not isinstance(item, Tick)))
    rows = Collect(of="rows", name="law_rows")
    events = Collect(of="events", name="law_events")
    rejected = Collect(of="rejected", name="law_rejected")
    sunk = replace(_stages(flow), parts=(source, *_stages(flow).parts, rows, events, rejected))
    local = deepcopy(sunk).replay()
    balance = sunk.run(workers=workers)
    expected = trace_of([local.rows], local.events)
    got = trace_of(rows.items, events.items)
    how = f"on Bytewax with {workers} workers"
    _compare(ENGINES, expected, got, "local", how)
    for device in stream.devices:
        aside = [row for row in local.rejected if row["device"] == device]
        there = [row for row in rejected.rows if row["device"] == device]
        if aside != there:
            raise AssertionError(f"{ENGINES}: rejected of {device!r}: {aside} local, {there} {how}")
    _compare_balance(ENGINES, local.balance, balance, how)


def check_laws(flow: Flow, *, examples: int = 50) -> None:
    """Check laws 1 to 4 on streams drawn by Hypothesis; the same streams in every run.

    Of a flow with a fleet step, only laws 1 and 2.

    Parameters
    ----------
    flow
        The flow; its sources and sinks are left out. A stage alone: Flow("test", sensors=["t"])
        | MyStage().
    examples
        Streams for each law.

    Examples
    --------
    >>> from streamflow import Flow, Impute
    >>> check_laws(Flow("doc", sensors=["t"]) | Impute(hold="1m"), examples=5)
    """
    streams = streams_for(flow)
    at = st.integers(0, 8)
    careful = settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        # Explaining takes minutes where shrinking takes seconds.
        phases=[phase for phase in settings().phases if phase is not Phase.explain],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )

    @careful
    @given(stream=streams, cuts=st.sets(st.integers(1, 30), max_size=5))
    def law_1(stream: Stream, cuts: set[int]) -> None:
        batching_is_invisible(flow, stream, cuts)

    @careful
    @given(stream=streams, at=at)
    def law_2(stream: Stream, at: int) -> None:
        restart_is_invisible(flow, stream, at)

    @careful
    @given(stream=streams)
    def law_4(stream: Stream) -> None:
        devices_do_not_see_each_other(flow, stream)

    @careful
    @given(stream=streams, device=st.sampled_from("abc"), at=at)
    def law_3(stream: Stream, device: str, at: int) -> None:
        erased_equals_never_seen(flow, stream, device, at)

    # Law 3 supposes law 4: a leak between devices is to be called by its name.
    checks: list[Callable[[], None]] = [law_1, law_2, law_4, law_3]
    if any(isinstance(part, Stage) and part.fleet for part in flow.parts):
        checks = [law_1, law_2]
    for check in checks:
        check()


def _stages(flow: Flow) -> Flow:
    return replace(flow, parts=tuple(part for part in flow.parts if isinstance(part, Stage)))


def _shard(flow: Flow, saved: dict[str, Any] | None = None) -> Shard:
    # A copy shares nothing with other runs, as a new process: not even what a stage hides in self.
    return Shard(deepcopy(_stages(flow)).plan(), saved)


def _feed(shard: Shard, items: Iterable[Any]) -> Outcome:
    outcome = Outcome()
    for item in items:
        outcome.add(shard.on_tick(item.now) if isinstance(item, Tick) else shard.on_batch(item))
    return outcome


def _finish(shard: Shard, items: Iterable[Any], end: int) -> Outcome:
    outcome = _feed(shard, [*items, Tick(end)])
    outcome.add(shard.on_end())
    return outcome


def _run(flow: Flow, stream: Stream, end: int | None = None) -> tuple[Trace, Balance]:
    shard = _shard(flow)
    outcome = _finish(shard, stream.items, stream.end if end is None else end)
    return trace(outcome), shard.balance


def _trace(*outcomes: Outcome) -> Trace:
    total = Outcome()
    for outcome in outcomes:
        total.add(outcome)
    return trace(total)


def _compare(law: str, expected: Trace, got: Trace, usual: str, changed: str) -> None:
    found = difference(expected, got, usual, changed)
    if found is not None:
        raise AssertionError(f"{law}: {found}")


def _compare_balance(law: str, expected: Balance, got: Balance, how: str) -> None:
    if not expected.adds_up:
        raise AssertionError(f"{law}: the balance does not add up: {expected.lines()}")
    if expected.tree() != got.tree():
        raise AssertionError(f"{law}: {how}, the balance is another: {got.lines()}")


def _copied(tree: Any, place: str) -> Any:
    """A copy of a snapshot; what is not plain is no snapshot."""
    if isinstance(tree, dict):
        return {key: _copied(value, f"{place}[{key!r}]") for key, value in tree.items()}
    if isinstance(tree, list):
        return [_copied(value, f"{place}[{i}]") for i, value in enumerate(tree)]
    if isinstance(tree, np.ndarray) and tree.dtype != object:
        return tree.copy()
    if tree is None or type(tree) in (str, bytes, bool, int, float):
        return tree
    raise AssertionError(f"{RESTART}: {place} is a {type(tree).__name__}, not plain data")
