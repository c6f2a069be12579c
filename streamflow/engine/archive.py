"""Archive: a state directory as one file, with a checksum of everything in it, and back.

The file is a tar. Its last member, SHA256SUMS, has a line for each of the others, in the form that
`sha256sum --check` reads; a file in which one of them does not fit is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from streamflow.engine.letters import LETTERS, copy_letters
from streamflow.engine.manifest import Manifest
from streamflow.engine.statedir import MANIFEST, PROGRESS, RECOVERY, StateDir
from streamflow.errors import StateError

_SUMS = "SHA256SUMS"
_MEMBER = re.compile(rf"{MANIFEST}|{PROGRESS}0\.json|{RECOVERY}/part-\d+\.sqlite3|{LETTERS}")
_CHUNK = 1 << 20


def export_state(folder: Path, file: Path) -> int:
    """Write a state directory to one file, also while a flow runs on it; the file's bytes.

    Raises StateError if there is no state, it is damaged, or the file exists or cannot be written.
    """
    state = StateDir(folder)
    state.manifest()
    if file.exists():
        raise StateError(f"{file} exists already: name a file that does not")
    try:
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as place:
            copy, part = Path(place) / "state", Path(place) / "part"
            (copy / RECOVERY).mkdir(parents=True)
            # Before the store, which only gets newer: the copy must not look older than it is.
            StateDir(copy).note_progress(state.durable())
            shutil.copy(folder / MANIFEST, copy)
            state.checked_store().copy(copy / RECOVERY)
            # After the store: what it does not know yet is taken back at the next start.
            copy_letters(folder, copy)
            with part.open("xb") as out:
                _pack(copy, out)
                os.fsync(out.fileno())
            part.rename(file)
    except (OSError, sqlite3.Error) as error:
        raise StateError(f"{file} cannot be written: {error}") from error
    return file.stat().st_size


def import_state(file: Path, folder: Path) -> Manifest:
    """Make a state directory of a file that `export_state` wrote; what it is of.

    Raises StateError, and leaves nothing behind, if the file is damaged or the folder not empty.
    """
    made = not folder.exists()
    state = StateDir(folder)
    if not made and (not folder.is_dir() or any(p.name != "lock" for p in folder.iterdir())):
        raise StateError(f"{folder} is not empty: name a folder that is, or does not exist")
    state.acquire()
    try:
        manifest = _unpack(file, folder)
    except BaseException as error:
        shutil.rmtree(folder / RECOVERY, ignore_errors=True)
        for entry in folder.iterdir():
            entry.unlink()
        if made:
            folder.rmdir()
        if isinstance(error, tarfile.TarError):
            raise StateError(f"{file} is damaged, or no exported state: {error}") from None
        if isinstance(error, OSError):
            raise StateError(f"cannot import {file} to {folder}: {error.strerror}") from error
        raise
    finally:
        state.release()
    return manifest


def _pack(copy: Path, out: BinaryIO) -> None:
    paths = sorted(path for path in copy.rglob("*") if path.is_file())
    sums = []
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path in paths:
            with path.open("rb") as content:
                name = path.relative_to(copy).as_posix()
                sums.append(_line(hashlib.file_digest(content, "sha256").hexdigest(), name))
                content.seek(0)
                member = tarfile.TarInfo(name)
                member.size = os.fstat(content.fileno()).st_size
                tar.addfile(member, content)
        text = "".join(sums).encode()
        member = tarfile.TarInfo(_SUMS)
        member.size = len(text)
        tar.addfile(member, BytesIO(text))


def _unpack(file: Path, folder: Path) -> Manifest:
    (folder / RECOVERY).mkdir()
    # A folder with a manifest holds a state; it gets its name when all is known to be right.
    unproved = folder / f"{MANIFEST}.part"
    told, sums = "", []
    with tarfile.open(file, "r:") as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is None or not (member.name == _SUMS or _MEMBER.fullmatch(member.name)):
                raise StateError(f"{file} is no exported state: it holds {member.name!r}")
            if member.name == _SUMS:
                told = content.read().decode("ascii", "replace")
                continue
            target = unproved if member.name == MANIFEST else folder / member.name
            digest = hashlib.sha256()
            with target.open("xb") as out:
                while chunk := content.read(_CHUNK):
                    digest.update(chunk)
                    out.write(chunk)
                os.fsync(out.fileno())
            sums.append(_line(digest.hexdigest(), member.name))
    if told != "".join(sums) or not unproved.exists():
        raise StateError(f"{file} is damaged: its contents do not fit its checksums")
    manifest = Manifest.from_tree(json.loads(unproved.read_text()), str(file))
    unproved.rename(folder / MANIFEST)
    return manifest


def _line(digest: str, name: str) -> str:
    return f"{digest}  {name}\n"
