"""The state directory of a flow: one flow at a time, never an older state by mistake.

DIR/manifest.json    what the state is of, and how often a flow was started on it
DIR/progress.N.json  how far the state was durable when process N last noted it
DIR/recovery/        the recovery store that Bytewax writes
DIR/lock             held by the running flow; still names its process if that was killed
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from streamflow.engine.balance import Balance
from streamflow.engine.manifest import Manifest
from streamflow.engine.plan import Plan
from streamflow.engine.store import Store
from streamflow.errors import StateError

PARTITIONS = 4
"""Files of a new recovery store: as many workers as can write at the same time."""
MANIFEST = "manifest.json"
PROGRESS = "progress."
_DELIVERED = "delivered "
RECOVERY = "recovery"
SHARDS_STEP = "_shards"
"""The Bytewax step that holds all shards."""
FLEET_STEP = "_fleet"
"""The Bytewax step that holds the fleet steps."""


class StateDir:
    """A state directory, locked from `acquire` to `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recovery = path / RECOVERY
        self._manifest = path / MANIFEST
        self._lock: int | None = None
        self._killed = False

    @property
    def exists(self) -> bool:
        """Whether there is state."""
        return self._manifest.is_file()

    def manifest(self) -> Manifest:
        """What the state is of; StateError if there is none."""
        if not self.exists:
            raise StateError(f"{self.path} holds no state: it has no manifest.json")
        return Manifest.from_tree(_read_json(self._manifest), str(self.path))

    def store(self) -> Store:
        """The recovery store."""
        killed = self._killed if self._lock is not None else bool(_named(self.path / "lock"))
        return Store(self.recovery, self.manifest().flow, killed=killed)

    def checked_store(self) -> Store:
        """The recovery store; StateError if it is missing, damaged or older than it once was."""
        known = self.durable()
        store = self.store()
        store.check(self.manifest().partitions)
        found = {
            f"{snap.step}/{snap.key}": snap.value["snapshots"]
            for snap in store.snaps()
            if snap.step not in (SHARDS_STEP, FLEET_STEP) and isinstance(snap.value, dict)
        }
        for partition, count in known.items():
            if found.get(partition, 0) < count:
                raise StateError(
                    f"the state in {self.recovery} knows {found.get(partition, 0)} snapshots of "
                    f"source {partition}, but {count} were durable before: a file was deleted (a "
                    f"-wal file?) or put back from an old backup. Put the newest files back; to go "
                    f"on from the older state on purpose, delete {self.path}/{PROGRESS}*"
                )
        return store

    def acquire(self) -> None:
        """Lock the directory, making it if need be; StateError if a flow runs on it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = _number(self._lock)
            os.close(self._lock)
            self._lock = None
            raise StateError(
                f"a flow is running on {self.path} already (process {holder}); stop it first, or "
                f"give this one a --state folder of its own"
            ) from None
        self._killed = _number(self._lock) != "unknown"
        try:
            os.pwrite(self._lock, f"{os.getpid():<10}".encode(), 0)
        except OSError as error:
            os.close(self._lock)
            self._lock = None
            raise _unwritable(self.path, error) from error

    def release(self) -> None:
        """Unlock: nobody has the store open any more."""
        if self._lock is not None:
            if not self._killed:
                os.truncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None

    def holder(self) -> str | None:
        """The process that has locked the directory, by its number; None if none has."""
        try:
            lock = os.open(self.path / "lock", os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            # Shared, so that several may look at once, and let go at once.
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return _number(lock)
        finally:
            os.close(lock)
        return None

    @property
    def lock_fd(self) -> int:
        """The lock, for child processes: it is held until the last of them has gone."""
        assert self._lock is not None
        return self._lock

    def prepare(
        self,
        plan: Plan,
        make_store: Callable[[Path, int], None],
        forget: Collection[str] = (),
        rename: Mapping[str, str] | None = None,
    ) -> None:
        """Make the store, or check that the flow can go on from it; then count one more start."""
        try:
            if not self.exists:
                self._create(plan, make_store)
            old = self.manifest()
            store = self.checked_store()
            store.settle()
            if forget or rename:
                old = self._mend(old, store, forget, rename or {})
            new = Manifest.of(plan, old.partitions)
            old.check(new, str(self.path))
            _write_json(self._manifest, replace(new, generation=old.generation + 1).tree())
            self._consolidate()
            self._killed = False
        except OSError as error:
            raise _unwritable(self.path, error) from error
        except sqlite3.OperationalError as error:
            raise StateError(f"cannot keep state in {self.path}: {error}") from error

    def note_progress(
        self,
        durable: Mapping[str, int],
        delivered: Mapping[str, int] | None = None,
        process: int = 0,
    ) -> None:
        """Write down how many snapshots of each source partition are durable, and what is out.

        Beside the recovery store, not from it: while Bytewax has it open, a second SQLite in
        the same process would take the first one's locks away.
        """
        out = {_DELIVERED + sink: number for sink, number in (delivered or {}).items()}
        _write_json(self.path / f"{PROGRESS}{process}.json", {**durable, **out})

    def durable(self) -> dict[str, int]:
        """source/partition -> snapshots known to be durable."""
        return {key: n for key, n in self._noted().items() if not key.startswith(_DELIVERED)}

    def delivered(self) -> dict[str, int]:
        """sink -> number of the snapshot up to which its late items are out."""
        noted = self._noted().items()
        return {k.removeprefix(_DELIVERED): n for k, n in noted if k.startswith(_DELIVERED)}

    def _noted(self) -> dict[str, int]:
        known: dict[str, int] = {}
        for path in sorted(self.path.glob(f"{PROGRESS}*.json")):
            for key, count in _read_json(path).items():
                if not isinstance(count, int):
                    raise StateError(f"{path} is damaged: {key} is {count!r}, not a number")
                known[key] = max(count, known.get(key, 0))
        return known

    def _note_anew(self, moved: Mapping[str, str], forgotten: Collection[str]) -> None:
        """Carry on what is known of sources under their new names."""
        known = {}
        for partition, count in self.durable().items():
            step, _, key = partition.partition("/")
            if step not in forgotten:
                known[f"{moved.get(step, step)}/{key}"] = count
        delivered = self.delivered()
        for path in self.path.glob(f"{PROGRESS}*.json"):
            path.unlink()
        self.note_progress(known, delivered)

    def _consolidate(self) -> None:
        """What all processes have noted, in one file."""
        self.note_progress(self.durable(), self.delivered())
        for path in self.path.glob(f"{PROGRESS}*.json"):
            if path.name != f"{PROGRESS}0.json":
                path.unlink()

    def _create(self, plan: Plan, make_store: Callable[[Path, int], None]) -> None:
        store = Store(self.recovery, plan.name)
        if not store.files():
            # All of it or nothing: whoever is killed while making it just starts again.
            fresh = self.path / f"{RECOVERY}.new"
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            make_store(fresh, PARTITIONS)
            Store(fresh, plan.name).widen()
            fresh.rename(self.recovery)
        else:
            store.check(PARTITIONS)
            if store.resume_epoch():
                raise StateError(
                    f"{self.path} has a recovery store but no manifest.json, so nobody can tell "
                    f"what it is of: put manifest.json back, or start anew in another --state "
                    f"folder"
                )
        _write_json(self._manifest, Manifest.of(plan, PARTITIONS).tree())

    def _mend(
        self, old: Manifest, store: Store, forget: Collection[str], rename: Mapping[str, str]
    ) -> Manifest:
        for step in [*forget, *rename]:
            if step not in old.steps and step not in old.ends:
                known = ", ".join([*old.steps, *old.ends])
                raise StateError(f"{self.path} has no step {step!r} to forget or rename: {known}")
        values: dict[tuple[str, str], Any] = {}
        for snap in store.snaps():
            if snap.step == SHARDS_STEP:
                tree = snap.value
                steps = {rename.get(name, name): s for name, s in tree["steps"].items()}
                gone = [rename.get(name, name) for name in forget]
                for name in gone:
                    forgotten = steps.pop(name, None)
                    if forgotten and forgotten["held"]:
                        _write_off(tree, name, len(forgotten["held"]["time"]))
                tree["steps"] = steps
                values[snap.step, snap.key] = tree
            elif snap.step == FLEET_STEP:
                left = {n: tree for n, tree in snap.value.items() if n not in forget}
                values[snap.step, snap.key] = {rename.get(n, n): t for n, t in left.items()}
        moved = {name: to for name, to in rename.items() if name in old.ends}
        store.replace(values, moved, [name for name in forget if name in old.ends])
        left = {rename.get(n, n): s for n, s in old.steps.items() if n not in forget}
        ends = {rename.get(n, n): kind for n, kind in old.ends.items() if n not in forget}
        mended = replace(old, steps=left, ends=ends)
        self._note_anew(moved, forget)
        _write_json(self._manifest, mended.tree())
        return mended


def _write_off(tree: dict[str, Any], step: str, count: int) -> None:
    """Readings that a forgotten step held are counted as rejected: the balance stays true."""
    balance = Balance.from_tree(tree["balance"])
    balance.held -= count
    balance.reject(step, "forgotten", count)
    tree["balance"] = balance.tree()


def _named(lock: Path) -> str:
    try:
        return lock.read_text().strip()
    except FileNotFoundError:
        return ""


def _number(lock: int) -> str:
    return os.pread(lock, 32, 0).decode().strip() or "unknown"


def _unwritable(path: Path, error: OSError) -> StateError:
    why = {errno.EROFS: "it is read-only", errno.EACCES: "permission denied"}
    reason = why.get(error.errno or 0, error.strerror or str(error))
    return StateError(f"cannot keep state in {path}: {reason}")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StateError(f"{path} is damaged: {error}") from None
    if not isinstance(tree, dict):
        raise StateError(f"{path} is damaged: it is no JSON object")
    return tree


def _write_json(path: Path, tree: Any) -> None:
    """Write all of it or nothing."""
    part = path.with_name(f"{path.name}.{os.getpid()}")
    with part.open("w") as file:
        json.dump(tree, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
