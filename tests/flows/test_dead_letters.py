"""`streamflow dead-letters` on the state of real runs: what was set aside comes again, once."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from streamflow_connectors import files

from streamflow import Flow, Reject, Sensor, Validate, stage
from streamflow.cli.main import main
from streamflow.engine.archive import export_state, import_state
from streamflow.engine.balance import Balance
from streamflow.engine.custody import erase
from streamflow.engine.letters import LETTERS, letters
from streamflow.engine.statedir import StateDir

LINES = [
    "m,time,t,site",
    *(f"pump-{i % 3},{1_700_000_000 + i},{i},{'north' if i % 5 else 'south'}" for i in range(30)),
    "pump-0,yesterday,1,north",
    "pump-1,1,2",
    "pump-2,tomorrow,3,north",
]


@stage()
def only_north(r: Any) -> Any:
    return None if r["site"] == "north" else Reject(f"site {r['site']!r} is not ours")


@stage(name="only_north")
def anywhere(r: Any) -> None:
    return None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in.csv").write_text("\n".join(LINES) + "\n")
    return tmp_path


def flow(folder: Path, mended: bool = False) -> Flow:
    return (
        Flow("letters", device="m", sensors={"t": Sensor(low=0, high=100)}, tags=["site"])
        | files.csv(folder / "in.csv")
        | Validate()
        | (anywhere if mended else only_north)
        | files.jsonl(folder / "rows.jsonl", of="rows")
    )


def run(folder: Path, mended: bool = False) -> Balance:
    balance = flow(folder, mended).run(state=folder / "state", epoch="20ms")
    assert balance.adds_up
    return balance


def told(capsys: pytest.CaptureFixture[str], *command: object, code: int = 0) -> str:
    capsys.readouterr()
    assert main(["dead-letters", *map(str, command)]) == code
    return capsys.readouterr().out


def listed(capsys: pytest.CaptureFixture[str], folder: Path, *options: str) -> dict[str, Any]:
    return dict(json.loads(told(capsys, "list", folder / "state", "--json", *options)))


def rows(folder: Path) -> list[float]:
    return sorted(json.loads(line)["t"] for line in (folder / "rows.jsonl").open())


def test_what_is_counted_is_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    balance = run(folder)
    assert (balance.dead, balance.rejected.total()) == (3, 6)
    found = listed(capsys, folder)
    assert (found["count"], found["purged"]) == (9, 0)
    counts = {group["reason"]: group["count"] for group in found["reasons"]}
    assert counts["site 'south' is not ours"] == 6
    assert counts["3 fields where the header has 4"] == 1
    assert any(reason.startswith("time: … is not a time; ISO 8601") for reason in counts)
    text = told(capsys, "list", folder / "state", "--each", "2", "--kind", "rejected")
    assert "6  rejected  only_north: site 'south' is not ours" in text
    assert text.splitlines()[-1].endswith("rejected  pump-1: site 'south' is not ours")
    again = run(folder)
    assert (again.dead, listed(capsys, folder)["count"]) == (3, 9), "a restart adds none"


def test_showing_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder)
    numbers = {one.reason[:4]: one.id for one in letters(folder / "state" / LETTERS)}
    text = told(capsys, "show", folder / "state", numbers["3 fi"])
    assert "source     csv/0, place 33" in text
    assert "header     m,time,t,site" in text
    assert text.endswith("\npump-1,1,2\n")
    text = told(capsys, "show", folder / "state", numbers["site"])
    assert "step       only_north" in text
    assert "  t                25.0" in text
    shown = json.loads(told(capsys, "show", folder / "state", numbers["site"], "--json"))
    assert shown["reading"] == {"site": "south", "t": 25.0}
    assert main(["dead-letters", "show", str(folder / "state"), "999"]) == 2
    assert "has no letter 999" in capsys.readouterr().err


def test_the_wrong_byte_is_marked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "in.jsonl").write_text('{"device": "a", "time": 1, "t": oops}\n')
    bad = Flow("bad", sensors=["t"]) | files.jsonl(folder / "in.jsonl")
    bad.run(state=folder / "state", epoch="20ms")
    *_, line, mark = told(capsys, "show", folder / "state", 1).splitlines()
    assert line == '{"device": "a", "time": 1, "t": oops}'
    assert line[mark.index("^") :].startswith(("oops", "ops"))


def test_what_comes_again_has_its_effect_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder)
    state = folder / "state"
    assert json.loads(told(capsys, "redeliver", state, "--kind", "rejected", "--json")) == {
        "queued": 6
    }
    assert told(capsys, "redeliver", state, "--all") == (
        "3 will be taken again when the flow starts\n"
    )
    assert told(capsys, "redeliver", state, "--all").startswith("0 will")
    assert sum(group["waiting"] for group in listed(capsys, folder)["reasons"]) == 9
    assert rows(folder) == [float(i) for i in range(30) if i % 5]
    balance = run(folder, mended=True)
    assert rows(folder) == [float(i) for i in range(30)]
    assert (balance.received, balance.dead, balance.decoded) == (33 + 9, 6, 36)
    assert (balance.out, balance.rejected.total()) == (30, 6)
    found = listed(capsys, folder)
    assert found["count"] == 12, "the dead letters failed again"
    assert sum(group["redelivered"] for group in found["reasons"]) == 9
    assert run(folder, mended=True).received == 42
    assert rows(folder) == [float(i) for i in range(30)]
    assert told(capsys, "redeliver", state, "--all").startswith("3 will"), "those that failed again"


def test_a_message_that_is_mended_by_the_flow(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "device,at,t\na,2026-01-01 05:00,1\n"
    (folder / "in.csv").write_text(text)

    def of(form: str | None) -> Flow:
        return (
            Flow("mended", time="at", sensors=["t"], time_format=form)
            | files.csv(folder / "in.csv")
            | files.jsonl(folder / "rows.jsonl", of="rows")
        )

    state = folder / "state"
    assert of("%d.%m.%Y").run(state=state, epoch="20ms").dead == 1
    told(capsys, "redeliver", state, "1")
    balance = of("%Y-%m-%d %H:%M").run(state=state, epoch="20ms")
    assert (balance.received, balance.dead, balance.decoded, balance.out) == (2, 1, 1, 1)
    assert rows(folder) == [1.0]


def test_purging(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder)
    state = folder / "state"
    assert told(capsys, "purge", state, "--older-than", "1h", "--json").split() == [
        *("{", '"purged":', "0", "}")
    ]
    told(capsys, "redeliver", state, "--reason", "fields")
    assert told(capsys, "purge", state, "--kind", "dead") == "2 deleted\n"
    assert told(capsys, "purge", state, "--reason", "south") == "6 deleted\n"
    assert listed(capsys, folder)["count"] == 1, "what waits for redelivery stays"
    for part in state.glob(f"{LETTERS}*"):
        assert b"yesterday" not in part.read_bytes()
    run(folder)
    assert listed(capsys, folder)["count"] == 2


@pytest.mark.parametrize("action", ["redeliver", "purge"])
def test_which_must_be_said_and_the_flow_stopped(
    action: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder)
    state = str(folder / "state")
    assert main(["dead-letters", action, state]) == 2
    assert "say which: their numbers, --reason, --kind, or --all" in capsys.readouterr().err
    assert main(["dead-letters", action, state, "x"]) == 2
    assert "'x' is not the number of a letter" in capsys.readouterr().err
    assert main(["dead-letters", action, str(folder), "--all"]) == 1
    assert "holds no state" in capsys.readouterr().err
    lock = StateDir(folder / "state")
    lock.acquire()
    assert main(["dead-letters", action, state, "--all"]) == 1
    assert "a flow is running on" in capsys.readouterr().err
    assert listed(capsys, folder)["count"] == 9, "but it can be looked at"
    lock.release()


def test_erased_devices_are_in_no_letter(folder: Path) -> None:
    run(folder)
    state = folder / "state"
    done = erase(state, ["pump-0"])
    assert (done.letters, done.blanked) == (2, 1)
    with closing(sqlite3.connect(state / LETTERS)) as file:
        dump = "\n".join(file.iterdump())
    assert "pump-0" not in dump
    assert "pump-1" in dump
    for part in state.glob(f"{LETTERS}*"):
        assert b"pump-0" not in part.read_bytes()
    run(folder)


def test_letters_travel_with_the_state(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder)
    export_state(folder / "state", folder / "exported")
    import_state(folder / "exported", folder / "elsewhere")
    before = told(capsys, "list", folder / "state")
    assert told(capsys, "list", folder / "elsewhere") == before


def test_a_state_without_letters(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "in.csv").write_text("\n".join(LINES[:2]).replace("south", "north") + "\n")
    run(folder)
    assert told(capsys, "list", folder / "state") == "none\n"
    assert told(capsys, "redeliver", folder / "state", "--all").startswith("0 will")
