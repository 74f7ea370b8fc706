"""Both halves of the map name the same things."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import numpy as np
from anywidget import AnyWidget

from fused_jupyter.formats.mvt.encoder import LAYER
from fused_jupyter.udfs.controls import ControlSpec
from fused_jupyter.widgets import FeatureLayer, FileLayer, FusedMap, ImageLayer, TileLayer, _protocol, _traits
from fused_jupyter.wire.http import routes
from fused_jupyter.wire.http.requests import CLIENT_HEADER

POINT = {"type": "Point", "coordinates": [4.9, 52.4]}
JS = Path(__file__).parents[2] / "js" / "src"
SOURCE = (JS / "protocol.ts").read_text()


def constant(name: str) -> set[str]:
    """The values of an object literal in protocol.ts."""
    body = re.search(rf"export const {name} = \{{(.*?)\}} as const", SOURCE, re.DOTALL)
    assert body, f"{name} is not in protocol.ts"
    return set(re.findall(r'^\s*\w+: "(\w+)"', body[1], re.MULTILINE))


def pairs(name: str) -> dict[str, str]:
    """The same with the keys, of values of any form."""
    body = re.search(rf"export const {name} = \{{(.*?)\}} as const", SOURCE, re.DOTALL)
    assert body, f"{name} is not in protocol.ts"
    return dict(re.findall(r'^\s*(\w+): "([^"]+)"', body[1], re.MULTILINE))


def interface(name: str) -> set[str]:
    """The fields of an interface in protocol.ts, without those that it inherits."""
    body = re.search(rf"export interface {name} (?:extends \w+ )?\{{(.*?)\n\}}", SOURCE, re.DOTALL)
    assert body, f"{name} is not in protocol.ts"
    return set(re.findall(r"^\s*(\w+): ", body[1], re.MULTILINE))


def test_trait_names_are_the_same() -> None:
    """Every synced trait of ours is in protocol.ts, and none beside."""
    ours = set(FusedMap.class_traits(sync=True)) - set(AnyWidget.class_traits(sync=True))

    assert constant("TRAITS") == ours


def test_message_kinds_are_the_same() -> None:
    """Every kind exists once on each side."""
    kinds = {value for name, value in vars(_protocol).items() if name.isupper()}

    assert constant("MESSAGES") == kinds


def test_layers_and_controls_have_the_same_shape() -> None:
    """What Python sends is what the page expects."""
    common = interface("CommonSpec")
    udf = interface("UdfSpec")

    assert common | udf | interface("TileSpec") == set(TileLayer("quakes").to_json())
    assert common | udf | interface("FileSpec") == set(FileLayer("quakes").to_json())
    assert common | interface("FeatureSpec") == set(FeatureLayer(POINT).to_json())
    assert common | interface("ImageSpec") == set(ImageLayer(np.zeros((2, 2)), bounds=[0, 0, 1, 1]).to_json())
    assert interface("ControlSpec") == {field.name for field in fields(ControlSpec)}


def test_addresses_and_headers_are_the_same() -> None:
    """What the page asks for is what a server, and a kernel by its comm, answers; and both know a map by one header."""
    ours = {"ping": routes.PING, "file": routes.FILE, "tiles": routes.TILE, "static": routes.STATIC}
    theirs = pairs("ROUTES")

    assert theirs.keys() == ours.keys()
    for name, pattern in ours.items():
        assert pattern == theirs[name] or pattern.startswith(f"{theirs[name]}/([^/"), name
    headers = pairs("HEADERS")
    assert headers.pop("client") == CLIENT_HEADER
    written = "".join(path.read_text() for path in Path(routes.__file__).parent.glob("*.py"))
    assert [name for name in headers.values() if f'"{name}"' not in written] == []


def test_ways_are_the_same() -> None:
    """Each that Python takes is one that the page knows."""
    declared = re.search(r"export type Transport = (.*);", SOURCE)
    assert declared

    assert set(re.findall(r'"(\w+)"', declared[1])) == set(_traits._TRANSPORTS)


def test_the_layer_in_vector_tiles_has_one_name() -> None:
    """The page looks for features where the writer of tiles has put them."""
    sources = [path.read_text() for path in JS.rglob("*.ts")]
    names = [name for text in sources for name in re.findall(r'SOURCE_LAYER = "(\w+)"', text)]

    assert names
    assert set(names) == {LAYER}
