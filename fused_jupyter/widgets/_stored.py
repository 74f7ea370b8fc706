"""What a map's page asks for, fetched ahead: so that a file can show it without a server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import asinh, floor, log2, pi, radians, tan
from typing import Any

import orjson

from fused_jupyter.errors import FusedError
from fused_jupyter.types import Bounds
from fused_jupyter.widgets._layers import FileLayer, Layer, TileLayer, UdfLayer, name_of
from fused_jupyter.widgets._link import Told
from fused_jupyter.widgets._registry import Runtime
from fused_jupyter.wire import Run
from fused_jupyter.wire.http.requests import make_run

MOST_TILES = 600
"""Of all layers of a map together."""
MOST_BYTES = 20_000_000
"""Of all tiles of a map together; the file has a third more. A whole zoom is in it or none of it."""

_DEEPER = 2
"""Zooms further in than the present one."""
_AT_ONCE = 8
_KEPT_HEADERS = frozenset({"content-type", "x-fused-colors", "x-fused-rescale"})
"""What the page needs to know. What a UDF printed is in another header, and is nobody's business."""
_EDGE = 85.0511
_EXTENSIONS = {"raster": "png", "vector": "mvt"}
"""Twin: js/src/tiles/address.ts."""

Place = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The part of the world that a map shows."""

    bounds: Bounds
    zoom: float

    @property
    def area(self) -> Bounds:
        """A quarter more on each side, as another window is wider or higher."""
        west, south, east, north = self.bounds
        if west > east:
            return self.bounds
        across, up = (east - west) / 4, (north - south) / 4
        return Bounds([max(west - across, -180), max(south - up, -90), min(east + across, 180), min(north + up, 90)])


@dataclass(slots=True)
class Store:
    """Answers by what is asked for; equal bodies are kept once. Twin: js/src/page/servers.ts."""

    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)
    _places: dict[bytes, int] = field(default_factory=dict)

    def put(self, path: str, told: Told) -> None:
        """Keep an answer."""
        headers = {name: text for name, text in told.headers.items() if name.lower() in _KEPT_HEADERS}
        self.answers[path] = {"status": told.status, "headers": headers, "body": self.place(_told_to_all(told))}

    def place(self, body: bytes) -> int:
        """Where a body is."""
        if body not in self._places:
            self._places[body] = len(self.bodies)
            self.bodies.append(body)
        return self._places[body]

    @property
    def size(self) -> int:
        """Bytes of all bodies."""
        return sum(map(len, self.bodies))


def store_layers(
    layers: Iterable[Layer], store: Store, *, view: View, params: Mapping[str, Any], runtime: Runtime
) -> tuple[list[dict[str, Any]], list[int]]:
    """Put what the layers show into a store.

    Args:
        layers: of the map.
        store: where the answers go.
        view: what is in it; of tiles the zooms further out, too, and two further in as long as there is room.
        params: of the map.
        runtime: runs the UDFs.

    Returns:
        The layers as the page gets them, each with an address of its own, and the zooms of the tiles that are there.

    Raises:
        FusedError: of a layer nothing could be had; it is what the UDF raised.
    """
    baker = _Baker(store, view, params, runtime)
    shown = [baker.store(number, layer) for number, layer in enumerate(layers)]
    return shown, sorted(baker.zooms)


class _Baker:
    def __init__(self, store: Store, view: View, params: Mapping[str, Any], runtime: Runtime) -> None:
        self._store = store
        self._view = view
        self._params = params
        self._runtime = runtime
        self._tiles = 0
        self.zooms: set[int] = set()

    def store(self, number: int, layer: Layer) -> dict[str, Any]:
        """The layer as the page gets it: its values are those of now, so its address need not tell them."""
        spec = layer.to_json()
        if not isinstance(layer, UdfLayer):
            return spec
        spec |= {"udf": str(number), "version": "", "parameters": [], "params": {}}
        if isinstance(layer, TileLayer):
            return spec | self._store_tiles(number, layer)
        if isinstance(layer, FileLayer):
            run = self._run(layer, extension="geojson", also=self._viewport(layer))
            (told,) = self._fetch([run])
            if told.status == _NOT_ACCEPTABLE:  # no features, so the page draws its tiles
                as_tiles = TileLayer(layer.udf, name=layer.name, version=layer.version, parameters=layer.parameters)
                tiles = self._store_tiles(number, replace(as_tiles, params=layer.params))
                del spec["viewport"]
                return spec | {"type": "tiles", "tile_size": 256} | tiles
            _raise_all_failed(layer.name, [told])
            self._store.put(f"fused/run/file/{number}.geojson", told)
            return spec | {"viewport": ""}
        return spec

    def _store_tiles(self, number: int, layer: TileLayer) -> dict[str, Any]:
        kind = layer.kind if layer.kind != "auto" else self._kind_of(layer)
        stored: list[int] = []
        for zoom in self._zooms_of(layer, kind):
            places = [*tiles_of(self._view.area, zoom)]
            is_first = not stored
            if not is_first and (self._tiles + len(places) > MOST_TILES or self._store.size > MOST_BYTES):
                if zoom > stored[0]:
                    break
                continue
            self._store_zoom(number, layer, kind, places, is_first=is_first)
            stored.append(zoom)
        self.zooms.update(stored)
        limits = {"min_zoom": min(stored), "max_zoom": max(stored), "bounds": self._within(layer.bounds)}
        return {"kind": kind, **limits}

    def _store_zoom(self, number: int, layer: TileLayer, kind: str, places: Sequence[Place], *, is_first: bool) -> None:
        extension = _EXTENSIONS[kind]
        answers = self._fetch([self._run(layer, extension=extension, tile=place) for place in places])
        if is_first:
            _raise_all_failed(layer.name, answers)
        for (z, x, y), told in zip(places, answers, strict=True):
            self._store.put(f"fused/run/tiles/{number}/{z}/{x}/{y}.{extension}", told)
        self._tiles += len(places)

    def _zooms_of(self, layer: TileLayer, kind: str) -> list[int]:
        """The present one, those further out, those further in."""
        # As MapLibre rounds: pictures are enlarged or shrunk, features never lack detail.
        exact = self._view.zoom + log2(512 / layer.tile_size)
        wanted = floor(exact + 0.5) if kind == "raster" else floor(self._view.zoom)
        present = min(max(wanted, layer.min_zoom), layer.max_zoom)
        further_in = range(present + 1, min(present + _DEEPER, layer.max_zoom) + 1)
        return [*range(present, layer.min_zoom - 1, -1), *further_in]

    def _kind_of(self, layer: TileLayer) -> str:
        """What the first tile that is not empty is."""
        zoom = min(max(floor(self._view.zoom), layer.min_zoom), layer.max_zoom)
        for place in (*tiles_of(self._view.area, zoom), (0, 0, 0)):
            (told,) = self._fetch([self._run(layer, extension=None, tile=place)])
            _raise_all_failed(layer.name, [told])
            if told.body:
                kind = next((text for name, text in told.headers.items() if name.lower() == "content-type"), "")
                return "raster" if kind.startswith("image/") else "vector"
        return "raster"

    def _within(self, bounds: Sequence[float] | None) -> list[float] | None:
        """What MapLibre is to ask for; it knows no bounds across the antimeridian."""
        west, south, east, north = self._view.area
        if west > east:
            return None if bounds is None else [*bounds]
        if bounds is None:
            return [west, south, east, north]
        return [max(west, bounds[0]), max(south, bounds[1]), min(east, bounds[2]), min(north, bounds[3])]

    def _viewport(self, layer: FileLayer) -> dict[str, Any]:
        return {layer.viewport: ",".join(map(str, self._view.bounds))} if layer.viewport else {}

    def _run(
        self,
        layer: UdfLayer,
        *,
        extension: str | None,
        tile: Place | None = None,
        also: Mapping[str, Any] | None = None,
    ) -> Run:
        accepted = layer.parameters
        shared = {name: value for name, value in self._params.items() if accepted is None or name in accepted}
        values = {**shared, **layer.params, **(also or {})}
        query = {name: [_text(value)] for name, value in values.items() if value is not None}
        return make_run(
            0,  # the link to the host numbers it
            udf=name_of(layer.udf),
            client="to_html",
            method="GET",
            query={**query, "v": [layer.version.encode()]} if layer.version else query,
            headers={},
            extension=extension,
            tile=tile,
            body={},
        )

    def _fetch(self, runs: Sequence[Run]) -> list[Told]:
        """Some at once: all of them together would be refused as too many."""
        told: list[Told] = []
        for start in range(0, len(runs), _AT_ONCE):
            some = runs[start : start + _AT_ONCE]
            futures = [self._runtime.answer(run, on_wait=_wait) for run in some]
            for run, future in zip(some, futures, strict=True):
                try:
                    told.append(Told.of_reply(run, *future.result()))
                except FusedError as exc:
                    told.append(Told.of_error(exc))
        return told


def tiles_of(bounds: Bounds, zoom: int) -> Iterator[Place]:
    """The tiles that cover bounds, from the north-west.

    >>> [*tiles_of(Bounds([-10, -10, 10, 10]), 1)]
    [(1, 0, 0), (1, 1, 0), (1, 0, 1), (1, 1, 1)]
    >>> [*tiles_of(Bounds([170, 10, -170, 20]), 2)]
    [(2, 3, 1), (2, 0, 1)]
    """
    west, south, east, north = bounds
    side = 2**zoom
    rows = range(_row(north, side), _row(south, side) + 1)
    parts = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    columns = dict.fromkeys(x for low, high in parts for x in range(_column(low, side), _column(high, side) + 1))
    return ((zoom, x, y) for y in rows for x in columns)


def _column(longitude: float, side: int) -> int:
    return min(max(floor((longitude + 180) / 360 * side), 0), side - 1)


def _row(latitude: float, side: int) -> int:
    latitude = min(max(latitude, -_EDGE), _EDGE)
    return min(max(floor((1 - asinh(tan(radians(latitude))) / pi) / 2 * side), 0), side - 1)


def _text(value: Any) -> bytes:
    """A value as the page writes it into a query; twin: `serialise` in js/src/tiles/address.ts."""
    return value.encode() if isinstance(value, str) else orjson.dumps(value)


def _told_to_all(told: Told) -> bytes:
    """The body; of an error what is wrong, and not the inside of the UDF."""
    if told.status < _FIRST_ERROR:
        return told.body
    fields = orjson.loads(told.body)
    return orjson.dumps({name: fields[name] for name in ("type", "error", "line") if name in fields})


def _raise_all_failed(name: str, answers: Sequence[Told]) -> None:
    """A tile that fails is shown as such; a layer of which all fail would be an empty map."""
    if any(told.status < _FIRST_ERROR for told in answers):
        return
    error = FusedError.from_wire(orjson.loads(answers[0].body))
    error.args = (f"to_html: layer {name!r} fails: {error.message}",)
    error.message = error.args[0]
    raise error


def _wait() -> None:
    """Nothing: whoever asked waits anyway."""


_FIRST_ERROR = 400
_NOT_ACCEPTABLE = 406
