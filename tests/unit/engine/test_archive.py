from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from streamflow import Alert, Flow
from streamflow.engine.archive import export_state, import_state
from streamflow.engine.overview import overview
from streamflow.engine.rows import Rows
from streamflow.errors import StateError

ROWS = [{"device": "ab"[i % 2], "time": i, "t": 20.5 + i} for i in range(20)]
FLOW = Flow("machines", sensors=["t"]) | Rows(ROWS) | Alert("t > 30")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a state directory and what `export_state` makes of it."""
    folder = tmp_path_factory.mktemp("archive")
    FLOW.run(state=folder / "state", epoch="50ms")
    export_state(folder / "state", folder / "file")
    return folder


def everything(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_what_is_imported_is_what_was_exported(made: Path, tmp_path: Path) -> None:
    before = overview(made / "state")
    assert import_state(made / "file", tmp_path / "deep" / "state").flow == "machines"
    after = overview(tmp_path / "deep" / "state")
    assert {**vars(after), "disk": 0} == {**vars(before), "disk": 0}
    assert after.balance.readings == 20
    assert after.devices == 2


def test_the_same_state_gives_the_same_file(made: Path, tmp_path: Path) -> None:
    export_state(made / "state", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (made / "file").read_bytes()
    assert everything(tmp_path) == [tmp_path / "again"]


def test_usual_tools_can_check_it(made: Path, tmp_path: Path) -> None:
    with tarfile.open(made / "file") as tar:
        tar.extractall(tmp_path, filter="data")
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0


def test_an_exported_file_is_not_replaced(made: Path, tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("precious")
    with pytest.raises(StateError, match="exists already"):
        export_state(made / "state", target)
    assert target.read_text() == "precious"


def test_export_needs_a_state_and_a_place(made: Path, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="holds no state"):
        export_state(tmp_path / "nothing", tmp_path / "file")
    with pytest.raises(StateError, match=r"cannot be written: .*No such file or directory"):
        export_state(made / "state", tmp_path / "deep" / "file")
    damaged = shutil.copytree(made / "state", tmp_path / "state")
    (damaged / "recovery" / "part-2.sqlite3").unlink()
    with pytest.raises(StateError, match=r"part-2\.sqlite3 is missing"):
        export_state(damaged, tmp_path / "file")
    assert not (tmp_path / "file").exists()


def members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]


def changed(name: str, change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Change one member's content, leaving the tar in order."""

    def mend(data: bytes) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for key, content in members(data).items():
                text = change(content) if key == name else content
                member = tarfile.TarInfo(key)
                member.size = len(text)
                tar.addfile(member, io.BytesIO(text))
        return out.getvalue()

    return mend


def added(name: str) -> Callable[[bytes], bytes]:
    def add(data: bytes) -> bytes:
        out = io.BytesIO(data)
        with tarfile.open(fileobj=out, mode="a") as tar:
            tar.addfile(tarfile.TarInfo(name))
        return out.getvalue()

    return add


def flipped(content: bytes) -> bytes:
    half = len(content) // 2
    return content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]


DAMAGES = {
    "manifest": changed("manifest.json", flipped),
    "progress": changed("progress.0.json", flipped),
    "store": changed("recovery/part-3.sqlite3", flipped),
    "shorter": changed("recovery/part-3.sqlite3", lambda content: content[:-512]),
    "sums": changed("SHA256SUMS", flipped),
    "sums cut": changed("SHA256SUMS", lambda content: content[: content.index(b"\n") + 1]),
    "header": lambda data: b"M" + data[1:],
    "cut": lambda data: data[: len(data) // 2],
    "cut between": lambda data: data[:1024],
    "empty": lambda data: b"",
    "text": lambda data: b"machine,timestamp\n" * 100,
    "twice": added("manifest.json"),
    "foreign": added("../manifest.json"),
    "folder": added("recovery/part-9.sqlite3/../../x"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_file_is_refused_and_leaves_nothing(
    damage: Callable[[bytes], bytes], made: Path, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(damage((made / "file").read_bytes()))
    with pytest.raises(StateError) as error:
        import_state(file, tmp_path / "state")
    words = f"{file} is damaged", f"{file} is no exported state", f"cannot import {file}"
    assert str(error.value).startswith(words)
    assert everything(tmp_path) == [file]
    folder = tmp_path / "state"
    folder.mkdir()
    with pytest.raises(StateError):
        import_state(file, folder)
    assert everything(folder) == []


def test_nothing_is_imported_over_something(made: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "note").write_text("precious")
    with pytest.raises(StateError, match="is not empty"):
        import_state(made / "file", tmp_path / "state")
    with pytest.raises(StateError, match="is not empty"):
        import_state(made / "file", tmp_path / "state" / "note")
    assert everything(tmp_path) == [tmp_path / "state", tmp_path / "state" / "note"]
    with pytest.raises(StateError, match=r"cannot import .*: No such file or directory"):
        import_state(tmp_path / "nothing", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_file_of_another_release_is_refused(made: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    folder = import_folder = tmp_path / "state"
    import_state(made / "file", folder)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(StateError, match="was written in format 99"):
        export_state(folder, file)
    assert not file.exists()
    assert import_folder.exists()
