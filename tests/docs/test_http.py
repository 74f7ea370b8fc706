from __future__ import annotations

from pathlib import Path

import pytest

from fused_jupyter.formats import STYLE_NAMES
from fused_jupyter.runtime import gateway
from fused_jupyter.server_ext import content
from fused_jupyter.server_ext.requests import RESERVED

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "http.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(RESERVED - {"", "_xsrf"} | STYLE_NAMES | gateway._OF_CLIENTS))
def test_every_name_that_is_no_argument_is_documented(name: str) -> None:
    """A UDF's parameter of that name could not be set, and somebody would wonder why."""
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("name", sorted(content._CHECKS))
def test_every_header_that_a_udf_may_set_is_documented(name: str) -> None:
    """All others are dropped silently."""
    assert f"`{name.title()}`" in PAGE
