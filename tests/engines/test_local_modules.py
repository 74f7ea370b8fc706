from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fused_jupyter.udfs import Choices, parse
from fused_jupyter.wire import Reply

if TYPE_CHECKING:
    from conftest import Workshop

IMPORTS = "def f():\n    import {name}\n    return {name}.VALUE"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder of a notebook."""
    return tmp_path


@pytest.fixture
def run(workshop: Workshop, project: Path) -> Iterator[Callable[..., tuple[Any, list[str]]]]:
    """Runs a UDF of that folder; gives its value, and the names of the files that its result depends on."""
    from fused_jupyter.runtime._runtime import _unpickled

    def run(source: str, **fields: Any) -> tuple[Any, list[str]]:
        udf = parse(textwrap.dedent(source), Choices(directory=str(project)))
        answer, body = workshop.wait(workshop.send(udf, **fields))
        assert isinstance(answer, Reply)
        return _unpickled(body, answer.buffers), [Path(path).name for path, *_ in answer.files]

    yield run
    for path in project.rglob("*.py"):
        path.unlink()  # so that the workers, which others use too, forget them


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def test_next_run_sees_the_edited_module(run: Callable[..., Any], project: Path) -> None:
    """At once, as often as it is saved: within one second, and with the same number of bytes."""
    seen = []
    for number in range(8):
        write(project / "beside.py", f"VALUE = {number}\n")
        seen.append(run(IMPORTS.format(name="beside"))[0])

    assert seen == list(range(8))


def test_module_that_imports_the_edited_one_is_read_again_too(run: Callable[..., Any], project: Path) -> None:
    """It holds what it took from it."""
    write(project / "deep.py", "VALUE = 1\n")
    write(project / "outer.py", "from deep import VALUE\n")
    assert run(IMPORTS.format(name="outer")) == (1, ["deep.py", "outer.py"])

    write(project / "deep.py", "VALUE = 2\n")

    assert run(IMPORTS.format(name="outer"))[0] == 2


def test_package_is_seen_with_all_its_modules(run: Callable[..., Any], project: Path) -> None:
    """Relative imports are within it."""
    write(project / "kit" / "__init__.py", "from .part import VALUE\n")
    write(project / "kit" / "part.py", "VALUE = 1\n")
    assert run(IMPORTS.format(name="kit")) == (1, ["__init__.py", "part.py"])

    write(project / "kit" / "part.py", "VALUE = 2\n")

    assert run(IMPORTS.format(name="kit"))[0] == 2


def test_unchanged_module_runs_once_in_a_worker(run: Callable[..., Any], project: Path) -> None:
    """It may load a model."""
    write(project / "costly.py", "import os, time\nVALUE = os.getpid(), time.time()\n")

    made = {run(IMPORTS.format(name="costly"))[0] for _ in range(6)}

    assert len({pid for pid, _ in made}) == len(made)


def test_only_what_the_code_reaches_counts(run: Callable[..., Any], project: Path) -> None:
    """What another UDF has imported in the same process is nothing to this one."""
    write(project / "mine.py", "VALUE = 1\n")
    write(project / "theirs.py", "VALUE = 1\n")
    for name in ("mine", "theirs") * 3:
        run(IMPORTS.format(name=name))

    assert run(IMPORTS.format(name="mine"))[1] == ["mine.py"]
    assert run("def f(): return 1")[1] == []
    assert run("import json, numpy\ndef f(): return 1")[1] == []


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    import importlib\n    return importlib.import_module('hid' + 'den').VALUE",
        "def f():\n    return __import__('hid' + 'den').VALUE",
        "def f():\n    scope = {}\n    exec('import hid' + 'den as m', scope)\n    return scope['m'].VALUE",
    ],
)
def test_hidden_import_counts_as_well(run: Callable[..., Any], project: Path, source: str) -> None:
    """Also where another UDF had imported it before: what the text does not tell may be anything."""
    write(project / "hidden.py", "VALUE = 1\n")
    for _ in range(4):
        run(IMPORTS.format(name="hidden"))

    assert run(source) == (1, ["hidden.py"])


def test_object_of_a_local_class_brings_its_module(run: Callable[..., Any], project: Path) -> None:
    """The code of the UDF does not name it."""
    write(project / "shapes.py", "class Square:\n    def area(self): return 4\n")
    for _ in range(4):
        run("def f():\n    import shapes\n    return 0")
    body = pickle.dumps({"shape": 1}).replace(b"K\x01", b"cshapes\nSquare\n)\x81")

    assert run("def f(shape): return shape.area()", body=body) == (4, ["shapes.py"])


def test_module_that_does_not_run_is_tried_again(run: Callable[..., Any], project: Path) -> None:
    """The next run after the mend works, in the same workers."""
    write(project / "broken.py", "VALUE = 1 / 0\n")
    with pytest.raises(Exception, match="division by zero"):
        run(IMPORTS.format(name="broken"))

    write(project / "broken.py", "VALUE = 1 / 1\n")

    assert run(IMPORTS.format(name="broken"))[0] == 1


EDITABLE = """
import importlib.util, sys
from fused_jupyter.engines.local_modules import LocalModules
from fused_jupyter.udfs import Choices, parse
class Finder:
    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_file_location(name, sys.argv[1]) if name == "editable" else None
sys.meta_path.insert(0, Finder())
modules = LocalModules()
import editable
definition = parse("def f():\\n    import editable", Choices())
print(modules.used(definition, b"")[0][0], editable.VALUE)
open(sys.argv[1], "w").write("VALUE = 23456")
modules.forget_changed()
import editable
print(editable.VALUE)
"""


def test_module_of_another_finder_is_seen(project: Path) -> None:
    """As of a project that is installed in editable form."""
    path = project / "editable.py"
    path.write_text("VALUE = 1")
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}

    done = subprocess.run(
        [sys.executable, "-c", EDITABLE, str(path)], capture_output=True, text=True, check=False, env=environment
    )

    assert done.stdout.split() == [str(path), "1", "23456"], done.stderr
