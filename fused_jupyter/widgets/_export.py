"""A map as a file that any browser opens."""

from __future__ import annotations

import base64
import hashlib
import html
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from math import cos, log2, radians
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

import orjson

from fused_jupyter.errors import ArgumentError
from fused_jupyter.types import Bounds
from fused_jupyter.widgets._assets import asset
from fused_jupyter.widgets._basemaps import OFFLINE, WORLD, world
from fused_jupyter.widgets._layers import UdfLayer, name_of
from fused_jupyter.widgets._layers.stack import LayerStack
from fused_jupyter.widgets._picture import Pictures
from fused_jupyter.widgets._stored import Store, View, store_layers

_SIZE = (1000, 480)
"""Pixels of a map that no page has shown yet: width, height."""
_WORLD = Bounds([-180, -58, 180, 76])
_NOT_TOLD = (
    "kernel_id",
    "bundle_hash",
    "server_url",
    "transport",
    "tile_errors",
    "callback_error",
    "hovered",
    "clicked",
)
"""Traits that mean nothing beyond their notebook."""


class Token(Protocol):
    """What `udf.create_access_token()` gives."""

    @property
    def udf_slug(self) -> str | None:
        """The name of its UDF."""

    def get_tile_url(self, format: str | None = None) -> str:  # noqa: A002 - as in the reference
        """The address of its tiles."""


