"""Maps with much to draw: many layers, very full tiles."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
import tornado.web
from map_page import BLUE, MapPage, Site, layer_of, serving
from PIL import Image

pytestmark = pytest.mark.browser

COLUMNS, ROWS = 160, 315
"""Of squares of 12 by 13 units: they cover 1920 of the 4096 units of a tile's width, and its height but for one."""


class LoadedSite(Site):
    """A UDF that gives much."""

    full = b""

    def squares(self, handler: tornado.web.RequestHandler, _extension: str) -> None:
        """50 400 squares in the west of the tile."""
        handler.set_header("Content-Type", "application/vnd.mapbox-vector-tile")
        handler.write(self.full)


@pytest.fixture
def site() -> Iterator[Site]:
    """With the UDF above."""
    site = LoadedSite()
    site.full = tile_of_squares()
    with serving(site) as running:
        yield running


def test_full_tiles_are_drawn_whole(map_page: MapPage) -> None:
    """Of 50 000 features in each of four tiles none is missing, and none is where it does not belong."""
    layer = layer_of("squares", kind="vector", style={"color": "#0000ff", "fill_opacity": 1})
    map_page.show(layer, zoom=1, wait=False)
    map_page.page.wait_for_function("document.querySelector('.fused-map').dataset.idle === 'true'", timeout=60_000)

    picture = Image.open(io.BytesIO(map_page.page.screenshot())).convert("RGB")
    in_tiles = {picture.getpixel((x, y)) for x in range(306, 536, 3) for y in range(70, 360, 3)}
    between = {picture.getpixel((x, y)) for x in range(60, 296, 7) for y in range(70, 330, 7)}
    assert in_tiles == {BLUE}
    assert BLUE not in between
    assert map_page.page.get_attribute(".fused-map", "data-failed") == "0"


def test_twenty_layers_lie_in_their_order(map_page: MapPage) -> None:
    """The highest that is visible is seen, whichever that is; rasters and vectors alike."""
    kinds = ("raster", "vector")

    def layers(highest: int) -> list[object]:
        return [
            layer_of(
                ("plain", "blocks")[number % 2],
                name=f"layer {number}",
                kind=kinds[number % 2],
                visible=number <= highest,
                **(
                    {"style": {"color": "#{:02x}{:02x}{:02x}".format(*shade(number)), "fill_opacity": 1}}
                    if number % 2
                    else {"params": {"color": [*shade(number)]}}
                ),
            )
            for number in range(20)
        ]

    map_page.show(*layers(19))  # type: ignore[arg-type]
    map_page.wait_color(shade(19))

    for highest in (18, 11, 4, 0, 19):
        map_page.set("layers", [layer.to_json() for layer in layers(highest)])  # type: ignore[attr-defined]
        map_page.wait_color(shade(highest))


def shade(number: int) -> tuple[int, int, int]:
    return 10 * number + 20, 240 - 10 * number, 120


def tile_of_squares() -> bytes:
    """A vector tile, written by hand after the specification."""
    features = b"".join(
        message(2, b"\x18\x03" + message(4, square(12 * column, 13 * row, 12, 13)))
        for row in range(ROWS)
        for column in range(COLUMNS)
    )
    return message(3, b"\x78\x02" + message(1, b"udf") + features + b"\x28" + varint(4096))


def square(x: int, y: int, width: int, height: int) -> bytes:
    """Commands: move to, three lines, close."""
    moves = [9, x << 1, y << 1, 26, width << 1, 0, 0, height << 1, (width << 1) - 1, 0, 15]
    return b"".join(varint(number) for number in moves)


def message(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def varint(number: int) -> bytes:
    written = b""
    while number > 127:
        written += bytes([number & 127 | 128])
        number >>= 7
    return written + bytes([number])
