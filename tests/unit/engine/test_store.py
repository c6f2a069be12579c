from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from streamflow.engine.pack import pack
from streamflow.engine.plain import to_plain
from streamflow.engine.store import Store
from streamflow.engine.wax import make_store
from streamflow.errors import StateError

KEYS = [str(key) for key in range(8)]


def write_epoch(files: list[sqlite3.Connection], epoch: int) -> None:
    """What Bytewax does at the end of an epoch, in its order."""
    for key in KEYS:
        with files[int(key) % len(files)] as file:
            row = ("f.s", key, epoch, to_plain(pack(epoch)))
            file.execute(
                "insert into snaps (step_id, state_key, snap_epoch, ser_change) values (?,?,?,?)",
                row,
            )
    with files[1] as file:
        file.execute(
            "insert or replace into fronts (ex_num, worker_index, worker_frontier) "
            "values (0, 0, ?)", (epoch + 1,),
        )  # fmt: skip
    for number, file in enumerate(files):
        with file:
            file.execute(
                "insert or replace into commits (part_index, commit_epoch) values (?, ?)",
                (number, epoch),
            )
            file.execute("delete from snaps where snap_epoch < ?", (epoch,))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "recovery"
    path.mkdir()
    make_store(path, 4)
    for part in path.iterdir():
        with closing(sqlite3.connect(part)) as file:
            file.execute("pragma journal_mode = wal")
    with closing(sqlite3.connect(path / "part-0.sqlite3")) as file, file:
        file.execute("insert into exs (ex_num, worker_count, resume_epoch) values (0, 1, 1)")
    return path


def test_a_store_is_read_and_copied_as_it_is_at_one_moment(folder: Path, tmp_path: Path) -> None:
    done = threading.Event()
    epochs = []

    def write() -> None:
        files = [sqlite3.connect(path) for path in sorted(folder.glob("*.sqlite3"))]
        for file in files:
            file.execute("pragma synchronous = off")
        while not done.is_set():
            epochs.append(len(epochs) + 1)
            write_epoch(files, epochs[-1])
            done.wait(0.005)
        for file in files:
            file.close()

    store = Store(folder, "f")
    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(epochs) < 2:
            done.wait(0.001)
        seen = set()
        for _ in range(100):
            snaps = list(store.snaps())
            assert [snap.key for snap in snaps] == KEYS
            assert {snap.value for snap in snaps} == {snaps[0].epoch}
            seen.add(snaps[0].epoch)
        for number in range(10):
            copy = tmp_path / str(number)
            copy.mkdir()
            store.copy(copy)
            snaps = list(Store(copy, "f").snaps())
            assert [snap.key for snap in snaps] == KEYS
            assert {snap.value for snap in snaps} == {Store(copy, "f").resume_epoch() - 1}
    finally:
        done.set()
        writer.join()
    assert len(seen) > 10


def test_files_that_do_not_fit_each_other_are_an_error(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "part-2.sqlite3")) as file, file:
        file.execute("insert into commits (part_index, commit_epoch) values (2, 9)")
    with pytest.raises(StateError, match="do not fit each other"):
        list(Store(folder, "f").snaps())


def test_a_file_that_may_not_be_read_is_not_called_damaged(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorname = "SQLITE_READONLY_DIRECTORY"

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(sqlite3, "connect", refuse)
    with pytest.raises(StateError, match=r"part-0\.sqlite3 cannot be read \(attempt to write"):
        Store(folder, "f").check(4)
    error.sqlite_errorname = "SQLITE_NOTADB"
    with pytest.raises(StateError, match=r"part-0\.sqlite3 is damaged \(attempt to write"):
        Store(folder, "f").check(4)
    monkeypatch.undo()
    with pytest.raises(StateError, match=r"part-4\.sqlite3 is missing"):
        Store(folder, "f").check(5)
