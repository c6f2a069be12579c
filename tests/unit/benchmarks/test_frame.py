from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks import process
from benchmarks.frame import BenchmarkError, Case, Report, interleave
from benchmarks.hot_path import benchmark as hot_path
from benchmarks.hot_path.data import WINDOW, Size, Workload, workload
from benchmarks.hot_path.outcome import Figures, Meter, Results
from benchmarks.table import render

FLOOR = 50.0
FAST = Case("rate", "readings/s", (20.0, 30.0, 90.0), (10.0, 10.0, 10.0), floor=2.5)
SLOW = Case("rate", "readings/s", (20.0, 20.0, 90.0), (10.0, 10.0, 10.0), floor=2.5)


def report(*cases: Case, error: str | None = None) -> Report:
    return Report("fake", "small", {"cpu": "abacus", "cores": 2}, cases, "Two sides.", error)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> list[Report]:
    """What the command's two benchmarks, `one` and `two`, will report."""
    reports: list[Report] = []
    waiting = iter(reports)
    monkeypatch.setattr(command, "available", lambda: ["one", "two"])
    monkeypatch.setattr(command, "run", lambda *_: next(waiting))
    return reports


def test_ratio_is_the_median_of_the_ratios_of_pairs() -> None:
    # The quotient of the medians would be 20 / 10.
    case = Case("rate", "readings/s", (10.0, 20.0, 30.0), (10.0, 40.0, 5.0))
    assert case.ratios == (1.0, 0.5, 6.0)
    assert case.ratio == 1.0


def test_ratio_of_a_cost_is_how_many_times_less_ours_is() -> None:
    assert Case("memory", "MB", (50.0,), (200.0,), lower_is_better=True).ratio == 4.0


def test_a_case_that_one_side_lacks_has_no_ratio() -> None:
    case = Case("stage impute", "ns", (50.0,), (), lower_is_better=True)
    assert case.ratio is None
    assert case.ok
    assert not Case("stage impute", "ns", (50.0,), (), floor=1.0).ok


def test_a_floor_holds_at_its_own_value() -> None:
    assert Case("rate", "readings/s", (9.0,), (10.0,), floor=0.9).ok
    assert not Case("rate", "readings/s", (8.9,), (10.0,), floor=0.9).ok


def test_runs_alternate() -> None:
    order: list[str] = []

    def one(side: str) -> int:
        order.append(side)
        return len(order)

    assert interleave(lambda: one("a"), lambda: one("b"), 3) == ([1, 3, 5], [2, 4, 6])
    assert order == ["a", "b"] * 3


def test_exit_code_is_0_when_all_floors_hold(fake: list[Report]) -> None:
    fake += [report(FAST), report(FAST)]
    assert command.main(["all"]) == 0


def test_exit_code_is_1_below_a_floor(
    fake: list[Report], capsys: pytest.CaptureFixture[str]
) -> None:
    fake += [report(SLOW), report(FAST)]
    assert command.main(["one", "two"]) == 1
    assert "BELOW FLOOR" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv",
    [[], ["three"], ["one", "--size", "huge"], ["one", "--repeats", "0"], ["one", "--json"]],
)
def test_exit_code_is_2_for_wrong_usage(argv: list[str], fake: list[Report]) -> None:
    assert not fake
    with pytest.raises(SystemExit) as exit_:
        command.main(argv)
    assert exit_.value.code == 2


def test_a_benchmark_that_fails_is_reported_and_exits_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def differ(size: str, repeats: int) -> Report:
        raise BenchmarkError(f"the sides differ in size {size}, {repeats} runs")

    monkeypatch.setattr("benchmarks.hot_path.benchmark.run", differ)
    path = tmp_path / "out.json"
    assert command.main(["hot_path", "--repeats", "3", "--json", str(path)]) == 1
    assert "FAILED: the sides differ in size small, 3 runs" in capsys.readouterr().out
    assert json.loads(path.read_text())["cases"] == []


