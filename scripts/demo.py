"""The whole way once: notebook cells become URLs, and other tools fetch files and tiles from them. `make demo`."""

from __future__ import annotations

import argparse
import io
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import asinh, pi, radians, tan
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from real_jupyter import Answer, JupyterServer
from run_notebooks import EXPECTED_ERROR, NOTEBOOKS, run_notebook

TILE_SIDE = 256
ZOOM = 3
COLUMNS, ROWS = range(4), range(1, 4)
"""The tiles of North America at that zoom."""


@dataclass(frozen=True, slots=True)
class Download:
    """A URL that another tool would ask for, and the name under which its answer is saved."""

    path: str
    saved_as: str
    media_type: str


DOWNLOADS = (
    Download("fused/run/file/airports.csv?min_elevation=10000", "airports.csv", "text/csv"),
    Download("fused/run/file/airports.geojson", "airports.geojson", "application/geo+json"),
    Download("fused/run/file/airports.parquet", "airports.parquet", "application/octet-stream"),
    Download("fused/run/tiles/airports/3/1/3.mvt", "airports-3-1-3.mvt", "application/vnd.mapbox-vector-tile"),
    Download("fused/run/tiles/temperature/3/1/2.png", "temperature-3-1-2.png", "image/png"),
    Download("fused/run/tiles/temperature/3/1/2.png?step=8", "temperature-3-1-2-step-8.png", "image/png"),
)


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo-output"), help="where files and pictures go")
    output: Path = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with JupyterServer() as server:
        print(f"Jupyter server with fused_jupyter: {server.root}  ({time.perf_counter() - started:.1f} s)")
        with server.running_kernel() as kernel:
            started = time.perf_counter()
            notebook = run_notebook(NOTEBOOKS / "quickstart.ipynb", kernel)
            cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
            failing = sum(EXPECTED_ERROR in cell.metadata.get("tags", []) for cell in cells)
            seconds = time.perf_counter() - started
            print(f"notebooks/quickstart.ipynb: {len(cells)} cells ran, {failing} show an error  ({seconds:.1f} s)\n")
            fetch_all(server, output)
            draw_map(server, output)


def fetch_all(server: JupyterServer, output: Path) -> None:
    """Ask for each URL twice, print how long it took, and save what came."""
    width = max(len(download.path) for download in DOWNLOADS)
    print(f"{'GET ' + server.root:<{width + 4}} {'first':>9} {'cached':>9} {'bytes':>9}")
    for download in DOWNLOADS:
        first, again = fetch(server, download.path), fetch(server, download.path)
        media_type = first.headers["Content-Type"].partition(";")[0]
        if media_type != download.media_type or again.body != first.body:
            raise SystemExit(f"{download.path}: {media_type} came, or another answer the second time")
        if again.headers["x-fused-cached"] != "1":
            raise SystemExit(f"{download.path}: the second answer did not come from the cache")
        (output / download.saved_as).write_bytes(first.body)
        print(f"    {download.path:<{width}} {_ms(first)} {_ms(again)} {len(first.body):>9,}")
    stranger = server.get(DOWNLOADS[0].path, login=False)
    if stranger.status not in {401, 403}:
        raise SystemExit(f"without the token the server answered {stranger.status}, not 401 or 403")
    print(f"    the first of them without the token: {stranger.status}, and nothing runs\n")


def draw_map(server: JupyterServer, output: Path) -> None:
    """Put the tiles of North America together, and draw the airports over them."""
    places = [(x, y) for y in ROWS for x in COLUMNS]
    started = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:  # as many as a browser asks for at once
        tiles = list(
            pool.map(
                lambda place: fetch(server, f"fused/run/tiles/temperature/{ZOOM}/{place[0]}/{place[1]}.png"), places
            )
        )
    seconds = time.perf_counter() - started
    picture = Image.new("RGBA", (TILE_SIDE * len(COLUMNS), TILE_SIDE * len(ROWS)), "white")
    for (x, y), tile in zip(places, tiles, strict=True):
        image = Image.open(io.BytesIO(tile.body)).convert("RGBA")
        picture.alpha_composite(image, ((x - COLUMNS[0]) * TILE_SIDE, (y - ROWS[0]) * TILE_SIDE))
    picture.convert("RGB").save(output / "temperature.png")
    draw_points(picture, fetch(server, "fused/run/file/airports.geojson").json())
    picture.convert("RGB").save(output / "map.png")
    print(f"{len(tiles)} tiles, 8 at a time, in {seconds * 1000:.0f} ms: {output / 'temperature.png'}")
    print(f"the same with the airports above 2000 feet: {output / 'map.png'}")


def draw_points(picture: Image.Image, geojson: dict[str, Any]) -> None:
    """A dot for each point; what lies outside of the picture is not seen."""
    draw = ImageDraw.Draw(picture)
    world = TILE_SIDE * 2**ZOOM
    for feature in geojson["features"]:
        longitude, latitude = feature["geometry"]["coordinates"]
        x = (longitude + 180) / 360 * world - COLUMNS[0] * TILE_SIDE
        y = (1 - asinh(tan(radians(latitude))) / pi) / 2 * world - ROWS[0] * TILE_SIDE
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill="#e8703a", outline="white")


def fetch(server: JupyterServer, path: str) -> Answer:
    """The answer to a GET with the token in its header; ends the demo where it is none."""
    answer = server.get(path)
    if answer.status != 200:
        raise SystemExit(f"{path} answered {answer.status}: {answer.body[:500]!r}")
    return answer


def _ms(answer: Answer) -> str:
    return f"{answer.seconds * 1000:>6.1f} ms"


if __name__ == "__main__":
    main()
