"""Describe: a component's page, from its fields and its docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any

from streamflow.core.connect import Sink, Source
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
    """The sources and sinks that a connector defines."""
    for name, thing in vars(module).items():
        part = inspect.isclass(thing) and issubclass(thing, (Source, Sink))
        if part and thing.__module__ == module.__name__ and not inspect.isabstract(thing):
            yield name, thing


def _description(name: str, kind: str, thing: Any) -> Description:
    head, _, text = (inspect.getdoc(thing) or "").partition("\n")
    sections = _sections(text)
    texts: dict[str, str] = {}
    for base in reversed(thing.__mro__):
        texts |= _texts(_sections(base.__doc__).get("Parameters", ""))
    return Description(
        name,
        kind.removesuffix("s"),
        head,
        sections[""],
        tuple(Parameter(n, t, d, texts.get(n, "")) for n, t, d in _signature(thing)),
        sections.get("Examples", ""),
    )


def _sections(doc: str | None) -> dict[str, str]:
    """The parts of a docstring by their headings; what stands before the first is ""."""
    text = inspect.cleandoc(doc or "")
    first, *others = re.split(r"^(\w[\w ]*)\n-{3,}\n", text, flags=re.MULTILINE)
    named = zip(others[::2], others[1::2], strict=True)
    return {"": first.strip(), **{heading: body.strip() for heading, body in named}}


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