class Exports(LayerStack, Pictures):
    """The part of a map that becomes a file; its twin is js/src/page.ts."""

    def to_html(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        live: Token | Iterable[Token] | bool = False,
        title: str = "",
    ) -> str | Path:
        """Write the map as one HTML file that needs nothing else: no server, no kernel, no CDN.

        It holds what the map shows now: the data of feature layers, and the tiles in view, of this zoom, of all further
        out, and of two further in, up to 600 tiles and 20 MB. Only a basemap from the internet stays there. Parameters
        keep their values.

        A live one asks this Jupyter server instead, and has the parameters' controls. It holds a token for each UDF:
        **whoever gets the file can run these UDFs** until the tokens are deleted, or this kernel ends.

        Args:
            path: where to write it.
            live: True makes a token for each UDF, which ends with this kernel; or tokens that you made, with limits of
                their own: `udf.create_access_token(…)`, those of saved UDFs last.
            title: of the page; empty means the names of the layers.

        Returns:
            The path, or without one the HTML.

        Raises:
            ArgumentError: a token for a UDF of this map is missing, or nobody knows where this server is.
            FusedError: a layer could not be drawn; it is what its UDF raised.

        Examples:
            >>> quakes_map.to_html("quakes.html")  # doctest: +SKIP
            PosixPath('quakes.html')
        """
        told = self._still() if live is False else self._live(live)
        names = ", ".join(layer.name for layer in self.layers)
        page = {"title": title or names or "Map", "description": "", "links": [], **told}
        written = _document(page, is_open=live is not False or not self._is_offline())
        if path is None:
            return written
        Path(path).write_text(written, encoding="utf-8")
        return Path(path)

    def _still(self) -> dict[str, Any]:
        from fused_jupyter.widgets._registry import current_runtime

        view, store = self._seen(), Store()
        layers, zooms = store_layers(self.layers, store, view=view, params=self.params, runtime=current_runtime())
        when = datetime.now(tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
        reach = f", zooms {zooms[0]} to {zooms[-1]} of this area" if zooms else ""
        return {
            "kind": "stored",
            "note": f"As it was on {when}{reach}",
            "state": self._state(view) | {"layers": layers, "controls": [], "params": {}},
            "contents": self._put_contents(store),
            "answers": store.answers,
            "bodies": [base64.b64encode(body).decode() for body in store.bodies],
        }

    def _live(self, live: Literal[True] | Token | Iterable[Token]) -> dict[str, Any]:
        names = list(dict.fromkeys(name_of(layer.udf) for layer in self.layers if isinstance(layer, UdfLayer)))
        addresses = _granted(names) if live is True else _addresses_of(live)
        if missing := [name for name in names if name not in addresses]:
            raise ArgumentError(
                f"live: no token opens {', '.join(missing)}; make one with {missing[0]}.create_access_token(), or "
                "give live=True"
            )
        store = Store()
        return {
            "kind": "live",
            "note": "Live: its UDFs run on the Jupyter server that this file came from",
            "state": self._state(self._seen()),
            "contents": self._put_contents(store),
            "bodies": [base64.b64encode(body).decode() for body in store.bodies],
            "root": f"{addresses[names[0]].partition('/fused/')[0]}/" if names else "https://page.invalid/",
            "routes": {name: {kind: f"{addresses[name]}/run/{kind}" for kind in ("file", "tiles")} for name in names},
        }

    def _put_contents(self, store: Store) -> dict[str, int]:
        held = dict(self._contents())
        if self.basemap == "world":
            held[WORLD] = world()
        return {digest: store.place(body) for digest, body in held.items()}

    def _state(self, view: View) -> dict[str, Any]:
        """The synced traits as a page gets them, at the place that the user sees."""
        names = [name for name in self.keys if not name.startswith("_") and name not in _NOT_TOLD]
        west, south, east, north = view.bounds
        middle = (west + east + (360 if west > east else 0)) / 2, (south + north) / 2
        seen = self.view_state
        center = [seen["longitude"], seen["latitude"]] if seen else [*middle]
        place: dict[str, Any] = {"bounds": [*view.bounds], "center": None, "zoom": None}
        if seen or self.center is not None:
            place = {"bounds": None, "center": center, "zoom": view.zoom}
        settings = {"height": "100%", "draw_tools": False, "keep_picture": False, "idle": False, "view_state": {}}
        return {**self.get_state(names), **settings, **place}

    def _seen(self) -> View:
        """What the page shows, or would show."""
        seen, bounds = self.view_state, self.view_bounds or self.bounds
        if bounds is None and self.center is not None:
            zoom = 9.0 if self.zoom is None else self.zoom
            return View(bounds=_around(self.center, zoom), zoom=zoom)
        bounds = Bounds(bounds or _WORLD)
        return View(bounds=bounds, zoom=seen["zoom"] if seen else _zoom_of(bounds))

    def _is_offline(self) -> bool:
        return self.basemap is None or self.basemap in OFFLINE


def _granted(names: Iterable[str]) -> dict[str, str]:
    """A new token for each, by its address."""
    from fused_jupyter.runtime import current_kernel

    runtime = current_kernel()
    server = runtime.server()
    return {name: _whole(server.url(f"fused/server/v1/realtime-shared/{runtime.grant(name)}")) for name in names}


def _addresses_of(tokens: Token | Iterable[Token]) -> dict[str, str]:
    given = [*tokens] if isinstance(tokens, Iterable) else [tokens]
    found = {token.udf_slug or "": token.get_tile_url().partition("/run/tiles/")[0] for token in given}
    return {name: _whole(address) for name, address in found.items()}


def _whole(address: str) -> str:
    if urlsplit(address).netloc in {"", "YOUR-SERVER"}:
        raise ArgumentError(
            "live: only the browser knows the address of this server, as behind JupyterHub; set the variable "
            "JUPYTERHUB_PUBLIC_URL for this kernel, or write a page that is not live"
        )
    return address


def _zoom_of(bounds: Bounds) -> float:
    """At which bounds fill a map of the usual width."""
    west, _, east, _ = bounds
    across = (east - west) % 360 or 360
    return max(0.0, log2(360 / across * _SIZE[0] / 512))


def _around(center: Any, zoom: float) -> Bounds:
    longitude, latitude = center
    degrees = 360 / (512 * 2**zoom)  # of one pixel
    east, north = _SIZE[0] / 2 * degrees, _SIZE[1] / 2 * degrees * cos(radians(latitude))
    west = max(longitude - east, -180.0)
    return Bounds([west, max(latitude - north, -85.0), min(longitude + east, 180.0), min(latitude + north, 85.0)])


def _document(page: Mapping[str, Any], *, is_open: bool) -> str:
    """The file.

    Args:
        page: what its script is to know; twin: js/src/page.ts.
        is_open: whether it asks servers for anything.
    """
    # A browser ends a script at these letters, wherever they stand.
    code = asset("viewer.js").read_text(encoding="utf-8").replace("</script", "<\\/script").replace("<!--", "<\\!--")
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    elsewhere = "https: http:" if is_open else ""
    policy = {
        "default-src": "'none'",
        "script-src": f"'sha256-{digest}' blob:",
        # For a page without an origin, as files have none, MapLibre makes its worker from a data: address.
        "worker-src": "blob: data:",
        "img-src": f"data: blob: {elsewhere}",
        "connect-src": f"data: blob: {elsewhere}",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    rules = "; ".join(f"{name} {value.strip()}" for name, value in policy.items())
    return _PAGE.format(
        policy=html.escape(rules),
        title=html.escape(str(page["title"])),
        page=_json(page),
        map=_json(asset("map.js").read_text(encoding="utf-8")),
        code=code,
    )


def _json(value: Any) -> str:
    """JSON that ends no script element."""
    text = orjson.dumps(value).decode()
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
</head>
<body>
<noscript>This map needs JavaScript.</noscript>
<script type="application/json" id="fused-page">{page}</script>
<script type="application/json" id="fused-map-code">{map}</script>
<script type="module">{code}</script>
</body>
</html>
"""
