"""Queue: what is committed stays, in order; what can be read of a damaged file goes on."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from streamflow.engine.pack import pack
from streamflow.engine.queue import Item, Queue
from streamflow.errors import ConnectorError, NotConnected


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue"


def data(n: int, size: int = 10) -> bytes:
    return pack([n, "x" * size])


def fill(path: Path, count: int, size: int = 10) -> None:
    queue = Queue(path)
    for n in range(1, count + 1):
        queue.put(data(n, size), 2)
    queue.commit()
    queue.close()


def numbers(queue: Queue) -> list[int]:
    items = queue.oldest(10**6, 10**9)
    for item in items:
        assert item.data[:4] == b"SF2\n"
    return [item.number for item in items]


def test_items_stay_in_order_until_they_are_done(path: Path) -> None:
    fill(path, 5)
    queue = Queue(path)
    assert numbers(queue) == [1, 2, 3, 4, 5]
    assert (queue.items, queue.count, queue.size) == (5, 10, 5 * len(data(1)))
    assert queue.oldest(2, 10**9, after=1) == [Item(2, 2, data(2)), Item(3, 2, data(3))]
    assert len(queue.oldest(9, 1)) == 1, "one item is given, however large"
    queue.done(queue.oldest(2, 10**9), {"offset": 7})
    queue.close()
    queue = Queue(path)
    assert numbers(queue) == [3, 4, 5]
    assert (queue.items, queue.count, queue.last, queue.position) == (3, 6, 5, {"offset": 7})
    queue.close()


def test_what_is_not_committed_is_gone_and_its_number_comes_again(path: Path) -> None:
    fill(path, 3)
    queue = Queue(path)
    queue.put(data(4), 1)
    queue.close()
    queue = Queue(path)
    assert (numbers(queue), queue.last) == ([1, 2, 3], 3)
    queue.close()


def test_a_number_is_not_used_again_when_all_is_done(path: Path) -> None:
    fill(path, 3)
    queue = Queue(path)
    queue.done(queue.oldest(9, 10**9), None)
    queue.close()
    queue = Queue(path)
    queue.put(data(4), 1)
    assert numbers(queue) == [4]
    queue.close()


def test_dropping_the_oldest_spares_what_is_on_its_way(path: Path) -> None:
    fill(path, 5)
    queue = Queue(path)
    assert queue.drop(2 * len(data(1)), busy={1}) == 4
    assert numbers(queue) == [1, 4, 5]
    queue.commit()
    queue.close()
    queue = Queue(path)
    assert (queue.dropped, queue.items, queue.count) == (4, 3, 6)
    queue.close()


def test_cut_takes_back_what_came_after(path: Path) -> None:
    fill(path, 5)
    queue = Queue(path)
    queue.cut(3)
    queue.put(data(4), 1)
    assert (numbers(queue), queue.last, queue.count) == ([1, 2, 3, 4], 4, 7)
    queue.close()


def test_only_one_may_have_it(path: Path) -> None:
    queue = Queue(path)
    with pytest.raises(NotConnected, match="is in use by another flow"):
        Queue(path)
    queue.close()
    Queue(path).close()


def test_it_can_be_looked_into_meanwhile(path: Path) -> None:
    queue = Queue(path)
    queue.put(data(1), 1)
    queue.commit()
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("select number, count from items").fetchall() == [(1, 1)]
    queue.close()


def test_the_disk_gets_back_what_is_free(path: Path) -> None:
    fill(path, 100, size=500_000)
    queue = Queue(path)
    before = path.stat().st_size
    while items := queue.oldest(1, 1):
        queue.done(items, None)
    queue.close()
    assert path.stat().st_size < before / 2


def test_another_database_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("create table mine (x)")
    before = path.read_bytes()
    with pytest.raises(ConnectorError, match="is not ours, but a database of something else"):
        Queue(path)
    assert path.read_bytes() == before


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ConnectorError, match="No such file or directory"):
        Queue(tmp_path / "gone" / "queue")


@pytest.mark.parametrize("where", ["header", "middle", "end", "cut", "item"])
def test_a_damaged_file_is_kept_and_what_can_be_read_goes_on(
    where: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(path, 40, size=4000)
    content = bytearray(path.read_bytes())
    if where == "header":
        content[:100] = bytes(100)
    elif where == "middle":
        content[len(content) // 2 : len(content) // 2 + 4096] = b"\xa5" * 4096
    elif where == "end":
        content[-4096:] = b"\xa5" * 4096
    elif where == "cut":
        del content[len(content) // 2 :]
    else:
        at = content.index(b"xxxxxxxxxx", len(content) // 2)
        content[at] = ord("y")
    path.write_bytes(content)
    with caplog.at_level(logging.ERROR, "streamflow.buffer"):
        queue = Queue(path)
    (said,) = caplog.messages
    aside = path.with_name("queue.damaged-1")
    assert said.startswith(f"the queue {path} is damaged (")
    assert f"it is kept as {aside}" in said
    assert aside.read_bytes() == content
    left = numbers(queue)
    assert f"{len(left)} of its items could be read" in said
    assert left == sorted(left)
    for item in queue.oldest(100, 10**9):
        assert item.data == data(item.number, 4000)
    least = {"header": 0, "middle": 20, "end": 38, "cut": 0, "item": 39}[where]
    assert least <= len(left) < 40
    queue.put(data(99), 1)
    queue.commit()
    queue.close()
    queue = Queue(path)
    assert numbers(queue) == [*left, queue.last]
    queue.close()
    assert not path.with_name("queue.damaged-2").exists()


def test_a_damaged_log_does_not_lose_the_tail_silently(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queue = Queue(path)
    for n in range(1, 11):
        queue.put(data(n, 4000), 1)
        queue.commit()
    log = Path(f"{path}-wal")
    copy, logged = path.read_bytes(), bytearray(log.read_bytes())
    queue.close()
    logged[len(logged) // 2] ^= 0xFF
    path.write_bytes(copy)
    log.write_bytes(logged)
    queue = Queue(path)
    assert "is damaged (its log is damaged)" in caplog.text
    assert numbers(queue) == list(range(1, len(numbers(queue)) + 1))
    assert 0 < queue.items < 10
    queue.close()


def test_a_file_without_its_log_that_a_kill_left_behind(path: Path) -> None:
    Path(f"{path}-wal").write_bytes(b"left over")
    queue = Queue(path)
    assert queue.items == 0
    queue.close()
