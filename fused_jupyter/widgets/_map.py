"""A map of UDFs that stays live: tiles come from the Jupyter server, and a cell that runs again is seen at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from inspect import signature
from threading import RLock
from typing import Any, ClassVar

import traitlets

from fused_jupyter.errors import ArgumentError
from fused_jupyter.types import Bounds
from fused_jupyter.widgets._assets import asset, bundle_hash
from fused_jupyter.widgets._camera import Camera
from fused_jupyter.widgets._controls import controls_of
from fused_jupyter.widgets._layer import NamedUdf, TileLayer, name_of
from fused_jupyter.widgets._paint import free_color
from fused_jupyter.widgets._protocol import BUNDLE
from fused_jupyter.widgets._registry import Parameter, UdfDefinition, current_runtime, follow
from fused_jupyter.widgets._traits import HeightTrait, ParamsTrait, ServerUrlTrait


def _layers_to_json(layers: Iterable[TileLayer], _widget: object) -> list[dict[str, Any]]:
    return [layer.to_json() for layer in layers]


class FusedMap(Camera):
    """A map whose layers are UDFs.

    Args:
        *layers: UDFs, names of UDFs, or `TileLayer`s; the first lies lowest.
        center: longitude and latitude in degrees.
        zoom: 0 shows the world; each step halves the width.
        bounds: what the map shows at first; wins over center. Without both, the bounds that a UDF has as its default,
            else the world.
        basemap: None, an XYZ template, or a MapLibre style as URL or dict.
        height: pixels, or a CSS length.
        params: values for all layers that take a parameter of that name.
        controls: whether the map has a panel with the parameters.
        server_url: root of the Jupyter server, if the page cannot find it.

    Raises:
        UnknownUdfError: nobody registered a UDF of that name.
        ArgumentError: a value that does not fit; the message says what would.
        TypeError: an unknown keyword.
    """

    # Text, not a path: anywidget watches a path for changes, and its watch keeps every closed map alive.
    _esm: ClassVar = asset("loader.js").read_text(encoding="utf-8")

    layers = traitlets.List(traitlets.Instance(TileLayer), read_only=True).tag(sync=True, to_json=_layers_to_json)
    """The layers, from the lowest to the highest. Change them with `add` and `remove`.

    - Type: list of `TileLayer`
    - Default: `[]`
    """

    params = ParamsTrait().tag(sync=True)
    """Values of parameters, for all layers that take one of that name; the panel writes them too.

    - Type: `dict`
    - Default: `{}`, which leaves every parameter at its default
    """

    controls = traitlets.List(traitlets.Dict(), read_only=True).tag(sync=True)
    """The controls of the panel, made from the signatures of the UDFs.

    - Type: list of `dict` with `name`, `kind`, `type`, `value`, `min`, `max`, `step`
    - Default: `[]`, which shows no panel
    """

    basemap = traitlets.Union([traitlets.Unicode(), traitlets.Dict()], allow_none=True, default_value=None).tag(
        sync=True
    )
    """What lies under the layers: an XYZ template, a MapLibre style as URL or dict, or None for the page's background.

    - Type: `str`, `dict` or `None`
    - Default: `None`, which needs no internet
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

    transport = traitlets.Unicode(read_only=True).tag(sync=True)
    """How tiles reach the page, or why they cannot. The page writes it.

    - Type: `str`, e.g. `"HTTP via /user/ana/"`
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
        *layers: TileLayer | str | NamedUdf,
        center: Sequence[float] | None = None,
        zoom: float | None = None,
        bounds: Sequence[float] | None = None,
        basemap: str | Mapping[str, Any] | None = None,
        height: str | int = "480px",
        params: Mapping[str, Any] | None = None,
        controls: bool = True,
        server_url: str = "",
        **unknown: object,
    ) -> None:
        _refuse(unknown)
        runtime = current_runtime()
        self._lock = RLock()
        self._registry = runtime.registry
        self._has_controls = controls
        self._definitions: dict[str, UdfDefinition] = {}
        self.set_trait("kernel_id", runtime.kernel_id)
        self.set_trait("bundle_hash", bundle_hash())
        self._place(self._resolve_all(layers))
        if bounds is None and center is None:
            bounds = self._default_bounds()
        super().__init__(
            center=center,
            zoom=zoom,
            bounds=bounds,
            basemap=basemap if basemap is None or isinstance(basemap, str) else dict(basemap),
            height=height,
            params=params or {},
            server_url=server_url,
        )
        self.on_msg(_receive)
        self._unfollow = follow(self._registry, self, callback=FusedMap._renew)
        for name in [*self._definitions]:  # what was registered while the map was being built
            self._renew(self._registry.get(name))

    _unfollow: Callable[[], object] | None = None

    def add(self, layer: TileLayer | str | NamedUdf) -> None:
        """Put a layer on top; one of the same name is replaced where it is.

        Raises:
            UnknownUdfError: nobody registered a UDF of that name.
        """
        with self._lock:
            new = self._resolve(layer, taken={old.style.get("color") for old in self.layers})
            if any(old.name == new.name for old in self.layers):
                self._place([new if old.name == new.name else old for old in self.layers])
            else:
                self._place([*self.layers, new])

    def remove(self, name: str) -> None:
        """Take the layer of that name off.

        Raises:
            ArgumentError: there is none.
        """
        with self._lock:
            names = [layer.name for layer in self.layers]
            if name not in names:
                raise ArgumentError(f"no layer {name!r} on this map; it has {', '.join(names) or 'none'}")
            self._place([layer for layer in self.layers if layer.name != name])

    def close(self) -> None:
        """Take the map off all pages, and follow its UDFs no more."""
        if self._unfollow is not None:
            self._unfollow()
        super().close()

    def __repr__(self) -> str:
        return f"FusedMap(layers={[layer.name for layer in self.layers]!r})"

    def _resolve_all(self, layers: Iterable[TileLayer | str | NamedUdf]) -> list[TileLayer]:
        resolved: list[TileLayer] = []
        for layer in layers:
            new = self._resolve(layer, taken={old.style.get("color") for old in resolved})
            if any(old.name == new.name for old in resolved):
                raise ArgumentError(f"two layers are called {new.name!r}; give one another: TileLayer(…, name='…')")
            resolved.append(new)
        return resolved

    def _resolve(self, layer: TileLayer | str | NamedUdf, *, taken: set[Any]) -> TileLayer:
        if not isinstance(layer, TileLayer):
            layer = TileLayer(layer)
        definition = self._registry.get(name_of(layer.udf))
        self._definitions[definition.name] = definition
        return layer.of(definition).with_color(free_color(taken))

    def _renew(self, definition: UdfDefinition) -> None:
        """Called in any thread."""
        with self._lock:
            if all(name_of(layer.udf) != definition.name for layer in self.layers):
                return
            self._definitions[definition.name] = definition
            self._place(
                [layer.of(definition) if name_of(layer.udf) == definition.name else layer for layer in self.layers]
            )

    def _place(self, layers: list[TileLayer]) -> None:
        with self._lock, self.hold_sync():
            self.set_trait("layers", layers)
            controls = controls_of(self._free_parameters()) if self._has_controls else []
            self.set_trait("controls", [asdict(control) for control in controls])

    def _free_parameters(self) -> Iterable[Parameter]:
        """Those that the map may set, because the layer has no value of its own."""
        for layer in self.layers:
            for parameter in self._definitions[name_of(layer.udf)].parameters:
                if parameter.name not in layer.params:
                    yield parameter

    def _default_bounds(self) -> Bounds | None:
        for layer in self.layers:
            for parameter in self._definitions[name_of(layer.udf)].parameters:
                if parameter.is_spatial and _is_rectangle(parameter.default):
                    return Bounds(parameter.default)
        return None


def _receive(widget: FusedMap, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
    """A message of the page; what another version of the page may say is passed over."""
    answer = _ANSWERS.get(content.get("kind", ""))
    if answer is not None:
        answer(widget, content, buffers)


def _send_bundle(widget: FusedMap, _content: Mapping[str, Any], _buffers: Sequence[memoryview]) -> None:
    """map.js, when no server could give it."""
    widget.send({"kind": BUNDLE}, buffers=[asset("map.js").read_bytes()])


_ANSWERS: dict[str, Callable[[FusedMap, Mapping[str, Any], Sequence[memoryview]], None]] = {BUNDLE: _send_bundle}
"""By kind of message; the twin of the kinds is `MESSAGES` in js/src/protocol.ts."""


def _is_rectangle(value: object) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 4 and all(isinstance(n, (int, float)) for n in value)


def _refuse(unknown: Mapping[str, object]) -> None:
    for name in unknown:
        similar = get_close_matches(name, signature(FusedMap.__init__).parameters, n=1)
        hint = f"did you mean {similar[0]!r}?" if similar else "check the spelling"
        raise TypeError(f"FusedMap has no parameter {name!r}: {hint}")
