"""Shared by all tests: settings that stay in a temporary directory, and UDFs from their text."""

from __future__ import annotations

import os
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fused_jupyter.settings import Options
from fused_jupyter.udfs import Choices, UdfDefinition, parse

collect_ignore = ["typing", "udfs/corpus"]  # read by mypy; run by test_corpus.py

PRELOAD = ("numpy", "fused_jupyter.formats", "fused_jupyter.engines.worker", "fused_jupyter.api")
"""Enough for small UDFs; the whole geo stack costs each template some seconds."""

_scratch = tempfile.TemporaryDirectory(prefix="fused-tests-")


def pytest_configure() -> None:
    # Hosts that tests start must not announce themselves to the user's own Jupyter server, nor fill the user's cache.
    os.environ["JUPYTER_RUNTIME_DIR"] = f"{_scratch.name}/runtime"
    os.environ["FUSED_CACHE_DIRECTORY"] = f"{_scratch.name}/cache"
    os.environ["FUSED_DATA_DIRECTORY"] = f"{_scratch.name}/data"
    os.environ["FUSED_LEARN_PRELOAD"] = "0"  # templates that grow would replace workers in the middle of a test
    os.environ["FUSED_MOUNT_DIRECTORY"] = f"{_scratch.name}/mount"


def pytest_unconfigure() -> None:
    _scratch.cleanup()


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """Two workers that start fast and keep their results in `tmp_path`."""
    return Options(workers=2, preload=PRELOAD, learn_preload=False, cache_directory=str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def definition() -> Callable[..., UdfDefinition]:
    """Makes a UDF from its text: `definition("def f(): ...", name="g")`."""

    def make(source: str, **choices: Any) -> UdfDefinition:
        return parse(textwrap.dedent(source), Choices(**choices))

    return make
