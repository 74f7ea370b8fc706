from __future__ import annotations

import re
from pathlib import Path

import pytest

from fused_jupyter.formats import STYLE_NAMES
from fused_jupyter.runtime import gateway
from fused_jupyter.server_ext.handlers import ROUTES, MissingHandler, StaticHandler
from fused_jupyter.server_ext.shared.files import SharedMissingHandler
from fused_jupyter.wire.http import content
from fused_jupyter.wire.http.requests import RESERVED

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "http.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(RESERVED - {"", "_xsrf"} | STYLE_NAMES | gateway._OF_CLIENTS))
def test_every_name_that_is_no_argument_is_documented(name: str) -> None:
    """A UDF's parameter of that name could not be set, and somebody would wonder why."""
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("name", sorted(content._CHECKS))
def test_every_header_that_a_udf_may_set_is_documented(name: str) -> None:
    """All others are dropped silently."""
    assert f"`{name.title()}`" in PAGE


def test_every_route_is_documented() -> None:
    """And every address that is documented leads to one; the maps' own code is nobody else's business."""
    examples = {
        "udf": "quakes",
        "ext": "png",
        "z": "0",
        "x": "0",
        "y": "0",
        "token": "fsh_a",
        "id": "k",
        "run": "0" * 12,
        "key": "a.csv",
        "client": "local",
        "user": "ada",
        "collection": "fc_a",
        "version": "0" * 12,
        "name": "page.js",
    }
    cells = re.findall(r"^\| (`fused/.*?) \|", PAGE, re.MULTILINE)
    addresses = [address for cell in cells for address in re.findall(r"`(.*?)`", cell)]
    found = set()
    for address in addresses:
        example = re.sub(r"<(\w+)>", lambda name: examples[name[1]], re.sub(r"\[[^]]*\]", "", address))
        found.add(next(handler for pattern, handler in ROUTES if re.fullmatch(pattern, f"/{example}")))

    assert found == {handler for _, handler in ROUTES} - {MissingHandler, SharedMissingHandler, StaticHandler}
