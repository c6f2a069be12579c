"""Letters: each is kept once, the oldest go when there are too many, and damage is put aside."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from streamflow import Batch, DeadLetter, Flow, Messages, Outlet
from streamflow.core.batch import Words
from streamflow.core.quality import Quality
from streamflow.engine.aside import KeptLetters, equipped
from streamflow.engine.intake import Intake
from streamflow.engine.letters import Letters, context_of, letters, purged, reading_of
from streamflow.engine.redelivery import Redelivery, is_asked_for
from streamflow.engine.rows import Rows
from streamflow.engine.statedir import StateDir
from streamflow.errors import ConnectorError, EndOfStream
from streamflow.testing import Collect, check_sink

SECOND = 10**9
FLOW = Flow("plant", sensors=["t"], tags=["site"]) | Rows([])
SCHEMA = FLOW.schema


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "letters.sqlite3"


def dead(n: int, payload: bytes = b"{", **context: object) -> DeadLetter:
    return DeadLetter(payload, "not JSON", "rows", "0", n, 1, **context)  # type: ignore[arg-type]


def rejected(*values: float, arrived: int | None = None) -> Batch:
    rows: list[dict[str, object]] = [
        {"device": f"d{i}", "time": i * SECOND, "t": value, "site": "north"}
        for i, value in enumerate(values)
    ]
    if arrived is not None:
        rows = [{**row, "arrived": arrived} for row in rows]
    batch = Batch.of(rows, ["t"], ["site"])
    step = Words.of(["late"] * len(batch))
    return batch.reject(batch["t"] == batch["t"], "too late").replace(
        tags={**batch.tags, "step": step}
    )


@pytest.mark.parametrize("of", ["dead_letters", "rejected"])
def test_it_keeps_the_contract_of_sinks(of: Outlet, path: Path) -> None:
    def there() -> list[str]:
        return [one.device or one.payload.decode() for one in letters(path)]

    check_sink(lambda: KeptLetters(path=path, of=of), there)


def test_all_that_is_known_is_kept(path: Path) -> None:
    kept = Letters(path)
    kept.add([dead(3, header=b"a,b", fields={"site": "x"}, arrived=7)], now=5)
    kept.add(rejected(1.5), now=6)
    kept.add(rejected(1.5, arrived=9), now=6)
    assert kept.commit() == 3
    kept.close()
    one, other, live = letters(path)
    assert (one.kind, one.kept, one.source, one.partition) == ("dead", 5, "rows", "0")
    assert (one.place, one.byte, one.reason, one.payload) == ("3", 1, "not JSON", b"{")
    assert context_of(one) == [b"a,b", {"site": "x"}, 7]
    assert (other.kind, other.step, other.device, other.time) == ("rejected", "late", "d0", 0)
    assert other.reason == "too late"
    assert reading_of(other) == {"site": "north", "t": 1.5}
    assert context_of(other) is None
    assert context_of(live) == 9


def test_the_oldest_go_counted_and_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = Letters(path, max_bytes=20_000)
    for n in range(200):
        kept.add([dead(n, b"x" * 400)], now=n)
    assert kept.size <= 20_000
    kept.commit()
    there = [int(one.place or 0) for one in letters(path)]
    assert there == list(range(200 - len(there), 200))
    assert kept.purged == purged(path) == 200 - len(there) > 100
    assert "the 4 oldest letters are gone, 4 so far" in caplog.text
    kept.close()
    again = Letters(path)
    assert (again.purged, again.size) == (kept.purged, kept.size)
    again.close()


def test_what_waits_for_redelivery_is_not_purged(path: Path) -> None:
    kept = Letters(path, max_bytes=20_000)
    kept.add([dead(n, b"x" * 400) for n in range(10)], now=0)
    with kept.writing() as file:
        file.execute("update letters set queued = id where id <= 3")
    for n in range(10, 200):
        kept.add([dead(n, b"x" * 400)], now=n)
    kept.commit()
    assert [one.id for one in letters(path)][:4] > [1, 2, 3, 100]
    kept.close()


def test_a_damaged_file_is_put_aside(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = Letters(path)
    kept.add([dead(1)], now=0)
    kept.commit()
    kept.close()
    path.write_bytes(path.read_bytes()[:5000])
    with caplog.at_level(logging.ERROR, "streamflow.letters"):
        kept = Letters(path)
    kept.add([dead(2)], now=0)
    kept.commit()
    kept.close()
    assert "letters.sqlite3 is damaged" in caplog.text
    assert [one.place for one in letters(path)] == ["2"]
    assert path.with_name("letters.sqlite3.damaged-1").exists()


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ConnectorError, match="failed: unable to open database file"):
        Letters(tmp_path / "no" / "letters.sqlite3")


def test_only_what_no_sink_takes_is_kept(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    assert equipped(FLOW.plan(), None).taps == ()
    (tap,) = equipped(FLOW.plan(), state).taps
    assert (tap.takes("dead_letters"), tap.takes("rejected"), tap.takes("rows")) == (1, 1, 0)
    _, tap = equipped((FLOW | Collect(of="dead_letters")).plan(), state).taps
    assert (tap.takes("dead_letters"), tap.takes("rejected")) == (False, True)
    both = FLOW | Collect(of="dead_letters", name="a") | Collect(of="rejected", name="b")
    assert len(equipped(both.plan(), state).taps) == 2


def queue(path: Path) -> None:
    kept = Letters(path)
    with kept.writing() as file:
        file.execute("update letters set queued = id")
    kept.commit()
    kept.close()


def intake(path: Path, position: object = None) -> Intake:
    from streamflow.core.clock import SystemClock

    source = Redelivery(path=path, schema=SCHEMA, sources=FLOW.plan().sources)
    return Intake(source, SCHEMA, "0", position, SystemClock())


class TestRedelivery:
    def test_readings_come_as_they_were_but_for_what_was_filled_in(self, path: Path) -> None:
        kept = Letters(path)
        batch = rejected(1.5, 2.5, 3.5)
        kept.add(batch.mark("t", batch.time == SECOND, Quality.IMPUTED), now=0)
        kept.add(rejected(4.5, arrived=17), now=0)
        kept.commit()
        kept.close()
        assert not is_asked_for(path)
        queue(path)
        assert is_asked_for(path)
        source = intake(path)
        (parcel,) = source.poll()
        assert parcel.batch is not None
        assert (parcel.received, parcel.decoded) == (4, 4)
        assert [row["t"] for row in parcel.batch.rows()] == [1.5, None, 3.5, 4.5]
        assert [row["site"] for row in parcel.batch.rows()] == ["north"] * 4
        assert "step" not in parcel.batch.tags
        assert parcel.batch.reason is None
        assert parcel.batch.arrived[:3].tolist() == [0, SECOND, 2 * SECOND], "history stays so"
        assert parcel.batch.arrived[3] > 10**18, "what was live arrives now"
        assert source.reader.position() == 4
        with pytest.raises(EndOfStream):
            source.poll()
        with pytest.raises(EndOfStream):
            intake(path, 4).poll()

    def test_messages_are_decoded_as_those_of_their_source(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from streamflow import Json

        monkeypatch.setattr(Rows, "format", Json())
        good = b'{"device": "a", "time": 1, "t": 1, "site": "payload"}'
        bad = b'{"device": "a", "time": "soon"}'
        kept = Letters(path)
        kept.add([dead(n, good, fields={"site": f"topic {n}"}) for n in range(3)], now=0)
        kept.add([dead(3, bad, header=b"h", arrived=5)], now=0)
        kept.add([dead(4, good), dead(5, bad), dead(6, good)], now=0)
        kept.add([DeadLetter(good, "x", "mqtt", "2", "a/b", None)], now=0)
        kept.commit()
        kept.close()
        queue(path)
        source = intake(path)
        got: list[object] = []
        positions = []
        for _ in range(6):
            one = source.reader.poll(100)
            got += [row["site"] for row in one.rows()] if isinstance(one, Batch) else [one]
            positions.append(source.reader.position())
        with pytest.raises(EndOfStream):
            source.poll()
        (first, second, third) = [one for one in got if isinstance(one, DeadLetter)]
        assert got == [
            *("topic 0", "topic 1", "topic 2"),
            *(first, "payload", second, "payload", third),
        ]
        assert positions == [3, 4, 5, 6, 7, 8]
        assert (first.place, first.header, first.arrived) == ("3", b"h", 5)
        assert first.reason.startswith("time: 'soon' is not a time")
        assert third == DeadLetter(
            good, "the flow has no source 'mqtt' now", "mqtt", "2", "a/b", None
        )

    def test_an_intake_keeps_what_it_takes_to_decode_again(self) -> None:
        from streamflow.core.clock import ManualClock
        from streamflow.core.connect import Position, Reader, Source

        class Far(Reader):
            def poll(self, limit: int) -> Messages:
                return Messages([b"{"], [9], b"head", 4, {"site": ["x"], "device": [None]})

            def position(self) -> None: ...

        class Farther(Source):
            def open(self, partition: str, position: Position) -> Reader:
                return Far()

        parcel, *_ = Intake(Farther(), SCHEMA, "0", None, ManualClock()).poll()
        letter, *_ = parcel.dead
        assert (letter.header, letter.fields, letter.arrived) == (b"head", {"site": "x"}, 4)
