"""Registry: stages, fleet steps, formats and connectors by name, from entry points."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from streamflow.core.connect import Source
from streamflow.errors import FlowError, suggest

KINDS = ("stages", "fleet_steps", "connectors", "formats")


@cache
def names(kind: str) -> dict[str, EntryPoint]:
    """All components of a kind, one of `KINDS`."""
    found = entry_points(group=f"streamflow.{kind}")
    return {point.name: point for point in sorted(found, key=lambda point: point.name)}


def load(kind: str, name: str) -> Any:
    """A component; FlowError if there is none, or if what it needs is not installed."""
    known = names(kind)
    if name not in known:
        raise FlowError(f"no {kind.removesuffix('s')} {name!r}; {suggest(name, known)}")
    try:
        return known[name].load()
    except ImportError as error:
        if (error.name or "").partition(".")[0] in ("streamflow", "streamflow_connectors"):
            raise
        raise FlowError(
            f"{kind.removesuffix('s')} {name!r} needs {error.name}: "
            f'pip install "streamflow-iot[{name}]"'
        ) from error


def file_source(path: str) -> Source:
    """The source that reads a file, by the file's ending."""
    source: Source = load("connectors", "files").source(Path(path))
    return source
