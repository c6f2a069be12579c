"""Describe: a component's page, from its fields and its docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any

from streamflow.errors import FlowError, suggest
from streamflow.flow.registry import KINDS, load, names


@dataclass(frozen=True)
class Parameter:
    """One parameter: its type and default as written, and what it means."""

    name: str
    type: str
    default: str
    text: str


@dataclass(frozen=True)
class Description:
    """What there is to say about a component."""

    name: str
    kind: str
    summary: str
    text: str
    parameters: tuple[Parameter, ...]
    example: str


def describe(name: str) -> list[Description]:
    """A stage, a format, or all sources and sinks of a connector; by its registered name."""
    for kind in KINDS:
        if name in names(kind):
            thing = load(kind, name)
            if inspect.ismodule(thing):
                return [_description(f"{name}.{n}", kind, f) for n, f in _public(thing)]
            return [_description(name, kind, thing)]
    known = [known for kind in KINDS for known in names(kind)]
    raise FlowError(f"nothing is called {name!r}; {suggest(name, known)}")


def summary(kind: str, name: str) -> str:
    """The first line of a component's docstring, without its name."""
    return (inspect.getdoc(load(kind, name)) or "").partition("\n")[0]


def _public(module: Any) -> Iterator[tuple[str, Any]]:
    for name in module.__all__:
        if name != "source":
            yield name, getattr(module, name)


def _description(name: str, kind: str, thing: Any) -> Description:
    doc = inspect.getdoc(thing) or ""
    head, _, text = doc.partition("\n")
    sections = re.split(r"^(\w[\w ]*)\n-{3,}\n", text.strip(), flags=re.MULTILINE)
    named = dict(zip(sections[1::2], sections[2::2], strict=True))
    texts = _texts(named.get("Parameters", ""))
    return Description(
        name,
        kind.removesuffix("s"),
        head,
        sections[0].strip(),
        tuple(Parameter(n, t, d, texts.get(n, "")) for n, t, d in _signature(thing)),
        named.get("Examples", "").strip(),
    )


def _texts(section: str) -> dict[str, str]:
    out: dict[str, str] = {}
    for block in re.split(r"\n(?=\S)", section):
        head, _, body = block.partition("\n")
        for name in head.split(","):
            out[name.strip()] = " ".join(body.split())
    return out


def _signature(thing: Any) -> Iterator[tuple[str, str, str]]:
    if is_dataclass(thing):
        for field in fields(thing):
            if field.init:
                default = "required" if field.default is MISSING else repr(field.default)
                if field.default_factory is not MISSING:
                    default = repr(field.default_factory())
                yield field.name, str(field.type), default
        return
    for name, parameter in inspect.signature(thing).parameters.items():
        given = parameter.default is not inspect.Parameter.empty
        yield name, str(parameter.annotation), repr(parameter.default) if given else "required"
