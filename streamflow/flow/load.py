"""Load a flow from its file: `machines.py`, `machines.py:flow` or `package.module:flow`."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import ModuleType

from streamflow.errors import FlowError, StreamflowError, suggest
from streamflow.flow.flow import Flow


def load_flow(reference: str) -> Flow:
    """The flow that a reference names; without a name, the module's only flow.

    Raises FlowError, with file and line, if there is none.
    """
    where, _, name = reference.partition(":")
    path = Path(where)
    folder = path.is_dir() and not (path / "__init__.py").exists()
    is_file = folder or where.endswith(".py") or "/" in where
    module = _from_file(path) if is_file else _module(where)
    flows = {key: value for key, value in vars(module).items() if isinstance(value, Flow)}
    if name:
        if name not in flows:
            raise FlowError(f"{where} has no flow called {name!r}; {suggest(name, flows)}")
        return flows[name]
    if not flows:
        raise FlowError(f"{where} has no flow: assign one at module level, flow = Flow(...) | ...")
    if len({id(flow) for flow in flows.values()}) > 1:
        raise FlowError(
            f"{where} has several flows; say which: " + ", ".join(f"{where}:{n}" for n in flows)
        )
    return next(iter(flows.values()))


def _from_file(path: Path) -> ModuleType:
    if path.is_dir():
        raise FlowError(f"{path} is a directory; name the file in it that holds the flow")
    if not path.exists():
        folder = path.parent if path.parent.is_dir() else Path()
        close = get_close_matches(path.name, [p.name for p in folder.glob("*.py")], n=1)
        hint = f"; did you mean {folder / close[0]}?" if close else ""
        raise FlowError(f"{path} does not exist{hint}")
    # The module goes by its own name, never __main__, so that every process imports the same.
    name = path.stem
    known = sys.modules.get(name)
    if known is not None:
        if getattr(known, "__file__", None) == str(path.resolve()):
            return known
        name = f"flow_{name}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise FlowError(f"{path} is not a Python file; a flow file ends with .py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, Exception):
            raise _explain(str(path), error) from error
        raise
    return module


def _module(name: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            raise FlowError(f"no file and no module {name!r}; a flow file ends with .py") from None
        raise _explain(name, error) from error


def _explain(where: str, error: Exception) -> FlowError:
    """The error of a flow file, with the line of that file it comes from."""
    if isinstance(error, SyntaxError):
        # The file that is wrong may be one that the flow file imports.
        other = error.filename is not None and Path(error.filename).name != Path(where).name
        place = error.filename if other else where
        line = f", line {error.lineno}" if error.lineno else ""
        text = f": {error.text.strip()}" if error.text else ""
        return FlowError(f"{place}{line}: {error.msg}{text}")
    frames = traceback.extract_tb(error.__traceback__)
    # The import system calls the flow file; what that imports comes after.
    file = next((frame.filename for frame in frames if frame.name == "<module>"), None)
    lines = [frame.lineno for frame in frames if frame.filename == file]
    place = f"{where}, line {lines[-1]}" if lines else where
    if isinstance(error, StreamflowError):
        return FlowError(f"{place}: {error}")
    return FlowError(f"{place}: {type(error).__name__}: {error}")
