"""A map of UDFs that stays live: tiles come from the Jupyter server, and a cell that runs again is seen at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from inspect import signature
from threading import RLock
from typing import Any, ClassVar

import traitlets

from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.widgets._assets import asset, bundle_hash
from fused_jupyter.widgets._basemaps import BasemapTrait, basemap_to_json
from fused_jupyter.widgets._camera import Camera
from fused_jupyter.widgets._drawing import Drawing
from fused_jupyter.widgets._export import Exports
from fused_jupyter.widgets._layers.stack import LayerStack, Shown
from fused_jupyter.widgets._link import Link
from fused_jupyter.widgets._panel import Panel, Wishes
from fused_jupyter.widgets._picture import Pictures
from fused_jupyter.widgets._pointer import Pointer
from fused_jupyter.widgets._protocol import CANCEL, DATA, PICTURE, REQUEST
from fused_jupyter.widgets._registry import current_runtime, follow
from fused_jupyter.widgets._traits import HeightTrait, ServerUrlTrait, TransportTrait


class FusedMap(Exports, LayerStack, Camera, Panel, Pointer, Drawing, Pictures):
    """A map whose layers are UDFs.

    Args:
        *layers: UDFs, names of UDFs, layers, or data: GeoDataFrames, tables with places, GeoJSON, arrays with bounds,
            xarray; the first lies lowest.
        center: longitude and latitude in degrees.
        zoom: 0 shows the world; each step halves the width.
        bounds: what the map shows at first; wins over center. Without both, the bounds that a UDF has as its default,
            else the world.
        basemap: `"world"` or `"plain"`, which need no internet, None, a well-known name such as `"osm"`, an XYZ
            template, or a MapLibre style as URL or dict.
        height: pixels, or a CSS length.
        params: values for all layers that take a parameter of that name.
        controls: whether the map has a panel with the parameters; or which: a list of names, or what some of them are
            to be like, as `ipywidgets.interact` has it: `{"min_mag": (0, 10, 0.5), "band": ["red", "nir"]}`. None hides
            one, and `fused.Control` says more.
        layer_panel: whether the map has a panel to show, hide, order and fade its layers; `"auto"` from two layers on.
        show_legend: whether the map has a legend, in which each layer may have a title: `TileLayer(…, legend="Depth")`.
        draw_tools: whether the map has buttons to draw boxes and polygons.
        server_url: root of the Jupyter server, if the page cannot find it.
        transport: `"http"` or `"comm"` takes that way and no other.

    Raises:
        UnknownUdfError: nobody registered a UDF of that name.
        ArgumentError: a value that does not fit; the message says what would.
        TypeError: an unknown keyword.
    """

    # Text, not a path: anywidget watches a path for changes, and its watch keeps every closed map alive.
    _esm: ClassVar = asset("loader.js").read_text(encoding="utf-8")

    basemap = BasemapTrait().tag(sync=True, to_json=basemap_to_json)
    """What lies under the layers. Without the internet there are `"world"`, land and borders by Natural Earth, and
    `"plain"`, a colour; both follow the page from light to dark. `None` shows the page's background. With the internet:
    `"osm"`, `"carto-light"`, `"carto-dark"`, `"carto-voyager"`, `"satellite"` and `"topo"`, an XYZ template, also as
    `{"url": …, "attribution": …}` with `max_zoom` or `tile_size`, and a MapLibre style as URL or dict.

    - Type: `str`, `dict` or `None`
    - Default: `"world"`
    """

    show_legend = traitlets.Bool(default_value=True).tag(sync=True)
    """Whether the map has a legend. A layer may have a title in it, or stay out of it: `TileLayer(…, legend=False)`.

    - Type: `bool`
    - Default: `True`
    """

    height = HeightTrait().tag(sync=True)
    """Height of the map.

    - Type: CSS length as `str`, or pixels as `int`
    - Default: `"480px"`
    """

    server_url = ServerUrlTrait().tag(sync=True)
    """Root of the Jupyter server; empty lets the page find it.

    - Type: `str`
    - Default: `""`
    """

    kernel_id = traitlets.Unicode(read_only=True).tag(sync=True)
    """What the server calls this kernel.

    - Type: `str`
    """

    bundle_hash = traitlets.Unicode(read_only=True).tag(sync=True)
    """Which version of the map's code the page is to load.

    - Type: `str`
    """

    wanted_transport = TransportTrait().tag(sync=True)
    """Which way tiles are to take: the page finds out, or always this one.

    - Type: `"auto"`, `"http"`, which is the Jupyter server, or `"comm"`, which is the kernel's own connection
    - Default: `"auto"`
    """

    transport = traitlets.Unicode(read_only=True).tag(sync=True)
    """How tiles reach the page, or why they cannot. The page writes it.

    - Type: `str`, e.g. `"HTTP via /user/ana/"` or `"comm, because this page names no Jupyter server"`
    - Default: `""` until a page shows the map
    """

    tile_errors = traitlets.List(traitlets.Dict(), read_only=True).tag(sync=True)
    """Tiles that failed, 20 at most. The page writes it; new code or new values empty it.

    - Type: list of `dict` with `layer`, `tile`, `status`, `error`, `line`
    - Default: `[]`
    """

    idle = traitlets.Bool(default_value=False, read_only=True).tag(sync=True)
    """Whether all tiles in view are there. The page writes it.

    - Type: `bool`
    - Default: `False`
    """

    def __init__(
        self,
        *layers: Shown,
        center: Sequence[float] | None = None,
        zoom: float | None = None,
        bounds: Sequence[float] | None = None,
        basemap: str | Mapping[str, Any] | None = "world",
        height: str | int = "480px",
        params: Mapping[str, Any] | None = None,
        controls: bool | Sequence[str] | Mapping[str, Any] = True,
        layer_panel: bool | str = "auto",
        show_legend: bool = True,
        draw_tools: bool = True,
        server_url: str = "",
        transport: str = "auto",
        **unknown: object,
    ) -> None:
        _refuse(unknown)
        runtime = current_runtime()
        self._lock = RLock()
        self._registry = runtime.registry
        self._wishes = Wishes.of(controls)
        self._definitions: dict[str, UdfDefinition] = {}
        self.set_trait("kernel_id", runtime.kernel_id)
        self.set_trait("bundle_hash", bundle_hash())
        self._place(self._resolve_all(layers))
        self._wishes.check(self._free_parameters())
        if bounds is None and center is None:
            bounds = self._default_bounds()
        super().__init__(
            center=center,
            zoom=zoom,
            bounds=bounds,
            basemap=basemap,
            height=height,
            params=self._with_starts(params or {}),
            layer_panel=layer_panel,
            show_legend=show_legend,
            draw_tools=draw_tools,
            server_url=server_url,
            wanted_transport=transport,
        )
        self._link = Link(self, runtime)
        runtime.start()  # what runs the UDFs is up when the first tile is asked for
        self.on_msg(_receive)
        self._unfollow = follow(self._registry, self, callback=FusedMap._renew)
        for name in [*self._definitions]:  # what was registered while the map was being built
            self._renew(self._registry.get(name))

    _unfollow: Callable[[], object] | None = None
    _link: Link | None = None

    def close(self) -> None:
        """Take the map off all pages, and follow its UDFs no more."""
        if self._unfollow is not None:
            self._unfollow()
        if self._link is not None:
            self._link.close()
        super().close()

    def __repr__(self) -> str:
        return f"FusedMap(layers={[layer.name for layer in self.layers]!r})"


def _receive(widget: FusedMap, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
    """A message of the page; what another version of the page may say is passed over."""
    answer = _ANSWERS.get(content.get("kind", ""))
    if answer is not None:
        answer(widget, content, buffers)


def _take_request(widget: FusedMap, content: Mapping[str, Any], _buffers: Sequence[memoryview]) -> None:
    if (link := widget._link) is not None:  # noqa: SLF001 - a method in all but its place
        link.take(content)


def _cancel_request(widget: FusedMap, content: Mapping[str, Any], _buffers: Sequence[memoryview]) -> None:
    if (link := widget._link) is not None:  # noqa: SLF001 - see above
        link.cancel(content)


def _send_data(widget: FusedMap, content: Mapping[str, Any], _buffers: Sequence[memoryview]) -> None:
    widget._send_data(content)  # noqa: SLF001 - see above


def _take_picture(widget: FusedMap, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
    widget._take_picture(content, buffers)  # noqa: SLF001 - see above


_ANSWERS: dict[str, Callable[[FusedMap, Mapping[str, Any], Sequence[memoryview]], None]] = {
    REQUEST: _take_request,
    CANCEL: _cancel_request,
    DATA: _send_data,
    PICTURE: _take_picture,
}
"""By kind of message; the twin of the kinds is `MESSAGES` in js/src/protocol.ts."""


def _refuse(unknown: Mapping[str, object]) -> None:
    for name in unknown:
        similar = get_close_matches(name, signature(FusedMap.__init__).parameters, n=1)
        hint = f"did you mean {similar[0]!r}?" if similar else "check the spelling"
        raise TypeError(f"FusedMap has no parameter {name!r}: {hint}")