def test_json_has_an_object_a_line_with_the_schema(fake: list[Report], tmp_path: Path) -> None:
    fake += [report(FAST, SLOW), report(FAST)]
    path = tmp_path / "out.json"
    command.main(["one", "two", "--json", str(path)])
    first, second = map(json.loads, path.read_text().splitlines())
    assert {"benchmark", "size", "machine", "cases"} <= first.keys()
    assert first["machine"] == {"cpu": "abacus", "cores": 2}
    assert second["ok"]
    good, bad = first["cases"]
    assert good == {
        "name": "rate",
        "unit": "readings/s",
        "ours": 30.0,
        "baseline": 10.0,
        "ratio": 3.0,
        "floor": 2.5,
        "ok": True,
        "lower_is_better": False,
        "ours_runs": [20.0, 30.0, 90.0],
        "baseline_runs": [10.0, 10.0, 10.0],
    }
    assert bad["ratio"] == 2.0
    assert not bad["ok"]


def test_list_names_each_benchmark_with_its_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["list"]) == 0
    assert "hot_path      MinMaxScaler | HalfSpaceTrees per device" in capsys.readouterr().out


def test_table_is_aligned() -> None:
    lines = render(report(FAST, Case("peak memory", "MB", (50.0,), ()))).splitlines()
    header, rate, memory = lines[3:]
    end = header.index("ratio") + len("ratio")
    assert rate[:end].endswith("  3.00")
    assert memory[:end].endswith("  -")


def test_a_call_runs_in_another_process() -> None:
    assert process.call("os:getppid") != process.call("os:getpid")
    assert process.call("math:hypot", 0.1, 0.2) == 0.223606797749979


def test_a_call_that_fails_tells_why() -> None:
    with pytest.raises(BenchmarkError, match="math domain error"):
        process.call("math:sqrt", -1)


def test_peak_memory_is_that_of_the_process_itself() -> None:
    ballast = bytearray(100_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])
    assert process.peak_memory() > 100
    assert process.call("benchmarks.process:peak_memory") < 100


def test_workload_is_the_same_for_the_same_seed_and_survives_a_file(tmp_path: Path) -> None:
    size = Size(devices=3, readings=WINDOW + 2, batch=10)
    work = workload(size)
    assert work == workload(size)
    assert work.messages != workload(size, seed=8).messages
    work.write(tmp_path / "messages")
    assert Workload.read(tmp_path / "messages") == work


def test_workload_marks_where_models_exist_and_where_forests_score() -> None:
    work = workload(Size(devices=5, readings=WINDOW + 10, batch=10))
    devices = [json.loads(message)["machine"] for message in work.messages]
    assert len(set(devices[: work.built])) == 5
    assert len(set(devices[: work.built - 1])) == 4
    before, at = devices[: work.steady - 1], devices[: work.steady]
    assert min(at.count(device) for device in set(devices)) == WINDOW
    assert min(before.count(device) for device in set(devices)) == WINDOW - 1


def test_times_of_a_device_increase() -> None:
    last: dict[str, str] = {}
    for message in workload(Size(devices=20, readings=50, batch=10)).messages:
        fields = json.loads(message)
        assert fields["timestamp"] > last.get(fields["machine"], "")
        last[fields["machine"]] = fields["timestamp"]


def test_meter_keeps_the_steady_time_apart() -> None:
    meter = Meter(Workload([b""] * 10, batch=2, built=1, steady=3))
    decode = meter.timed("decode", lambda n: sum(range(n)))
    for n in (200_000, 200_000, 1, 1, 1):
        meter.taken(2)
        decode(n)
        meter.arrived(2)
    figures = meter.outcome(Results({}, set())).figures
    # The marks fall behind the batch in which the bound lies: 2 and 4.
    assert figures.steady_readings == 6
    assert len(figures.latencies) == 3
    assert figures.whole_readings == 10
    assert 0 < figures.stages["decode"] < figures.whole_cpu / 4
    assert figures.build_cpu > figures.steady_cpu


