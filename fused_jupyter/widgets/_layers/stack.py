"""The layers of a map: what lies over what, who changes it, and what the page gets of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from threading import RLock
from typing import Any

import traitlets

from fused_jupyter.errors import ArgumentError
from fused_jupyter.types import Bounds
from fused_jupyter.udfs import Parameter, UdfDefinition
from fused_jupyter.widgets._basemaps import WORLD, world
from fused_jupyter.widgets._camera import Camera
from fused_jupyter.widgets._layers.base import Layer
from fused_jupyter.widgets._layers.content import Content, answer
from fused_jupyter.widgets._layers.made import changed, free_name, layer_of, udf_layer
from fused_jupyter.widgets._layers.states import kept, merged
from fused_jupyter.widgets._layers.udf import UdfLayer, name_of
from fused_jupyter.widgets._panel import Panel
from fused_jupyter.widgets._protocol import DATA
from fused_jupyter.widgets._registry import Registry
from fused_jupyter.widgets._style import free_color
from fused_jupyter.widgets._traits import LayerPanelTrait

Shown = Any
"""What may be put on a map: a layer, a UDF or its name, or data; see `layer_of`."""


def _layers_to_json(layers: Iterable[Layer], _widget: object) -> list[dict[str, Any]]:
    return [layer.to_json() for layer in layers]


class LayerStack(Camera, Panel):
    """The part of a map that has layers, and controls for their parameters; the page's half is js/src/layers."""

    layers = traitlets.List(traitlets.Instance(Layer), read_only=True).tag(sync=True, to_json=_layers_to_json)
    """The layers, from the lowest to the highest, as they are seen: what the user does in the layer panel is here too.
    Change them with `add`, `remove`, `set_layer` and `arrange`.

    - Type: list of `TileLayer`, `FileLayer`, `FeatureLayer` and `ImageLayer`
    - Default: `[]`
    """

    layer_states = traitlets.List(traitlets.Dict(), read_only=True).tag(sync=True)
    """What the user chose in the layer panel since the last change by Python, from the lowest layer to the highest. The
    page writes it, and `layers` takes it over.

    - Type: list of `dict` with `name`, `visible`, `opacity`, `color`
    - Default: `[]`
    """

    layer_panel = LayerPanelTrait().tag(sync=True)
    """Whether the map has a panel to show, hide, order and fade its layers.

    - Type: `bool` or `"auto"`, which means from two layers on
    - Default: `"auto"`
    """

    _lock: RLock
    _registry: Registry
    _definitions: dict[str, UdfDefinition]
    _written: dict[str, Layer]
    """The layers as the user's code made them, by name."""

    def add(self, layer: Shown, **options: Any) -> None:
        """Put a layer on top; one of the same name is replaced where it is.

        What the user chose for it in the layer panel stays, unless the code says something else than before.

        Args:
            layer: a UDF or its name, a layer, or data: a GeoDataFrame, a table with places, GeoJSON, an array with
                bounds, xarray.
            **options: fields of the layer, such as `name`, `style`, `opacity`.

        Raises:
            UnknownUdfError: nobody registered a UDF of that name.
            ArgumentError: no layer can show that, or has such a field.
        """
        with self._lock:
            new = self._resolve(layer, options, self.layers)
            before = {old.name: old for old in self.layers}
            shown = kept(new, written=self._written.get(new.name), now=before.get(new.name))
            self._written[new.name] = new
            if new.name in before:
                self._set_layers([shown if old.name == new.name else old for old in self.layers])
            else:
                self._set_layers([*self.layers, shown])
            if len(self.layers) == 1 and not before:
                self._look_at_first()

    def remove(self, name: str) -> None:
        """Take the layer of that name off.

        Raises:
            ArgumentError: there is none.
        """
        with self._lock:
            self._named(name)
            self._written.pop(name, None)
            self._set_layers([layer for layer in self.layers if layer.name != name])

    def set_layer(self, name: str, **changes: Any) -> None:
        """Change a layer: `m.set_layer("quakes", opacity=0.5, visible=False)`.

        Raises:
            ArgumentError: there is no such layer, it has no such field, or the value does not fit.
        """
        with self._lock:
            new = changed(self._named(name), changes)
            if new.name != name and any(layer.name == new.name for layer in self.layers):
                raise ArgumentError(f"a layer is called {new.name!r} already")
            self._set_layers([new if layer.name == name else layer for layer in self.layers])

    def arrange(self, names: Iterable[str]) -> None:
        """Order the layers, the lowest first; those that are not named stay below.

        Raises:
            ArgumentError: there is no such layer.
        """
        with self._lock:
            named = [self._named(name) for name in names]
            self._set_layers([*(layer for layer in self.layers if layer not in named), *named])

    def _named(self, name: str) -> Layer:
        layers: list[Layer] = self.layers
        for layer in layers:
            if layer.name == name:
                return layer
        names = ", ".join(layer.name for layer in self.layers)
        raise ArgumentError(f"no layer {name!r} on this map; it has {names or 'none'}")

    def _resolve_all(self, layers: Iterable[Shown]) -> list[Layer]:
        resolved: list[Layer] = []
        for layer in layers:
            new = self._resolve(layer, {}, resolved)
            if any(old.name == new.name for old in resolved):
                kind = type(new).__name__
                raise ArgumentError(f"two layers are called {new.name!r}; give one another: {kind}(…, name='…')")
            resolved.append(new)
        self._written = {layer.name: layer for layer in resolved}
        return resolved

    def _resolve(self, value: Shown, options: dict[str, Any], others: Iterable[Layer]) -> Layer:
        layer: Layer | None = layer_of(value, options)
        if layer is None:
            layer = udf_layer(value, self._registry.get(name_of(value)), options)
        if isinstance(layer, UdfLayer):
            definition = self._registry.get(name_of(layer.udf))
            self._definitions[definition.name] = definition
            layer = layer.of(definition)
        named = free_name(layer, (other.name for other in others))
        return named.with_color(free_color(other.main_color for other in others))

    def _renew(self, definition: UdfDefinition) -> None:
        """Called in any thread."""
        with self._lock:
            if all(_udf_of(layer) != definition.name for layer in self.layers):
                return
            self._definitions[definition.name] = definition
            self._place([_renewed(layer, definition) for layer in self.layers])

    def _set_layers(self, layers: list[Layer]) -> None:
        """What Python says; the page's own choices are in it already."""
        with self.hold_sync():
            self.set_trait("layer_states", [])
            self._place(layers)

    def _place(self, layers: list[Layer]) -> None:
        with self._lock, self.hold_sync():
            self.set_trait("layers", layers)
            self._show_controls()

    @traitlets.observe("layer_states")
    def _take_states(self, change: Any) -> None:  # a traitlets Bunch
        with self._lock:
            self.set_trait("layers", merged(self.layers, change["new"]))

    def _send_data(self, content: Mapping[str, Any]) -> None:
        """Answer a page that asks for what a layer holds; without a buffer where no layer holds that any more."""
        name = str(content.get("data"))
        body = world() if name == WORLD else answer(name, self._held())
        self.send({"kind": DATA, "data": name}, [] if body is None else [body])

    def _contents(self) -> dict[str, bytes]:
        """What the layers hold for the page, by digest."""
        return {content.digest: content.body for content in self._held()}

    def _held(self) -> list[Content]:
        return [content for layer in self.layers if (content := getattr(layer, "content", None)) is not None]

    def _free_parameters(self) -> Iterable[Parameter]:
        for layer in self.layers:
            if isinstance(layer, UdfLayer):
                for parameter in self._definitions[name_of(layer.udf)].parameters:
                    if parameter.name not in layer.params and parameter.name != getattr(layer, "viewport", ""):
                        yield parameter

    def _look_at_first(self) -> None:
        """A map that was empty shows where its first layer lies, unless somebody said or chose another place."""
        if self.bounds is None and self.center is None and not self.view_state:
            self.bounds = self._default_bounds()

    def _place_of(self, target: Any) -> Bounds:
        layers = [layer for layer in self.layers if layer.name == target] if isinstance(target, str) else []
        if not layers:
            return super()._place_of(target)
        if (place := layers[0].extent or self._default_bounds(layers)) is None:
            kind = type(layers[0]).__name__
            raise ArgumentError(f"layer {target!r} says nowhere where it lies; give it bounds: {kind}(…, bounds=…)")
        return place

    def _default_bounds(self, layers: Iterable[Layer] | None = None) -> Bounds | None:
        """Where the data lie that Python holds, else the bounds that a UDF has as its default."""
        layers = [*(self.layers if layers is None else layers)]
        if extents := [extent for layer in layers if not isinstance(layer, UdfLayer) and (extent := layer.extent)]:
            return _union(extents)
        for layer in layers:
            for parameter in self._definitions[_udf_of(layer)].parameters if _udf_of(layer) else ():
                if parameter.is_spatial and _is_rectangle(parameter.default):
                    return Bounds(parameter.default)
        return None


def _udf_of(layer: Layer) -> str:
    return name_of(layer.udf) if isinstance(layer, UdfLayer) else ""


def _renewed(layer: Layer, definition: UdfDefinition) -> Layer:
    return layer.of(definition) if isinstance(layer, UdfLayer) and _udf_of(layer) == definition.name else layer


def _union(extents: Iterable[Bounds]) -> Bounds:
    wests, souths, easts, norths = zip(*extents, strict=True)
    return Bounds([min(wests), min(souths), max(easts), max(norths)])


def _is_rectangle(value: object) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 4 and all(isinstance(n, (int, float)) for n in value)
