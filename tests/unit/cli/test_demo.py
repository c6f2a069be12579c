from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path

import pytest

from streamflow.cli.demo import DATA, demo_flow
from streamflow.cli.main import main


def test_the_demo_works_on_the_real_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "demo.html"
    assert main(["demo", "--json", "--page", str(page)]) == 0
    told = capsys.readouterr()
    figures = json.loads(told.out)
    balance = figures["balance"]
    assert figures["adds_up"] is True
    assert (
        balance["received"] == balance["decoded"] == balance["readings"] == balance["out"] == 69_561
    )
    assert (balance["dead"], balance["rejected"], balance["held"]) == (0, [], 0)
    assert (figures["incidents"], figures["hit"] + figures["missed"]) == (19, 19)
    assert figures["hit"] >= 14
    assert figures["drifts"] > 0
    assert figures["readings_per_second"] > 1000
    text = page.read_text(encoding="utf-8")
    assert text.lower().startswith("<!doctype html>")
    assert "viewport" in text  # so that a phone shows it readable
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", text)
    assert not re.search(r"@import|url\(\s*[\"']?(?:https?:)?//|fetch\(|XMLHttpRequest", text)
    for machine in ("machine_temperature", "taxi_demand", "cpu_utilization"):
        assert f'"{machine}"' in text


def test_the_demo_flow_passes_its_own_check() -> None:
    from streamflow.flow.check import check

    findings = check(demo_flow(DATA / "fleet.csv.gz")).findings
    assert [f.text for f in findings if f.level == "error"] == []


def test_for_people_alerts_stand_beside_the_incidents(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = gzip.decompress((DATA / "fleet.csv.gz").read_bytes()).splitlines(keepends=True)
    some = [line for line in lines if line.startswith((b"machine,", b"key_hold,"))]
    (tmp_path / "fleet.csv.gz").write_bytes(gzip.compress(b"".join(some)))
    shutil.copy(DATA / "incidents.csv", tmp_path)
    monkeypatch.setattr("streamflow.cli.demo.DATA", tmp_path)
    assert main(["demo", "--page", str(tmp_path / "demo.html")]) == 0
    told = capsys.readouterr().out
    assert "readings  1,882 in = 1,882 out" in told
    assert "of 19 known incidents" in told
    assert re.search(r"^  key_hold +\S+ +(hit|false) ", told, re.MULTILINE)
    assert re.search(r"^  taxi_demand +\S+ +missed +until ", told, re.MULTILINE)
    assert re.search(r"^speed     [\d,]+ readings/s", told, re.MULTILINE)
    assert told.endswith(f"page      {tmp_path / 'demo.html'}\n")
