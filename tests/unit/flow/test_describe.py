from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from streamflow import Impute, Sink, Source
from streamflow.errors import FlowError
from streamflow.flow import describe as module
from streamflow.flow.describe import describe, summary
from streamflow.flow.registry import KINDS, file_source, load, names

COMPONENTS = [(kind, name) for kind in KINDS for name in names(kind)]


def test_the_components_that_are_shipped_are_registered() -> None:
    assert set(names("stages")) >= {"alert", "detect", "impute", "map", "monitor_drift", "validate"}
    assert set(names("formats")) >= {"csv", "json"}
    assert set(names("connectors")) >= {"files"}


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_every_component_is_described_down_to_its_last_parameter(kind: str, name: str) -> None:
    pages = describe(name)
    assert pages
    for page in pages:
        assert page.kind == kind.removesuffix("s")
        assert page.name.partition(".")[0] == name
        assert page.summary.endswith(".")
        assert ">>>" in page.example
        for parameter in page.parameters:
            assert parameter.text, f"{page.name}: {parameter.name} is not documented"
            assert parameter.type
            assert parameter.default


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_every_component_has_a_line_in_the_list(kind: str, name: str) -> None:
    line = summary(kind, name)
    assert line.endswith(".")
    assert len(line) < 110


@pytest.mark.parametrize("name", sorted(names("stages")))
def test_a_stage_is_registered_under_its_step_name(name: str) -> None:
    assert load("stages", name).__name__.lower() == name.replace("_", "")


def test_a_page_has_what_its_docstring_says() -> None:
    (page,) = describe("impute")
    assert page.summary.startswith("Fill a missing value")
    assert "0 <= t - t0 <= hold" in page.text
    by_name = {parameter.name: parameter for parameter in page.parameters}
    assert by_name["hold"].default == "required"
    assert by_name["hold"].text.startswith("The greatest age of a value that is still used, such")
    assert by_name["sensors"].default == "()"
    assert by_name["name"].text.startswith("The step's name")
    assert "Parameters" not in page.text
    assert "Flow(" in page.example


def test_internal_fields_are_no_parameters() -> None:
    (page,) = describe("detect")
    assert {parameter.name for parameter in page.parameters} == {
        "name",
        "estimator",
        "sensors",
        "target",
        "start",
        "cold_start",
        "evidence",
        "explain",
        "learn",
        "gate",
    }


def test_a_connector_is_described_by_its_sources_and_sinks() -> None:
    shown = {page.name for page in describe("files")}
    assert shown >= {"files.CsvFile", "files.JsonlFile", "files.CsvSink", "files.JsonlSink"}
    assert not any("._" in name or name.endswith((".Source", ".Sink")) for name in shown)


def test_a_wrong_name_is_told_with_the_one_meant() -> None:
    with pytest.raises(FlowError, match=r"nothing is called 'alrt'; did you mean 'alert'\?"):
        describe("alrt")
    with pytest.raises(FlowError, match=r"no stage 'imput'; did you mean 'impute'\?"):
        load("stages", "imput")


def plain(size: int, *, colour: str = "red") -> None:
    """Make something.

    Parameters
    ----------
    size, colour
        How it shall be.
    """


def test_a_plug_in_need_not_be_a_dataclass(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own:
        """A format of somebody else's.

        Parameters
        ----------
        size
            How big.
        """

        def __init__(self, size: int, colour: str = "red") -> None: ...

    point = EntryPoint("own", "somewhere:Own", "streamflow.formats")
    monkeypatch.setattr(EntryPoint, "load", lambda self: Own)
    for place in ("streamflow.flow.registry.names", "streamflow.flow.describe.names"):
        monkeypatch.setattr(place, lambda kind: {"own": point} if kind == "formats" else {})
    (page,) = module.describe("own")
    assert page.summary == "A format of somebody else's."
    assert [(p.name, p.default, p.text) for p in page.parameters] == [
        ("size", "required", "How big."),
        ("colour", "'red'", ""),
    ]


def test_what_a_plug_in_needs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: Any) -> Any:
        raise ModuleNotFoundError("No module named 'paho'", name="paho")

    point = EntryPoint("mqtt", "somewhere", "streamflow.connectors")
    monkeypatch.setattr(EntryPoint, "load", missing)
    monkeypatch.setattr("streamflow.flow.registry.names", lambda kind: {"mqtt": point})
    with pytest.raises(FlowError) as error:
        load("connectors", "mqtt")
    assert str(error.value) == ("connector 'mqtt' needs paho: pip install \"streamflow-iot[mqtt]\"")


def test_a_file_is_read_by_the_files_connector() -> None:
    assert isinstance(file_source("x.csv"), Source)


def test_parameters_that_are_inherited_keep_their_text() -> None:
    @dataclass(frozen=True)
    class Slow(Impute):
        """Impute, slowly.

        Parameters
        ----------
        pause
            How slowly.
        """

        pause: int = 5

    page = module._description("slow", "stages", Slow)
    assert all(parameter.text for parameter in page.parameters)
    assert {"hold", "sensors", "by", "pause", "name"} == {
        parameter.name for parameter in page.parameters
    }


@pytest.mark.parametrize("base", [Source, Sink])
def test_what_all_sources_and_sinks_share_is_documented(base: type) -> None:
    page = module._description("base", "connectors", base)
    assert page.parameters
    assert all(parameter.text for parameter in page.parameters)
