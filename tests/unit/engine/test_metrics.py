"""Metrics: the names are documented, the values are the balance, ready means progress."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from streamflow import Alert, Event, Flow, Validate, buffered
from streamflow.core.clock import ManualClock
from streamflow.engine.health import readiness, serve
from streamflow.engine.intake import Parcel
from streamflow.engine.job import Job
from streamflow.engine.metrics import NAMES, Metrics
from streamflow.engine.rows import Rows
from streamflow.engine.shard import Shard
from streamflow.engine.statedir import StateDir
from streamflow.errors import FlowError
from streamflow.testing import Collect, Flaky

SECOND = 10**9
FLOW = Flow("plant", sensors=["t"]) | Rows([]) | Validate({"t": (0, 10)}) | Alert("t > 5")


def job_with(rows: list[dict[str, object]], clock: ManualClock | None = None) -> Job:
    from streamflow.core.batch import Batch

    job = Job(FLOW.plan(), clock=clock or ManualClock(10 * SECOND))
    shard = Shard(job.plan)
    job.opened(shard)
    batch = Batch.of(rows, ["t"])
    parcel = Parcel(len(rows) + 1, len(rows), batch, polled=job.clock.monotonic() - SECOND // 50)
    job.handled(shard.on_parcel(parcel), parcel)
    return job


def test_every_name_is_in_the_table_of_the_docs_and_no_other() -> None:
    page = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()
    documented = [line for line in page.splitlines() if line.startswith("| `streamflow_")]
    labels = [f"| `{n.exposed}` | {n.kind} | {', '.join(n.all_labels)} | {n.text} |" for n in NAMES]
    assert documented == labels


def test_a_scrape_tells_the_balance_by_worker() -> None:
    rows = [{"device": "a", "time": i * SECOND, "t": value} for i, value in enumerate([1, 99, 6])]
    text = Metrics(job_with(rows), process=3).text().decode()
    assert 'streamflow_messages_received_total{flow="plant",worker="3.0"} 4.0' in text
    assert 'streamflow_readings_in_total{flow="plant",worker="3.0"} 3.0' in text
    flagged = 'streamflow_values_flagged_total{flag="out_of_range",flow="plant",sensor="t"'
    assert flagged in text
    assert 'streamflow_devices{flow="plant",worker="3.0"} 1.0' in text
    assert 'streamflow_watermark_lag_seconds{flow="plant",process="3"} 8.0' in text


def test_latency_is_counted_once_for_each_batch() -> None:
    metrics = Metrics(job_with([{"device": "a", "time": 0, "t": 1}]))
    for _ in range(2):
        text = metrics.text().decode()
    counted = 'streamflow_arrival_to_output_seconds_bucket{flow="plant",le="0.02",process="0"} 1.0'
    assert counted in text


def test_ready_is_progress_and_not_life(tmp_path: Path) -> None:
    clock = ManualClock(100 * SECOND)
    job = Job(FLOW.plan(), StateDir(tmp_path), clock=clock)
    assert "starting" in str(readiness(job))
    job.committed("rows/0", 1, 0)
    assert readiness(job) is None
    clock.sleep(9)
    assert readiness(job) is None
    clock.sleep(2)
    assert readiness(job) == "no epoch became durable for 11 s"
    job.stopping = True
    assert readiness(job) == "the flow is stopping"


def test_without_state_a_polled_source_is_progress() -> None:
    clock = ManualClock(100 * SECOND)
    job = Job(FLOW.plan(), clock=clock)
    assert readiness(job) == "it is starting"
    job.last_poll = clock.monotonic()
    assert readiness(job) is None
    clock.sleep(11)
    assert readiness(job) == "no source was polled for 11 s"


def test_the_three_addresses_answer_on_loopback() -> None:
    job = job_with([{"device": "a", "time": 0, "t": 1}])
    with serve(job, "127.0.0.1", 0) as port:
        base = f"http://127.0.0.1:{port}"
        assert urllib.request.urlopen(f"{base}/ping").read() == b"pong\n"
        assert b"streamflow_readings_in_total" in urllib.request.urlopen(f"{base}/metrics").read()
        with pytest.raises(urllib.error.HTTPError) as not_ready:
            urllib.request.urlopen(f"{base}/ready")
        assert not_ready.value.code == 503
        assert json.loads(not_ready.value.read()) == {"ready": False, "reason": "it is starting"}
        with pytest.raises(urllib.error.HTTPError) as unknown:
            urllib.request.urlopen(f"{base}/else")
        assert unknown.value.code == 404
        unknown.value.close()
        with pytest.raises(FlowError, match="choose another port"), serve(job, "127.0.0.1", port):
            pass


def test_processes_of_one_host_take_ports_side_by_side() -> None:
    job = job_with([{"device": "a", "time": 0, "t": 1}])
    with serve(job, "127.0.0.1", 0) as free:
        pass
    with serve(job, "127.0.0.1", free) as first, serve(job, "127.0.0.1", free, 1) as second:
        assert (first, second) == (free, free + 1)


def test_alerts_are_timed_one_by_one() -> None:
    rows = [{"device": d, "time": SECOND, "t": 6} for d in "abc"]
    text = Metrics(job_with(rows)).text().decode()
    counted = 'streamflow_arrival_to_alert_seconds_bucket{flow="plant",le="0.02",process="0"} 3.0'
    assert counted in text


def test_sinks_tell_what_waits_and_how_often_they_were_asked(tmp_path: Path) -> None:
    down = tmp_path / "down"
    job = job_with([{"device": "a", "time": 0, "t": 1}])
    far = Flaky(Collect(of="alerts", name="far"), down, wait=0.01)
    delivery = job.open_sink(buffered(far, tmp_path / "queue"), None)
    down.touch()
    delivery.write([[Event("id", "alert", "alert", "a", 0)]])
    metrics = Metrics(job)
    while 'streamflow_sink_retries_total{flow="plant",process="0",sink="far"} 2.0' not in (
        text := metrics.text().decode()
    ):
        pass
    assert 'streamflow_buffer_items{flow="plant",process="0",sink="far"} 1.0' in text
    assert 'streamflow_buffer_dropped_total{flow="plant",process="0",sink="far"} 0.0' in text
    assert 'streamflow_buffer_bytes{flow="plant",process="0",sink="far"} ' in text
    delivery.close()
