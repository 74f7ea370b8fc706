"""One runtime for the tests of a module, with workers that start fast."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fused_jupyter.runtime import shut_down


@pytest.fixture(autouse=True, scope="module")
def _runtime() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUSED_PRELOAD", "numpy,fused_jupyter.formats,fused_jupyter.engines.worker,fused_jupyter.api")
        patch.setenv("FUSED_WORKERS", "2")
        patch.delenv("JPY_PARENT_PID", raising=False)
        shut_down()
        yield
        shut_down()


@pytest.fixture(autouse=True)
def _directory() -> Iterator[None]:
    before = Path.cwd()
    yield
    os.chdir(before)
