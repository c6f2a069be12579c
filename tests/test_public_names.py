"""The public surface: exactly these names. Who changes it changes this list."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from types import ModuleType

import pytest

import streamflow
import streamflow.testing

PUBLIC = [
    "Alert",
    "Arrow",
    "AutoDetector",
    "Avro",
    "Batch",
    "Csv",
    "DeadLetter",
    "Decoded",
    "Deduplicate",
    "Despike",
    "Detect",
    "Event",
    "Field",
    "Flow",
    "Format",
    "Gate",
    "GuardClock",
    "Impute",
    "Incidents",
    "Json",
    "LevelShift",
    "Mahalanobis",
    "Maintenance",
    "Map",
    "Memory",
    "Message",
    "Messages",
    "MonitorDrift",
    "MsgPack",
    "Outlet",
    "Position",
    "Quality",
    "Reader",
    "Reject",
    "Reorder",
    "Resample",
    "Schema",
    "SeasonalNovelty",
    "Sensor",
    "Silent",
    "Sink",
    "Source",
    "Stage",
    "Stuck",
    "SystemClock",
    "Validate",
    "ValueNovelty",
    "Words",
    "Writer",
    "buffered",
    "duration",
    "iso",
    "records",
    "stage",
]
ALIASES = {"Outlet", "Position"}
MODULES = [streamflow, streamflow.testing]


def promised(module: ModuleType) -> dict[str, str]:
    """What the TYPE_CHECKING block tells type checkers: name -> module."""
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    found = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.asname == alias.name  # else mypy does not count it as exported
            found[alias.name] = str(node.module)
    return found


def test_the_names_are_these() -> None:
    assert sorted(PUBLIC) == PUBLIC
    assert list(streamflow.__all__) == PUBLIC


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_type_checkers_are_told_of_the_names_there_are(module: ModuleType) -> None:
    home = {name: f"{module.__name__}.{path}" for name, path in module._HOME.items()}
    assert promised(module) == home
    assert sorted(home) == list(module.__all__) == sorted(dir(module))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_name_can_be_imported_from_where_it_lives_and_has_a_docstring(
    module: ModuleType,
) -> None:
    for name in module.__all__:
        thing = getattr(module, name)
        assert thing is getattr(
            importlib.import_module(f"{module.__name__}.{module._HOME[name]}"), name
        )
        if name not in ALIASES:
            assert thing.__module__ == f"{module.__name__}.{module._HOME[name]}"
            doc = thing.__doc__ or ""
            assert doc.strip(), f"{name} has no docstring"
            assert not doc.startswith(f"{name}("), f"{name} has the docstring of a dataclass"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_another_name_is_an_attribute_error(module: ModuleType) -> None:
    with pytest.raises(
        AttributeError, match=f"module '{module.__name__}' has no attribute 'Flows'"
    ):
        _ = module.Flows
    with pytest.raises(ImportError):
        importlib.import_module(f"{module.__name__}.flows")
