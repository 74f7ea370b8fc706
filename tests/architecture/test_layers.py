from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import fused_jupyter

ROOT = Path(fused_jupyter.__file__).parent
PROJECT = ROOT.parent


def modules() -> Iterator[Path]:
    return (path for path in sorted(ROOT.rglob("*.py")) if "static" not in path.parts)


def test_imports_go_down_only() -> None:
    """The contracts in pyproject.toml hold; import-linter tells which line breaks one."""
    # In a process of its own: import-linter configures logging for the whole of it.
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=PROJECT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_every_public_name_is_there_and_documented() -> None:
    """What `import fused` offers explains itself."""
    for name in fused_jupyter.__all__:
        value = getattr(fused_jupyter, name)
        if name != "__version__":
            assert inspect.getdoc(value), name
    assert set(dir(fused_jupyter)) == set(fused_jupyter.__all__)


def test_every_public_name_of_a_layer_is_there() -> None:
    """`__all__` of each package names nothing that does not exist."""
    for path in ROOT.glob("*/__init__.py"):
        package: ModuleType = importlib.import_module(f"fused_jupyter.{path.parent.name}")
        for name in getattr(package, "__all__", ()):
            assert getattr(package, name) is not None, (package.__name__, name)


def test_unknown_name_is_an_attribute_error() -> None:
    """As of every module."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fused_jupyter.nothing


def test_no_module_is_a_drawer() -> None:
    """A thing has a place by what it is."""
    for path in modules():
        assert not re.search(r"util|helper|common|misc", path.stem), path


def test_every_module_says_what_it_is() -> None:
    """In a docstring."""
    for path in modules():
        text = path.read_text(encoding="utf-8")
        assert ast.get_docstring(ast.parse(text)) or path.name == "_version.py", path


def test_no_module_is_a_heap() -> None:
    """600 lines at most."""
    for path in modules():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 600, path


def imported(code: str) -> set[str]:
    """The modules that a fresh interpreter has after this code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(json.loads(done.stdout))


HEAVY = {"numpy", "pandas", "geopandas", "shapely", "rasterio", "xarray", "pyarrow", "lonboard", "dask", "PIL"}


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("import fused_jupyter", {"IPython", "tornado", "jupyter_server", "orjson", "asyncio"}),
        (
            "import fused_jupyter; fused_jupyter.udf; fused_jupyter.types; fused_jupyter.errors",
            {"IPython", "ipywidgets"},
        ),
        ("import fused_jupyter.server_ext.app", {"IPython"}),
        ("import fused_jupyter.runtime.host", {"IPython", "tornado", "ipywidgets"}),
        ("import fused_jupyter.widgets", {"anywidget", "ipywidgets"}),
    ],
)
def test_import_is_light(code: str, more: set[str]) -> None:
    """Heavy libraries are loaded where they are used."""
    assert not imported(code) & (HEAVY | more)


def test_server_extension_loads_no_other_layer() -> None:
    """It runs in another environment than the kernel, perhaps in another version."""
    ours = {
        name.split(".")[1]
        for name in imported("import fused_jupyter.server_ext.app")
        if name.startswith("fused_jupyter.")
    }

    assert ours <= {"server_ext", "wire", "settings", "errors", "_version"}


def test_public_api_type_checks() -> None:
    """tests/typing/api.py holds what mypy must see."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "tests/typing/api.py"], capture_output=True, text=True, check=False, cwd=PROJECT
    )

    assert done.returncode == 0, done.stdout
