from __future__ import annotations

import json
import re
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
