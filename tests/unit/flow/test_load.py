from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamflow import Flow
from streamflow.errors import FlowError
from streamflow.flow.load import load_flow

HEAD = "from streamflow import Flow, Sensor, Validate\n"
GOOD = HEAD + "flow = Flow('test', sensors=['t'])\n"


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In a folder of its own, leaving no modules and paths behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def refused(reference: str) -> str:
    with pytest.raises(FlowError) as error:
        load_flow(reference)
    text = str(error.value)
    assert "\n" not in text
    assert "Traceback" not in text
    return text


def test_the_only_flow_of_a_file() -> None:
    write("machines.py", GOOD)
    assert load_flow("machines.py") == Flow("test", sensors=["t"])
    assert load_flow("./machines.py").name == "test"
    assert load_flow(str(Path("machines.py").resolve())).name == "test"


def test_a_flow_by_its_name() -> None:
    write("machines.py", GOOD + "other = Flow('other', sensors=['t'])\n")
    assert load_flow("machines.py:other").name == "other"


def test_one_flow_under_two_names_is_one_flow() -> None:
    write("machines.py", GOOD + "same = flow\n")
    assert load_flow("machines.py").name == "test"


def test_a_flow_of_a_module_that_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    write("pkg_of_mine/__init__.py", "")
    write("pkg_of_mine/machines.py", GOOD)
    monkeypatch.syspath_prepend(".")
    assert load_flow("pkg_of_mine.machines:flow").name == "test"
    assert load_flow("pkg_of_mine.machines").name == "test"


def test_the_module_is_never_main_so_that_a_guarded_script_does_not_run() -> None:
    write("script.py", GOOD + "if __name__ == '__main__':\n    raise SystemExit('it ran')\n")
    assert load_flow("script.py").name == "test"


def test_helpers_beside_the_flow_can_be_imported() -> None:
    write("folder/limits_of_mine.py", "LOW = 5\n")
    write(
        "folder/machines.py",
        HEAD + "from limits_of_mine import LOW\n"
        "flow = Flow('test', sensors={'t': Sensor(low=LOW)})\n",
    )
    assert load_flow("folder/machines.py").schema.sensors["t"].low == 5


@pytest.mark.parametrize("stem", ["json", "os", "csv", "streamflow", "river"])
def test_a_file_called_like_a_loaded_module_does_not_replace_it(stem: str) -> None:
    code = f"import {stem}\nfrom streamflow.flow.load import load_flow\n"
    code += f"assert load_flow('{stem}.py').name == 'test'\n"
    code += f"import sys\nassert sys.modules['{stem}'].__file__ == {stem}.__file__\n"
    code += f"assert not {stem}.__file__.endswith('here/{stem}.py')\n"
    path = write(f"here/{stem}.py", GOOD)
    subprocess.run([sys.executable, "-P", "-c", code], cwd=path.parent, check=True, timeout=60)


def test_a_file_that_is_not_there_is_told_with_the_one_meant() -> None:
    write("machines.py", GOOD)
    assert refused("machnes.py") == "machnes.py does not exist; did you mean machines.py?"
    assert refused("folder/x.py").startswith("folder/x.py does not exist")
    assert refused("completely_else.py") == "completely_else.py does not exist"


@pytest.mark.parametrize("name", ["folder", "./folder", "folder/", "folder.py", ".", "..", ""])
def test_a_folder_is_no_flow(name: str) -> None:
    if name.strip("./"):
        Path(name).mkdir()
    assert "is a directory; name the file in it that holds the flow" in refused(name)


@pytest.mark.parametrize("name", ["machines", "machines:flow", "nowhere.machines:flow"])
def test_a_module_that_is_not_there(name: str) -> None:
    assert "machines" in refused(name) or "nowhere" in refused(name)


def test_a_file_that_is_no_python() -> None:
    write("./machines.txt", GOOD)
    assert (
        refused("./machines.txt") == "machines.txt is not a Python file; a flow file ends with .py"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEAD + "flow = Flow(\nx y\n", "bad.py, line 2: '(' was never closed: flow = Flow("),
        (HEAD + "\n\nif True\n", "bad.py, line 4: expected ':': if True"),
        (HEAD + "  x = 1\n", "bad.py, line 2: unexpected indent: x = 1"),
        (GOOD + "1 / 0\n", "bad.py, line 3: ZeroDivisionError: division by zero"),
        (GOOD + "flo\n", "bad.py, line 3: NameError: name 'flo' is not defined"),
        (
            "import nowhere_at_all\n",
            "bad.py, line 1: ModuleNotFoundError: No module named 'nowhere",
        ),
        ("from streamflow import Aler\n", "bad.py, line 1: ImportError: cannot import name 'Aler'"),
        (GOOD + "\nflow | 5\n", "bad.py, line 4: flow 'test': 5 is no stage"),
        (
            GOOD + "\n\nSensor('x', 5, 1)\n",
            "bad.py, line 5: a sensor's low=5 must be below its high",
        ),
        ("def f():\n    raise KeyError('x')\n\nf()\n", "bad.py, line 2: KeyError: 'x'"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_line(text: str, sentence: str) -> None:
    write("bad.py", text)
    assert refused("bad.py").startswith(sentence)
    assert "bad" not in sys.modules
    write("bad.py", GOOD)
    assert load_flow("bad.py").name == "test"


@pytest.mark.parametrize("text", ["", "x = 1\n", "from streamflow import Flow\n"])
def test_a_file_without_a_flow_is_told_what_to_do(text: str) -> None:
    write("none.py", text)
    expected = "none.py has no flow: assign one at module level, flow = Flow(...) | ..."
    assert refused("none.py") == expected


def test_the_line_is_of_the_flow_file_even_if_others_end_like_it() -> None:
    write("a.py", HEAD + "\n\n\nSensor('x', 5, 1)\n")  # raised in streamflow/core/schema.py
    assert refused("a.py").startswith("a.py, line 5: ")


def test_a_syntax_error_is_told_of_the_file_that_has_it() -> None:
    write("helper_of_mine.py", "\n\nx y\n")
    write("machines.py", "import helper_of_mine\n")
    assert "helper_of_mine.py, line 3: invalid syntax: x y" in refused("machines.py")


def test_bytes_that_are_no_python_are_told_without_a_line() -> None:
    Path("nul.py").write_bytes(b"x = 1\0\n")
    assert refused("nul.py") == "nul.py: source code string cannot contain null bytes"
    Path("latin.py").write_bytes(b"x = '\xe4'\n")
    assert "can't decode byte 0xe4" in refused("latin.py")


def test_an_error_in_a_module_is_told_with_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    write("module_of_mine.py", GOOD + "1 / 0\n")
    monkeypatch.syspath_prepend(".")
    assert refused("module_of_mine:flow").startswith("module_of_mine, line 3: ZeroDivisionError")


def test_two_flows_are_told_by_name() -> None:
    write("two.py", GOOD + "other = flow | Validate()\n")
    assert refused("two.py") == "two.py has several flows; say which: two.py:flow, two.py:other"


def test_a_name_that_is_no_flow_is_told_with_the_one_meant() -> None:
    write("machines.py", GOOD + "x = 5\n")
    assert (
        refused("machines.py:flw") == "machines.py has no flow called 'flw'; did you mean 'flow'?"
    )
    assert refused("machines.py:x") == "machines.py has no flow called 'x'; there is: flow"


def test_a_file_is_loaded_once() -> None:
    write("machines.py", GOOD)
    assert load_flow("machines.py") is load_flow("machines.py")
