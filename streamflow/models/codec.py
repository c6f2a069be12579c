"""How a River object is saved: the one place where pickle is allowed.

The bytes live inside a state directory that the flow itself wrote and locks, or that was imported
as one; they are never read from anywhere else. River's pickles often do not load in another River
version, so the version is kept beside them and checked first.
"""

from __future__ import annotations

import pickle
from importlib import metadata
from typing import Any

from streamflow.errors import StateError


class RiverCodec:
    """Saves a River object with the River version that wrote it."""

    version = f"river {metadata.version('river')}"

    def dump(self, thing: Any) -> bytes:
        """The object as bytes."""
        return pickle.dumps(thing, protocol=pickle.HIGHEST_PROTOCOL)

    def load(self, data: bytes, version: str) -> Any:
        """The object again."""
        if version != self.version:
            raise StateError(
                f"a model was saved by {version} and this is {self.version}: River's objects do "
                f"not survive that; install {version}, or let the step learn anew with --forget"
            )
        return pickle.loads(data)

    def size(self, thing: Any) -> int:
        """Bytes of its saved form."""
        return len(self.dump(thing))
