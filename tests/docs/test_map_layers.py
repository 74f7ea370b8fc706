"""The page about layers says what is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import fused_jupyter as fused
from fused_jupyter.types import Bounds
from fused_jupyter.widgets import FeatureLayer, FusedMap
from fused_jupyter.widgets._basemaps import OFFLINE, ONLINE
from fused_jupyter.widgets._layers.features import MOST_BYTES, MOST_FEATURES

SOURCE = Path(__file__).parents[2]
PAGE = (SOURCE / "docs" / "maps" / "layers.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_with_data_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """And makes the layers that the page says."""
    made: dict[str, Any] = {"fused": fused}

    exec(BLOCKS[0], made)

    fused_map: FusedMap = made["m"]
    assert [(type(layer).__name__, layer.name) for layer in fused_map.layers] == [
        ("FeatureLayer", "features"),
        ("FeatureLayer", "cells"),
        ("ImageLayer", "noise"),
    ]
    fused_map.close()


def test_the_example_that_follows_the_view_runs() -> None:
    """Its UDF gives features of the view."""
    body = BLOCKS[1].partition("\n")[2].partition("\naround.map")[0]
    made: dict[str, Any] = {"fused": fused}

    exec(body, made)

    frame = made["around"](Bounds([4, 51, 6, 53]))
    assert FeatureLayer(frame).extent == pytest.approx([4, 51, 6, 53], abs=0.5)


def test_every_basemap_is_on_the_page() -> None:
    """And none beside."""
    named = set(re.findall(r'"([a-z-]+)"', "".join(row for row in PAGE.splitlines() if row.startswith('| `"'))))

    assert named == {*OFFLINE, *ONLINE}


def test_the_limits_are_those_of_the_code() -> None:
    """Of what Python holds, and of files."""
    largest = re.search(r"LARGEST = ([\d_]+);", (SOURCE / "js" / "src" / "layers" / "file.ts").read_text())

    assert largest
    assert f"{MOST_FEATURES:,} features or {MOST_BYTES // 10**6} MB of GeoJSON" in PAGE
    assert f"more than {int(largest[1].replace('_', '')) // 10**6} MB of GeoJSON" in PAGE
