"""What to paste into other programs so that they open an address."""

from __future__ import annotations

import html
import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

PLACEHOLDER = "YOUR_TOKEN"
"""What stands for the secret wherever it is not to be seen."""


class Link(Protocol):
    """Gives the address for a format."""

    def __call__(self, extension: str, /) -> str:
        """The address; of tiles with `{z}`, `{x}` and `{y}` to fill in."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """The addresses of one UDF."""

    file: Link
    tiles: Link | None = None
    """None where it gives no tiles."""
    formats: tuple[str, ...] | None = None
    """Those that may be asked for; None is all."""


class Snippets(Mapping[str, str]):
    """Snippets by the name of the program; to print it prints them all.

    >>> links = Links(file=lambda extension: f"http://localhost:8888/fused/fsh_1.{extension}")
    >>> print(snippets_of(links)["cURL"])
    curl -f -o result.json http://localhost:8888/fused/fsh_1.json
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = dict(texts)

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __repr__(self) -> str:
        return "\n\n".join(f"# {name}\n{text}" for name, text in self._texts.items())


def snippets_of(links: Links) -> Snippets:
    """A snippet for each program that can open these addresses in a format that it reads."""
    made = [(links.file, name, snippet) for name, snippet in _OF_FILES.items()]
    if links.tiles is not None:
        made += [(links.tiles, name, snippet) for name, snippet in _OF_TILES.items()]
    texts = {}
    for link, name, (wanted, make) in made:
        allowed = [each for each in wanted if links.formats is None or each in links.formats]
        if allowed or (links.formats and make in _OF_ANY_FORMAT):
            texts[name] = make(link((allowed or links.formats or wanted)[0]))
    return Snippets(texts)


def snippets_html(snippets: Mapping[str, str]) -> str:
    """The same for a notebook: each to unfold, with a button that copies it."""
    return "".join(
        f"<details><summary>{html.escape(name)} {_COPY}</summary>"
        f"<pre style='margin:0 0 4px;white-space:pre-wrap'>{html.escape(text)}</pre></details>"
        for name, text in snippets.items()
    )


_COPY = (
    '<button style="cursor:pointer;font-size:11px" onclick="event.preventDefault();navigator.clipboard.writeText('
    "this.closest('details').querySelector('pre').textContent).then(()=>{this.textContent='copied'})\">copy</button>"
)


def _http(address: str) -> str:
    parts = urlsplit(address)
    query = f"?{parts.query}" if parts.query else ""
    return f"GET {parts.path}{query} HTTP/1.1\nHost: {parts.netloc}"


def _curl(address: str) -> str:
    extension = urlsplit(address).path.rpartition(".")[2]
    return f"curl -f -o result{f'.{extension}' if extension.isalnum() else ''} {shlex.quote(address)}"


def _python(address: str) -> str:
    return (
        "import requests\n\n"
        f"response = requests.get({_literal(address)}, timeout=120)\n"
        "response.raise_for_status()\n"
        "data = response.json()"
    )


def _javascript(address: str) -> str:
    return (
        f"const response = await fetch({_literal(address)});\n"
        "if (!response.ok) throw new Error(await response.text());\n"
        "const data = await response.json();"
    )


def _sheets(address: str) -> str:
    return '=IMPORTDATA("{}")'.format(address.replace('"', '""'))


def _leaflet(address: str) -> str:
    return f"L.tileLayer({_literal(address)}, {{ maxZoom: 20 }}).addTo(map);"


def _maplibre(address: str) -> str:
    return (
        f'map.addSource("udf", {{ type: "raster", tileSize: 256, tiles: [{_literal(address)}] }});\n'
        'map.addLayer({ id: "udf", type: "raster", source: "udf" });'
    )


def _maplibre_features(address: str) -> str:
    return (
        f'map.addSource("udf", {{ type: "vector", tiles: [{_literal(address)}] }});\n'
        'map.addLayer({ id: "udf", type: "fill", source: "udf", "source-layer": "udf",\n'
        '  paint: { "fill-color": "#0d9488", "fill-opacity": 0.5 } });'
    )


def _lonboard(address: str) -> str:
    return (
        "from lonboard import BitmapTileLayer, Map\n\n"
        f"Map(BitmapTileLayer(data={_literal(address)}, tile_size=256, max_requests=-1))"
    )


def _qgis(address: str) -> str:
    return f"Layer > Add Layer > Add XYZ Layer > New, URL:\n{address}"


def _qgis_features(address: str) -> str:
    return f"Layer > Add Layer > Add Vector Tile Layer > New, Source URL:\n{address}"


def _literal(text: str) -> str:
    """A text as Python and JavaScript both write it."""
    return json.dumps(text, ensure_ascii=False)


Snippet = tuple[tuple[str, ...], Callable[[str], str]]
"""The formats that the program reads, the best first, and what makes the text of an address."""

_OF_FILES: dict[str, Snippet] = {
    "HTTP": (("json",), _http),
    "cURL": (("json",), _curl),
    "Python": (("json", "geojson"), _python),
    "JavaScript": (("json", "geojson"), _javascript),
    "Google Sheets": (("csv",), _sheets),
}
_OF_TILES: dict[str, Snippet] = {
    "Leaflet": (("png", "webp", "jpg"), _leaflet),
    "MapLibre": (("png", "webp", "jpg"), _maplibre),
    "MapLibre, features": (("mvt",), _maplibre_features),
    "lonboard": (("png", "webp", "jpg"), _lonboard),
    "QGIS": (("png", "webp", "jpg"), _qgis),
    "QGIS, features": (("mvt",), _qgis_features),
}
_OF_ANY_FORMAT = frozenset({_http, _curl})
"""Those that do not look at what they get."""
