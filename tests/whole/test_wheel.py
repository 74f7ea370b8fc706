"""What pip installs."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of this checkout."""
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = target.glob("fused_jupyter-*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_enables_the_server_extension(wheel: zipfile.ZipFile) -> None:
    """It brings the file that Jupyter Server looks for, so that nobody has to enable anything."""
    (name,) = [name for name in wheel.namelist() if name.endswith("fused_jupyter.json")]

    assert name.endswith(".data/data/etc/jupyter/jupyter_server_config.d/fused_jupyter.json")
    assert json.loads(wheel.read(name)) == {"ServerApp": {"jpserver_extensions": {"fused_jupyter": True}}}


def test_the_wheel_has_the_built_javascript(wheel: zipfile.ZipFile) -> None:
    """Not in git, but needed: `make js` builds it."""
    static = {name.rpartition("/")[2] for name in wheel.namelist() if "/widgets/static/" in name}

    assert {"map.js", "loader.js", "top.js"} <= static
    assert len(wheel.read("fused_jupyter/widgets/static/map.js")) > 100_000


def test_the_wheel_is_typed_and_whole(wheel: zipfile.ZipFile) -> None:
    """Every module of the checkout, the mark for type checkers, the licence; nothing else at the top."""
    names = set(wheel.namelist())
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "fused_jupyter").rglob("*.py")}

    assert "fused_jupyter/py.typed" in names
    assert sources <= names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"fused_jupyter"}


def test_the_wheel_asks_for_what_it_needs(wheel: zipfile.ZipFile) -> None:
    """Test tools come by extras only."""
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    metadata = wheel.read(name).decode()
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]

    assert "Requires-Python: >=3.11" in metadata
    assert any("jupyter-server" in line for line in required)
    assert not [line for line in required if "pytest" in line or "jupyterlab" in line]
