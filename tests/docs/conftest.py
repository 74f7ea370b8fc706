"""Examples of the documentation start what they need; what they started ends with their module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fused_jupyter.runtime import shut_down


@pytest.fixture(autouse=True, scope="module")
def _runtime() -> Iterator[None]:
    yield
    shut_down()