def test_meter_refuses_a_run_that_lost_a_reading() -> None:
    meter = Meter(Workload([b""] * 4, batch=2, built=1, steady=2))
    meter.taken(4)
    meter.arrived(3)
    with pytest.raises(RuntimeError, match="3 of 4 readings arrived"):
        meter.outcome(Results({}, set()))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Results({"a": [0.0, 0.5], "b": [1.0]}, {("a", 7)}), None),
        (Results({"a": [0.0, 0.5]}, {("a", 7)}), "only one side has scores of b"),
        (Results({"a": [0.0], "b": [1.0]}, {("a", 7)}), "a has 2 scores and 1"),
        (
            Results({"a": [0.0, 0.5000000000000001], "b": [1.0]}, {("a", 7)}),
            "score 1 of a is 0.5 and 0.5000000000000001",
        ),
        (Results({"a": [0.0, 0.5], "b": [1.0]}, set()), "only one side alerts for a at 7 ns"),
    ],
)
def test_results_differ_by_a_bit(other: Results, words: str | None) -> None:
    mine = Results({"a": [0.0, 0.5], "b": [1.0]}, {("a", 7)})
    assert mine.difference(other) == words


def told(score: float, alerts: list[tuple[str, int]]) -> dict[str, Any]:
    """What a run of a side of hot_path sends back."""
    figures = Figures(2.0, 5.0, 400, 1.0, 2.0, 100, [0.1, 0.2], {"decode": 0.25}, 300.0)
    return {
        "scores": {"a": [score]},
        "alerts": alerts,
        "figures": asdict(figures),
        "import_cpu": 1.0,
    }


def sides(monkeypatch: pytest.MonkeyPatch, **runs: dict[str, Any]) -> Callable[[], Report]:
    """The hot_path benchmark of two modules, `ours` and `theirs`, that send back what is given."""
    monkeypatch.setattr(process, "call", lambda target, module, *_: runs[module])
    monkeypatch.setattr(hot_path, "workload", lambda size: Workload([b"{}"], 1, 1, 1))
    monkeypatch.setattr(hot_path, "SIZES", {"small": (hot_path.Setting(Size(1, 1, 1), FLOOR),)})
    return lambda: hot_path.run("small", 3, ours="ours", baseline="theirs")


def test_hot_path_reports_what_each_stage_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    run = sides(monkeypatch, ours=told(0.5, [("a", 7)]), theirs=told(0.5, [("a", 7)]))
    cases = {case.name: case for case in run().cases}
    assert cases["steady, by CPU"].ours == (100.0,) * 3
    assert cases["steady, by CPU"].floor == FLOOR
    assert cases["steady, by wall"].ours == (50.0,) * 3
    assert cases["whole run, by CPU"].ours == (80.0,) * 3
    assert cases["latency p50 of a batch"].ours == pytest.approx((150.0,) * 3)
    assert cases["stage decode, CPU"].ours == (2_500_000.0,) * 3
    assert cases["stage rest, CPU"].ours == (7_500_000.0,) * 3


def test_hot_path_fails_if_one_score_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    run = sides(monkeypatch, ours=told(0.5, [("a", 7)]), theirs=told(0.25, [("a", 7)]))
    with pytest.raises(BenchmarkError, match=r"theirs differs .*: score 0 of a is 0.5 and 0.25"):
        run()


def test_hot_path_fails_if_an_alert_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    run = sides(monkeypatch, ours=told(0.5, [("a", 7), ("a", 9)]), theirs=told(0.5, [("a", 7)]))
    with pytest.raises(BenchmarkError, match="only one side alerts for a at 9 ns"):
        run()


def test_hot_path_fails_if_there_is_no_alert_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    run = sides(monkeypatch, ours=told(0.5, []), theirs=told(0.5, []))
    with pytest.raises(BenchmarkError, match="no alert"):
        run()
