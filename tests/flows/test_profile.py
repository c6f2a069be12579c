"""Profile as a new user runs it: what it prints, draws, and the flow it writes, which runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from streamflow import Batch, Flow, Message, Position, Source, iso
from streamflow.cli.demo import DATA
from streamflow.cli.main import main
from streamflow.core.clock import ManualClock
from streamflow.flow.load import load_flow
from streamflow.profile.profile import of_flow
from streamflow.profile.starter import starter
from streamflow.testing import Duplicates, Flatline, Gaps, LateDelivery, MissingValues, inject

SECOND = 10**9
START = 1_767_225_600 * SECOND
SHARED = Path(os.environ.get("STREAMFLOW_DATA", "/nowhere"))


def runs(written: Path) -> int:
    """How many readings come out of a written flow."""
    result = load_flow(str(written)).replay()
    assert result.balance.adds_up
    assert not result.dead_letters
    return result.balance.readings


def profiled(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[Path, str]:
    written = tmp_path / f"{data.name.partition('.')[0]}_flow.py"
    assert main(["profile", str(data), "--write", str(written), *options]) == 0
    return written, capsys.readouterr().out


def test_the_flow_written_for_the_demo_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "profile.html"
    written, told = profiled(DATA / "fleet.csv.gz", tmp_path, capsys, "--page", str(page))
    assert "69,561 of 7 devices" in told
    assert "158 equal values in a row" in told
    assert runs(written) == 69_561
    assert main(["check", str(written)]) == 0
    text = page.read_text()
    assert "key_hold" in text
    assert "suspicious stretch" in text
    assert "http" not in text.replace("http-equiv", "")


@pytest.mark.parametrize(("name", "readings"), [("nab", 365_558), ("skab_a", 28_083)])
def test_the_flow_written_for_a_public_benchmark_runs(
    name: str, readings: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = SHARED / f"{name}.parquet"
    if not data.exists():
        pytest.skip("STREAMFLOW_DATA names no folder with it")
    written, told = profiled(data, tmp_path, capsys)
    assert f"readings  {readings:,} of" in told
    assert "anomaly" not in load_flow(str(written)).sensors
    assert runs(written) == readings


def test_the_flow_written_for_a_row_for_each_sensor_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, lines = np.random.default_rng(4), ["when,pump,sensor,value"]
    for i in range(600):
        for pump in ("p1", "p2"):
            at = f"{iso(START + i * 10 * SECOND)},{pump}"
            lines += [f"{at},bar,{4 + rng.normal():.3f}", f"{at},rpm,{900 + rng.normal():.3f}"]
            lines += [f"{at},degC,{20 + rng.normal():.3f}"] * (i % 6 == 0)
    data = tmp_path / "log.csv"
    data.write_text("\n".join(lines) + "\n")
    written, told = profiled(data, tmp_path, capsys)
    assert "sensors: bar, rpm, degC" in told
    assert "same time" not in told
    assert "missing: " not in told
    assert 'long.rows(files.csv("' in written.read_text()
    assert 'Resample(every="1m")' in written.read_text()
    result = load_flow(str(written)).replay()
    assert result.balance.adds_up
    assert not result.dead_letters
    assert result.balance.readings == 2 * 600 * 2 + 2 * 100
    assert not np.isnan([result.rows[name][5:] for name in ("bar", "rpm", "degC")]).any()


def fleet(tmp_path: Path) -> Path:
    """Pumps as a logger writes them, faults included; without a word about units or limits."""
    rng = np.random.default_rng(1)
    count = 800
    code = np.tile(np.arange(3, dtype=np.int32), count)
    time = START + np.repeat(np.arange(count) * 10 * SECOND, 3)
    columns = {"bar": 4 + rng.normal(0, 0.1, len(code)), "rpm": 900 + rng.normal(0, 5, len(code))}
    clean = Batch(["p1", "p2", "p3"], code, time, time.copy(), columns)
    faults = [Flatline(devices=["p2"]), MissingValues(), Gaps(), Duplicates(), LateDelivery()]
    batch, _ = inject(clean, faults, seed=2)
    path = tmp_path / "pumps.csv"
    lines = ["when;pump;bar;rpm;site"]
    for i, row in enumerate(batch.rows()):
        values = ";".join("" if row[s] is None else f"{row[s]:.6f}" for s in ("bar", "rpm"))
        lines.append(f"{iso(int(batch.time[i]))};{row['device']};{values};hall")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_flow_written_for_a_fleet_with_faults_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = fleet(tmp_path)
    written, told = profiled(data, tmp_path, capsys)
    for what in ("gaps", "missing", "duplicates", "disorder"):
        assert f"found     {what}: 3 of 3 devices" in told
    assert "found     stuck: 1 of 3 devices" in told
    assert "columns   device: pump; time: when" in told
    flow = load_flow(str(written))
    assert flow.tags == ("site",)
    assert runs(written) == len(data.read_text().splitlines()) - 1


def test_a_file_of_one_device_without_a_name_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / 'the "old" press.csv'
    rows = [f"{i + 1},{13 + i // 24}.01.2026 {i % 24:02d}:00,{i % 7}.5" for i in range(60)]
    data.write_text("\n".join(["id,zeit,celsius", *rows]))
    written, _ = profiled(data, tmp_path, capsys, "--time", "zeit")
    flow = load_flow(str(written))
    assert flow.time_format == "%d.%m.%Y %H:%M"
    assert set(flow.sensors) == {"celsius"}
    assert flow.replay().rows.devices[0] == 'the "old" press'
    assert runs(written) == 60


def test_json_holds_devices_findings_and_stages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profile", str(fleet(tmp_path)), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["device"] for one in told["devices"]] == ["p1", "p2", "p3"]
    assert {"device": "p2", "sensor": "bar", "what": "stuck"}.items() <= next(
        one for one in told["findings"] if one["what"] == "stuck"
    ).items()
    assert told["stages"][-1]["code"].startswith("Alert(")


@dataclass(frozen=True)
class Endless(Source):
    """A device whose clock is five minutes fast, another whose clock is right."""

    def open(self, partition: str, position: Position) -> Iterator[Message | None]:
        n = 0
        while True:
            for device, ahead in (("right", 0), ("right too", 0), ("fast", 300)):
                row = {"device": device, "time": START // SECOND + n + ahead, "bar": n % 5 + 0.5}
                yield Message(json.dumps(row).encode(), n, arrived=START + n * SECOND)
            n += 1
            yield None


class Busy(ManualClock):
    """A clock that moves a millisecond each time it is asked."""

    def monotonic(self) -> int:
        self.sleep(0.001)
        return super().monotonic()


def test_a_live_source_is_looked_at_for_a_while() -> None:
    flow = Flow("live", sensors=["bar"]) | Endless()
    profile = of_flow(flow, "live.py", 0.2, clock=Busy(START))
    assert profile.readings > 50
    assert profile.live
    found = {(one.device, one.what) for one in profile.findings}
    assert ("fast", "clock off") in found
    assert not {what for device, what in found if device == "right"}
    text = starter(profile)
    assert 'load_flow("live.py").plan().sources' in text
    compile(text, "written.py", "exec")


def test_the_flow_written_for_a_live_source_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = fleet(tmp_path)
    Path("first.py").write_text(
        "from streamflow import Flow\nfrom streamflow_connectors import files\n"
        'flow = Flow("first", device="pump", time="when", sensors=["bar"])'
        f' | files.csv("{data}", delimiter=";")\n'
    )
    written, told = profiled(Path("first.py"), tmp_path, capsys, "--for", "5s")
    assert "sensors: bar" in told
    assert runs(written) > 2000


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["nowhere.csv"], "no such file"),
        (["x.csv", "--for", "3s"], "which is read whole"),
        (["x.csv", "--write", "x.csv"], "exists; name a new file"),
        (["x.csv", "--sensors", "temp"], "no column 'temp'"),
        (["x.xls"], "its ending does not say what it is"),
        (["x.csv", "--time", "v"], "--time-format"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    options: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.csv").write_text("time,v\n2026-01-01,warm 1\n2026-01-02,warm 2\n")
    assert main(["profile", *options]) == 2
    assert says in capsys.readouterr().err
